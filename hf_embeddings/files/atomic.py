"""Files that are whole or absent: written beside their place, forced to the disk (fsync), then renamed."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_embeddings.progress import print_to_stderr

# What SMB, FUSE and some containers answer to an fsync of a directory.
UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
_TOLD: set[int] = set()  # numbers of file systems of which this was said
STAGED = ".staged"  # suffix of a file that is being written


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a path to write to; at the end of the block, what was written there takes the place of `path` at once.

    Args:
        path: the file; a reader sees the old one or the new one.
        durable: whether the new file is on the disk when the block has ended, and so outlives a power cut.
    """
    staged = path.with_name(f".{path.name}{STAGED}")
    try:
        yield staged
        if durable:
            fsync_file(staged)
        os.replace(staged, path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    if durable:
        fsync_directory(path.parent)


def replace_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace a file by one with this text, in UTF-8 and with the same line ends everywhere."""
    with replacing(path, durable=durable) as staged:
        staged.write_text(text, encoding="utf-8", newline="\n")


def fsync_file(path: Path) -> None:
    """Force a file to the disk."""
    with path.open("r+b") as file:  # Windows flushes only what may be written
        os.fsync(file.fileno())


def fsync_directory(folder: Path) -> None:
    """Force the names of a directory to the disk."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no directories, and keeps their names by itself
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        _say_unsupported(folder, os.fstat(handle).st_dev)
    finally:
        os.close(handle)


def _say_unsupported(folder: Path, device: int) -> None:
    if device not in _TOLD:
        _TOLD.add(device)
        print_to_stderr(f"note: {folder}: this file system has no fsync of directories; a power cut may lose new files")
