"""Optional libraries: each verb asks for its extra before it works, and a missing one is answered with the pip line."""

import importlib.util


def require(extra: str, *modules: str) -> None:
    """Raise where a module of an extra is missing.

    Raises:
        ValueError: names the modules and the command that installs them.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise ValueError(f"{', '.join(missing)}: not installed; run: pip install 'hf-embeddings[{extra}]'")
