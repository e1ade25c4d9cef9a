"""Directories that are whole or absent: made beside their place, then moved there in one step."""

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hf_embeddings.files.atomic import called, fsync_directory
from hf_embeddings.files.modes import as_umask_says
from hf_embeddings.files.ownership import refuse_inside, refuse_link, refuse_within, workplace

_OF_FILES = frozenset(".onnx .safetensors .bin .pt .json .jsonl .yaml .yml .csv .tsv .txt .parquet .sqlite".split())
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of renameat2(2), Linux 3.15


def check_target(target: Path, *, inputs: Mapping[str, str | Path | None], overwrite: bool) -> None:
    """Refuse a directory that may not be replaced; verbs ask before their work, `staged_directory` asks again.

    Args:
        target: the directory to make.
        inputs: what is read, by the names of its options: none of it may lie in the target, nor the target in it.
        overwrite: whether a target that is not empty may be replaced.

    Raises:
        ValueError: the target is a link, a file or named like one, not empty, or holds what is read, or lies in it.
    """
    target = Path(os.path.abspath(target))
    refuse_inside(target, inputs)
    refuse_within(target, inputs)
    refuse_link(target)
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target}: a file; expected a directory to write")
    refuse_file_name(target)
    if target.exists() and any(target.iterdir()) and not overwrite:
        raise ValueError(f"{target}: not empty; choose another directory, or give --overwrite to replace it")


def refuse_file_name(target: Path) -> None:
    """Refuse to make a directory whose name is that of a file: where it was expected, nothing would find one.

    Raises:
        ValueError: nothing is there, and the name ends as those of files do.
    """
    if target.suffix.lower() in _OF_FILES and not target.exists():
        raise ValueError(f"{target}: got the name of a file, expected one of a directory; leave {target.suffix} out")


@contextmanager
def staged_directory(target: Path, *, inputs: Mapping[str, str | Path | None], overwrite: bool) -> Iterator[Path]:
    """Yield an empty directory that becomes `target` if the block succeeds, and disappears if it does not.

    Until then `target` is as it was. The work stands beside it, in `.NAME.staged`, with a lock: two writers of one
    target are refused, and what a killed one left is swept up by the next.

    Args:
        target: the directory to make.
        inputs: what is read, by the names of its options: none of it may lie in the target, nor the target in it.
        overwrite: whether a target that is not empty may be replaced.

    Raises:
        ValueError: as `check_target`, or the target is being written.
    """
    check_target(target, inputs=inputs, overwrite=overwrite)
    target = Path(os.path.abspath(target))
    work = target.with_name(f".{target.name}.staged")
    stage = work / target.name
    with called(work, target), called(stage, target), workplace(work):
        stage.mkdir()
        yield stage
        take_place(stage, target)


def take_place(stage: Path, target: Path) -> None:
    """Let a directory take the place of another at once; what was there is then in the place of the first, or gone."""
    as_umask_says(stage)
    fsync_directory(stage)
    if not target.exists():
        stage.rename(target)
    elif not _exchange(stage, target):
        # A kill between these two leaves the old one beside the target; the system can do no better.
        old = target.with_name(f".{target.name}.replaced")
        target.rename(old)
        stage.rename(target)
        shutil.rmtree(old)
    fsync_directory(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names at once; return whether this system can."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    return call is not None and call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0
