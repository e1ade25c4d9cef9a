"""Whether a directory can be made and written, found out by doing so, before hours of work depend on it."""

import os
from contextlib import suppress
from pathlib import Path

TRIAL = ".tried-by-hf-embeddings"  # one name, so that the next trial removes what a kill has left


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
            os.close(os.open(folder / TRIAL, os.O_CREAT | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)))
            (folder / TRIAL).unlink(missing_ok=True)  # another process may have tried at the same time
        finally:
            for path in reversed(new_folders):
                with suppress(OSError):  # another process writes there already
                    path.rmdir()
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(
            f"{place}: cannot write to {folder} ({reason}), expected a directory; choose another"
        ) from error
