"""Files that are whole or absent: written beside their place, forced to the disk (fsync), then renamed."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from hf_embeddings.files.reading import check_file
from hf_embeddings.progress import print_to_stderr

fcntl: ModuleType | None = None
try:
    import fcntl as fcntl_of_system
except ImportError:  # Windows
    pass
else:
    fcntl = fcntl_of_system

# What SMB, FUSE and some containers answer to an fsync of a directory.
UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
_TOLD: set[int] = set()  # numbers of file systems of which this was said
STAGED = ".staged"  # suffix of a file that is being written
PATIENCE = 30  # seconds to wait for another writer of the same file


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a path to write to; at the end of the block, what was written there takes the place of `path` at once.

    Two writers of one file wait for each other.

    Args:
        path: the file; a reader sees the old one or the new one.
        durable: whether the new file is on the disk when the block has ended, and so outlives a power cut.

    Raises:
        OSError: the file is a directory, or must not be written.
        ValueError: it is a pipe, a socket or a device; or another process has been writing it for `PATIENCE` seconds.
    """
    if path.exists() and not os.access(path, os.W_OK):  # a rename would not ask
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists():
        check_file(path)  # /dev/null would be a file from then on
    staging_path = path.with_name(f".{path.name}{STAGED}")
    with called(staging_path, path), _alone(staging_path):
        try:
            yield staging_path
            if durable:
                fsync_file(staging_path)
            os.replace(staging_path, path)
        except BaseException:
            staging_path.unlink(missing_ok=True)
            raise
    if durable:
        fsync_directory(path.parent)


@contextmanager
def called(stage: Path, target: Path) -> Iterator[None]:
    """Let errors of the block speak of `target`, which people know, where they would name what is made beside it."""
    try:
        yield
    except (OSError, ValueError) as error:
        error.args = tuple(_named(value, stage, target) for value in error.args)
        if isinstance(error, OSError) and error.filename is not None:
            error.filename = _named(error.filename, stage, target)
        if isinstance(error, OSError) and error.filename2 is not None:
            error.filename2 = _named(error.filename2, stage, target)
        raise


def _named(value: object, stage: Path, target: Path) -> object:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    return value.replace(str(stage), str(target)) if isinstance(value, str) else value


@contextmanager
def _alone(staged: Path) -> Iterator[None]:
    """Make an empty file that no other process writes to until the block ends; what a killed one left is emptied."""
    if fcntl is None:  # Windows
        yield
        return
    handle = _lock(staged)
    try:
        try:
            os.ftruncate(handle, 0)
        except OSError:
            staged.unlink(missing_ok=True)
            raise
        yield
    finally:
        os.close(handle)


def _lock(staged: Path) -> int:
    """Return a descriptor of the file, locked, once no other process holds it."""
    began = time.monotonic()
    while True:
        handle = os.open(staged, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            assert fcntl is not None  # see `_alone`
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):  # moved to its place a moment ago, as another file of the name may be
                if os.path.samestat(os.fstat(handle), os.stat(staged)):
                    return handle
        except BlockingIOError:
            if time.monotonic() - began > PATIENCE:
                os.close(handle)
                raise ValueError(f"{staged}: another process is writing it; wait for it, or stop it") from None
            time.sleep(0.02)
        except OSError as error:
            if error.errno not in UNSUPPORTED + (errno.ENOLCK,):
                os.close(handle)
                raise
            return handle  # a file system without locks
        os.close(handle)


def replace_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace a file by one with this text, in UTF-8 and with the same line ends everywhere."""
    with replacing(path, durable=durable) as staging_path:
        staging_path.write_text(text, encoding="utf-8", newline="\n")


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
