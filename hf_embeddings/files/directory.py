"""Whether a directory can be made and written, found out by doing so, before hours of work depend on it."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def try_directory(folder: Path, place: str) -> None:
    """Make a directory, write to it, and leave everything as it was.

    Args:
        folder: there or not.
        place: what the error names, such as an option.

    Raises:
        ValueError: it cannot be made, or not be written.
    """
    new_folders: list[Path] = []
    try:
        try:
            missing = [path for path in (folder, *folder.parents) if not path.exists()]
            for path in reversed(missing):
                path.mkdir(exist_ok=True)
                new_folders.append(path)
            handle, name = tempfile.mkstemp(dir=folder)
            os.close(handle)
            os.unlink(name)
        finally:
            for path in reversed(new_folders):
                with suppress(OSError):  # another process writes there already
                    path.rmdir()
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(
            f"{place}: cannot write to {folder} ({reason}), expected a directory; choose another"
        ) from error
