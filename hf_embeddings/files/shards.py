"""Shards: arrays on disk as safetensors files, and the arrays of many shards as one.

A whole array is memory-mapped. What is scattered is read by its place instead: kernels map files in large pieces, so
that touching some hundred places of a corpus would map gigabytes. safetensors is read here by hand, for its own numpy
reader copies: eight bytes with the length of a JSON header, the header, which gives each array its type, shape and
place, then the bytes (https://github.com/huggingface/safetensors).
"""

import json
import mmap
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from hf_embeddings.files.atomic import replacing
from hf_embeddings.files.manifest import FileFacts, file_facts
from hf_embeddings.files.modes import as_umask_says
from hf_embeddings.files.reading import check_file

FAR = 4096  # rows between neighbours in an index from which on they are read apart
OPEN_SHARDS = 512  # each holds a file descriptor, of which processes often have 1024
_BLOCK = 1 << 20  # bytes written at a time
_TYPES = {"BOOL": "?", "U8": "u1", "U16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8", "U64": "<u8"}


class ShardError(ValueError):
    """A shard that is not what it should be: which, what was found, what was expected, what to do."""


def write_shard(path: Path, arrays: Mapping[str, np.ndarray]) -> FileFacts:
    """Write arrays to a file that is whole or absent; return its size and SHA-256 sum."""
    with replacing(path) as staging_path:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, staging_path)
        as_umask_says(staging_path)
        return file_facts(staging_path)


def mapped_zeros(path: Path, count: int) -> np.ndarray:
    """Return an array (count,) of bytes, all 0, that is a new file; the space for it is taken now.

    A page of a mapped file that finds no space when it is written ends the process (SIGBUS); here it is an OSError.
    """
    with path.open("wb") as file:
        for start in range(0, count, _BLOCK):
            file.write(bytes(min(_BLOCK, count - start)))
    return np.memmap(path, dtype=np.uint8, mode="r+", shape=(count,))


class Shard:
    """An open shard, whose file stays open as long as it is referred to."""

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises:
            ShardError: the file is not a shard, or shorter than its header says.
        """
        self.path = path
        try:
            check_file(path)
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115
            size = int.from_bytes(self._file.read(8), "little")
            header = json.loads(self._file.read(size))
            self._layout = {
                name: (np.dtype(_TYPES[entry["dtype"]]), entry["shape"], 8 + size + entry["data_offsets"][0])
                for name, entry in header.items()
                if name != "__metadata__"
            }
            ends = [8 + size + entry["data_offsets"][1] for entry in header.values() if "data_offsets" in entry]
            if os.fstat(self._file.fileno()).st_size != max(ends):
                raise ValueError("its size is not that of its header")
        except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, MemoryError) as error:
            raise self._unreadable(error) from error

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a whole array as a view of the file."""
        dtype, shape, offset = self._place(name)
        buffer = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        count = int(np.prod(shape))
        return np.frombuffer(buffer, np.uint8)[offset : offset + count * dtype.itemsize].view(dtype).reshape(shape)

    def rows(self, name: str, first: int, last: int) -> np.ndarray:
        """Return the rows `first` to `last`, the latter not included, of an array."""
        dtype, (_, *rest), offset = self._place(name)
        row = dtype.itemsize * int(np.prod(rest))
        try:
            data = _read(self._file.fileno(), (last - first) * row, offset + first * row)
        except OSError as error:
            raise self._unreadable(error) from error
        if len(data) < (last - first) * row:
            raise self._unreadable(ValueError("it has become shorter"))
        return np.frombuffer(data, dtype).reshape(last - first, *rest)

    def _place(self, name: str) -> tuple[np.dtype[Any], list[int], int]:
        if name not in self._layout:
            raise self._unreadable(ValueError(f"it has no {name}"))
        return self._layout[name]

    def _unreadable(self, error: Exception) -> ShardError:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        return ShardError(f"{self.path}: cannot be read as a shard ({reason}); prepare the corpus again")


def _read(file: int, size: int, offset: int) -> bytes:
    """Read a part of a file without moving the position in it, which processes may share."""
    if hasattr(os, "pread"):
        return os.pread(file, size, offset)
    with mmap.mmap(file, 0, access=mmap.ACCESS_READ) as buffer:  # Windows
        return buffer[offset : offset + size]


@lru_cache(maxsize=OPEN_SHARDS)
def open_shard(path: Path) -> Shard:
    """Return a shard, open from the last time if that was not long ago."""
    return Shard(path)


class Joined:
    """Arrays of many shards as one, read by numpy's indexing; only what is asked for is read.

    Rows of shards count from the beginning of their shard. Where they stand in the whole is added to them, so that they
    point into the other joined arrays.
    """

    def __init__(self, paths: Sequence[Path], name: str, counts: np.ndarray, shifts: np.ndarray | None = None) -> None:
        """Describe the array `name` of the shards.

        Args:
            paths: of the shards, P.
            name: of the array in each of them.
            counts: (P,) number of rows.
            shifts: (P,) or (P, columns), what is added to the rows of each shard.
        """
        self._paths, self._name, self._shifts = list(paths), name, shifts
        self._starts = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        """Return rows, in the order asked for."""
        if isinstance(index, slice):
            return self._slice(*index.indices(len(self)))
        if not isinstance(index, np.ndarray):
            return self._slice(int(index), int(index) + 1, 1)[0]
        owners = np.searchsorted(self._starts, index, side="right") - 1
        # Neighbours in the index are mostly neighbours in a shard: each run of them is read at once.
        apart = (np.diff(owners) != 0) | (np.abs(np.diff(index)) > FAR)
        bounds = [0, *(np.flatnonzero(apart) + 1).tolist(), len(index)]
        runs = [self._scattered(int(owners[a]), index[a:b]) for a, b in zip(bounds, bounds[1:], strict=False) if b > a]
        return np.concatenate(runs) if runs else self._rows(0, 0, 0)

    def _slice(self, start: int, stop: int, step: int) -> np.ndarray:
        if step != 1:
            return self[np.arange(start, stop, step)]
        first, last = np.searchsorted(self._starts, (start, max(stop - 1, start)), side="right") - 1
        runs = [
            self._rows(owner, max(start, int(self._starts[owner])), min(stop, int(self._starts[owner + 1])))
            for owner in range(first, min(int(last), len(self._paths) - 1) + 1)
        ]
        return runs[0] if len(runs) == 1 else np.concatenate(runs)

    def _scattered(self, owner: int, index: np.ndarray) -> np.ndarray:
        low = int(index.min())
        return self._rows(owner, low, int(index.max()) + 1)[index - low]

    def _rows(self, owner: int, first: int, last: int) -> np.ndarray:
        begin = int(self._starts[owner])
        rows = open_shard(self._paths[owner]).rows(self._name, first - begin, max(first, last) - begin)
        return rows if self._shifts is None else rows + self._shifts[owner]
