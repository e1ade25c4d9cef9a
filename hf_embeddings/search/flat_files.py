"""The flat files of an index: vectors and what a search reads of them, mapped into memory.

    vectors-G.f32       (N, D) fp32                G counts rewritings
    codes-G.i8          (N, D) int8                what a search reads: see `scan.py`
    scales-G.f32        (N, 3) fp32

They only grow. How many rows of them count is for the database to say: what stands behind is the rest of an interrupted
addition and is cut off by the next.

Shapes: N rows, D features, M rows of one addition.
"""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from hf_embeddings.files.atomic import fsync_directory
from hf_embeddings.search import scan

KINDS = {"vectors": (np.float32, "f32"), "codes": (np.int8, "i8"), "scales": (np.float32, "f32")}
_SCALES = 3  # columns


class FlatFiles:
    """The files of one generation in a folder."""

    def __init__(self, folder: Path, generation: int, dimension: int) -> None:
        self.folder, self.generation, self.dimension = folder, generation, dimension

    def append(self, first: int, vectors: np.ndarray) -> str:
        """Write rows (M, D) behind the first ones, force them to disk, and return their sha256.

        Raises:
            ValueError: a file has fewer rows than those `first` that were committed.
        """
        codes = scan.quantize(vectors)
        parts = {"vectors": vectors, "codes": codes.codes, "scales": codes.scales}
        for name, part in parts.items():
            path, committed_bytes = self._path(name), first * self._row_bytes(name)
            with open(path, "r+b" if path.exists() else "w+b") as file:
                if (size := file.seek(0, os.SEEK_END)) < committed_bytes:
                    raise ValueError(
                        f"{path}: shorter than the {committed_bytes} bytes that are committed; build it again"
                    )
                if size > committed_bytes:
                    file.truncate(committed_bytes)
                file.seek(committed_bytes)
                if part.size:
                    file.write(np.ascontiguousarray(part).data.cast("B"))  # tofile does not say why it fails
                file.flush()
                os.fsync(file.fileno())
        fsync_directory(self.folder)
        return _digest(part.tobytes() for part in parts.values())

    def map(self, rows: int) -> dict[str, np.ndarray]:
        """Return the first rows of each file.

        Raises:
            ValueError: a file has fewer.
        """
        return {name: self._map(name, rows) for name in KINDS}

    def drop(self) -> None:
        """Remove the files of this generation, which was not finished."""
        for name in KINDS:
            self._path(name).unlink(missing_ok=True)

    def drop_others(self) -> None:
        """Remove the files of other generations."""
        current = {self._path(name) for name in KINDS}
        for name, (_, suffix) in KINDS.items():
            for path in self.folder.glob(f"{name}-*.{suffix}"):
                if path not in current:
                    with suppress(PermissionError):  # on Windows, where others still read it: the next one removes it
                        path.unlink()

    def _map(self, name: str, rows: int) -> np.ndarray:
        shape, dtype = (rows, self._columns(name)), KINDS[name][0]
        if not rows:
            return np.empty(shape, dtype)
        path, expected_bytes = self._path(name), rows * self._row_bytes(name)
        actual_bytes = path.stat().st_size if path.exists() else 0
        if actual_bytes < expected_bytes:
            raise ValueError(
                f"{path}: {actual_bytes} bytes, expected {expected_bytes} or more; restore it, or build the index again"
            )
        return np.memmap(path, dtype, mode="c", shape=shape)  # a private map: torch wants writable memory

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}-{self.generation}.{KINDS[name][1]}"

    def _columns(self, name: str) -> int:
        return _SCALES if name == "scales" else self.dimension

    def _row_bytes(self, name: str) -> int:
        return self._columns(name) * np.dtype(KINDS[name][0]).itemsize


def digest_rows(maps: dict[str, np.ndarray], rows: slice) -> str:
    """Return the sha256 of rows in all files, as `append` does."""
    return _digest(np.ascontiguousarray(maps[name][rows]).tobytes() for name in KINDS)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
