"""Files of other installed packages, found without importing them: data sets and weights that come as packages."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def package_file(module: str, path: str, *, install: str) -> Path:
    """Return a file of an installed package.

    Args:
        module: the name under which the package is imported; "" for one of the system.
        path: the file or folder within it.
        install: the command that installs it, for the error.

    Raises:
        ValueError: the package is missing, or this version of it lacks the file.
    """
    if not module:
        if not Path(path).exists():
            raise ValueError(f"{path}: not there; run: {install}")
        return Path(path)
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"{module}: not installed; run: {install}")
    location = Path(spec.origin).parent / path
    if not location.exists():
        raise ValueError(f"{location}: not in the installed version of {module}; run: {install}")
    return location


def installed_version(distribution: str) -> str:
    """Return the version of a distribution, "" where nobody knows."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
