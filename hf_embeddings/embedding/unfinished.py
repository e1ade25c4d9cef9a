"""The place where a student is trained: an interruption leaves it, and the next call goes on from there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_embeddings.files.ownership import claim_locked, clear, remove_locked

START = "start"  # the student before its training, in the place to work


def place_to_work(target: Path) -> Path:
    """Return the directory in which the student for a target is trained."""
    return target.with_name(f"{target.name}.partial")


@contextmanager
def unfinished(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield `TARGET.partial`, ours alone; it is gone when the block succeeds, and stays for a resume when it does not.

    What was refused before anything was begun there leaves nothing.

    Args:
        target: what is made.
        overwrite: begin anew.

    Raises:
        ValueError: something else is there, or a live process works in it.
    """
    work = place_to_work(target)
    is_new = not work.exists()
    lock = claim_locked(work)
    if overwrite:
        clear(work)
    shutil.rmtree(work / START, ignore_errors=True)  # it is made anew, as the same
    try:
        yield work
    except BaseException as error:
        if is_new and isinstance(error, ValueError):
            remove_locked(work, lock)
        else:
            lock.release()
        raise
    remove_locked(work, lock)
