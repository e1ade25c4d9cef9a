"""Optional libraries: what needs one asks here, and a missing one is answered with a pip line that works."""

import importlib.util
from importlib.metadata import PackageNotFoundError, requires

DISTRIBUTION = "hf-embeddings"


def require(extra: str, *modules: str) -> None:
    """Raise where a module of an extra is missing.

    Raises:
        ValueError: names the modules and the command that installs them.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise ValueError(f"{', '.join(missing)}: not installed; {cure(extra)}")


def cure(extra: str) -> str:
    """Return the words that end the error of a missing library: the command that installs its extra."""
    return f"run: {pip_line(extra)}"


def pip_line(extra: str) -> str:
    """Return a command that installs an extra from any package index, whether or not it serves this package.

    It names the requirements of the extra, which the metadata of the installed package holds. A checkout that is only
    on the path has no metadata, or one that was installed before it had the extra, but a pyproject.toml that pip reads.
    """
    try:
        specifiers = requirements(extra)
    except PackageNotFoundError:
        specifiers = []
    if not specifiers:
        return f"pip install -e '.[{extra}]' in the checkout of {DISTRIBUTION}"
    return "pip install " + " ".join(f"'{requirement}'" for requirement in specifiers)


def requirements(extra: str) -> list[str]:
    """Return what an extra installs here, in the words of pip; an extra that names another one includes its list.

    Raises:
        PackageNotFoundError: this package is not installed.
    """
    from packaging.requirements import Requirement

    specifiers: dict[str, None] = {}
    for line in requires(DISTRIBUTION) or ():
        requirement = Requirement(line)
        if requirement.marker is None or not requirement.marker.evaluate({"extra": extra}):
            continue
        if requirement.name == DISTRIBUTION:
            for other in sorted(requirement.extras):
                specifiers |= dict.fromkeys(requirements(other))
        else:
            specifiers[f"{requirement.name}{requirement.specifier}"] = None
    return list(specifiers)
