"""Who may read what was written: as the umask says, whatever a library thinks of it."""

import os
from contextlib import suppress
from pathlib import Path


def as_umask_says(place: Path) -> None:
    """Give a new file, or a new directory with all that is in it, the modes that the umask gives.

    safetensors and tempfile let the owner alone read what they make; a copy has the mode of what it was copied from.
    """
    mask = os.umask(0o077)  # there is no other way to ask; what another thread makes meanwhile is not open to all
    os.umask(mask)
    for path in (place, *place.rglob("*")):
        if not path.is_symlink():
            with suppress(OSError):  # a file system without modes
                path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
