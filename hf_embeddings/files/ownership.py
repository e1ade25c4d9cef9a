"""Directories that this package made and so may empty or remove: each carries a mark. Others are never touched."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hf_embeddings.files.lock import LOCK_FILES, Lock

MARK = ".made-by-hf-embeddings"
ATTEMPTS = 5  # to take a directory that others remove meanwhile


def claim(folder: Path) -> None:
    """Make a directory with the mark, or find one that carries it; an empty one, as a kill may leave it, is marked.

    Raises:
        ValueError: something else is there.
    """
    if (folder.exists() or folder.is_symlink()) and not is_ours(folder):
        raise ValueError(
            f"{folder}: is needed for the work, but is there without the mark of hf-embeddings; rename it, choose "
            "another target, or remove it if an older version left it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / MARK).touch()
    except OSError:  # a full disk
        with suppress(OSError):  # another process works in it
            folder.rmdir()
        raise


@contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """Yield a directory for the work that is empty, ours alone until the block ends, and gone then.

    Raises:
        ValueError: something else is there, or a live process holds it.
    """
    lock = claim_locked(folder)
    try:
        clear(folder)
        yield folder
    finally:
        remove_locked(folder, lock)


def claim_locked(folder: Path) -> Lock:
    """Claim a directory and take its lock; what another process, just leaving, has swept away is made again.

    Raises:
        ValueError: something else is there, or a live process holds it.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(FileNotFoundError):
            return _claim_locked(folder)
    return _claim_locked(folder)


def _claim_locked(folder: Path) -> Lock:
    claim(folder)
    try:
        lock = Lock(folder)
    except FileNotFoundError:
        raise
    except OSError:  # a full disk
        remove_claimed(folder)
        raise
    try:
        (folder / MARK).touch()  # whoever left just before has taken the mark along
    except FileNotFoundError:
        raise
    except OSError:
        remove_locked(folder, lock)
        raise
    return lock


def remove_locked(folder: Path, lock: Lock) -> None:
    """Remove a claimed directory whose lock is held, and release it; another process may take it at any moment."""
    clear(folder)
    (folder / MARK).unlink(missing_ok=True)
    lock.release()
    with suppress(OSError):  # another process has taken it
        folder.rmdir()


def sweep(folder: Path) -> None:
    """Remove what an interrupted process left of a claimed directory; leave any other alone, and one that is in use."""
    if is_ours(folder):
        with suppress(ValueError, FileNotFoundError):  # a live process holds it, or has just removed it
            remove_locked(folder, claim_locked(folder))


def is_ours(folder: Path) -> bool:
    """Tell whether a directory carries the mark, or is empty, as a kill leaves it before and after the mark."""
    return not folder.is_symlink() and ((folder / MARK).is_file() or _is_empty(folder))


def _is_empty(folder: Path) -> bool:
    """Tell whether a directory holds nothing, or nothing but a lock: what a kill leaves at the begin or the end."""
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= set(LOCK_FILES)


def refuse_inside(target: Path, inputs: Mapping[str, str | Path | None]) -> None:
    """Refuse to replace a directory that holds, or is, something that is read.

    Args:
        target: the directory that would be replaced.
        inputs: files, globs and directories, by the name of the option that gives them; None where it is not given.

    Raises:
        ValueError: which of them lies there.
    """
    for name, path in inputs.items():
        if path is not None and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(target)):
            raise ValueError(f"{name}: {path} lies in {target}, which would be overwritten; choose another directory")


def refuse_within(target: Path, inputs: Mapping[str, str | Path | None]) -> None:
    """Refuse to make a directory in one that is read: the next one to read, or publish, that would find it there.

    Args:
        target: the directory to make.
        inputs: as for `refuse_inside`.

    Raises:
        ValueError: which of them it would lie in.
    """
    for name, path in inputs.items():
        if path is not None and Path(os.path.realpath(target)).is_relative_to(os.path.realpath(path)):
            raise ValueError(f"{name}: {target} would lie in {path}, which is read; choose a directory beside it")


def refuse_link(target: Path) -> None:
    """Refuse to replace a directory through a link to it: what the link leads to may be another's.

    Raises:
        ValueError: the target is a link.
    """
    if target.is_symlink():
        raise ValueError(f"{target}: is a link to {os.readlink(target)}; give the directory itself, or another name")


def clear(folder: Path) -> None:
    """Empty a claimed directory, but for its mark and its lock."""
    for path in folder.iterdir():
        if path.name not in (MARK, *LOCK_FILES):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def remove_claimed(folder: Path) -> None:
    """Remove a claimed directory, the mark last; leave any other alone."""
    if not is_ours(folder):
        return
    clear(folder)
    for name in (*LOCK_FILES, MARK):
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()
