"""Approximate search: a graph of near neighbours (HNSW, https://arxiv.org/abs/1603.09320) beside an index, by faiss.

The graph proposes rows and the index scores them exactly, from its fp32 vectors: scores are never approximate, but a
row may be missed. `graph-G.faiss` (G as in `flat_files.py`) holds the first rows of the index in 8 bits. Rows of one
generation never change, so a graph is only ever behind: the missing rows are added when it is opened, and rows that
come later are scanned.

Shapes: N rows, D features, K results.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from hf_embeddings.pip_extras import cure
from hf_embeddings.search import scan
from hf_embeddings.search.index import Index

if TYPE_CHECKING:
    import faiss

NEIGHBOURS = 32  # of each row in the graph
BUILD_BREADTH = 120  # candidates looked at to place a row
SEARCH_BREADTH = 128  # candidates looked at for a query, at least
CANDIDATES = 4  # proposed for each row asked for: the 8 bits of the graph may order near ones wrongly
_ROWS, _SAMPLE = 8192, 65536  # added at once, and looked at to choose the 8 bits


class Graph:
    """Nearest rows of an index, found by its graph; `graph.nearest` is what `Index.search` takes."""

    def __init__(self, index: Index, progress: Callable[[int], None] = lambda rows: None) -> None:
        """Open the graph of an index, and build or extend it first; `progress` is called with the rows just added.

        Raises:
            ValueError: faiss is not installed, or the file is damaged.
        """
        self.faiss, self.index = _faiss(), index
        index.refresh()
        self.generation, self.path = index.generation, graph_path(index)
        self.graph = self._read() if self.path.is_file() else self._new()
        if self.graph.ntotal < index.rows:
            self._extend(progress)

    def nearest(self, query: np.ndarray, k: int, is_allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return rows (K,) with nearly always the highest scores among the allowed (N,), and the scores."""
        index, graph_rows = self.index, self.graph.ntotal
        if index.generation != self.generation or k * CANDIDATES >= graph_rows:
            return index.nearest(query, k, is_allowed)  # rewritten by someone, or all rows are candidates anyhow
        rows = self._propose(query, k * CANDIDATES, is_allowed)
        if len(rows) < k:  # the graph leads to few of the allowed rows
            return index.nearest(query, k, is_allowed)
        later = slice(graph_rows, index.rows)
        if index.rows > graph_rows:
            codes = scan.Codes(index.codes.codes[later], index.codes.scales[later])
            ((new, _),) = scan.search_exactly(
                query[None], index.maps["vectors"][later], codes, k, None if is_allowed is None else is_allowed[later]
            )
            rows = np.concatenate([rows, new + graph_rows])
        scores = scan.exact_scores(query[None], index.vectors_of(rows))[0]
        best = np.lexsort((rows, -scores))[:k]
        return rows[best], scores[best]

    def _propose(self, query: np.ndarray, count: int, is_allowed: np.ndarray | None) -> np.ndarray:
        faiss, graph_rows = self.faiss, self.graph.ntotal
        options = {"efSearch": max(SEARCH_BREADTH, count)}
        if is_allowed is not None:
            bits = np.packbits(is_allowed[:graph_rows], bitorder="little")
            options["sel"] = faiss.IDSelectorBitmap(bits)
        _, rows = self.graph.search(query[None], count, params=faiss.SearchParametersHNSW(**options))
        return rows[0][rows[0] >= 0]

    def _extend(self, progress: Callable[[int], None]) -> None:
        vectors = self.index.maps["vectors"]
        progress(self.graph.ntotal)
        if not self.graph.is_trained:  # on the range of values: the first rows may be of one kind
            sample = np.linspace(0, self.index.rows - 1, min(_SAMPLE, self.index.rows)).astype(np.int64)
            self.graph.train(self.index.vectors_of(sample))
        for start in range(self.graph.ntotal, self.index.rows, _ROWS):
            block = np.ascontiguousarray(vectors[start : start + _ROWS])
            self.graph.add(block)
            progress(len(block))
        staging_path = self.path.with_suffix(f".{os.getpid()}.new")
        self.faiss.write_index(self.graph, str(staging_path))
        os.replace(staging_path, self.path)
        drop_graphs(self.index, but=self.path)

    def _new(self) -> "faiss.IndexHNSWSQ":
        faiss = self.faiss
        graph = faiss.IndexHNSWSQ(
            self.index.dimension, faiss.ScalarQuantizer.QT_8bit, NEIGHBOURS, faiss.METRIC_INNER_PRODUCT
        )
        graph.hnsw.efConstruction = BUILD_BREADTH
        return graph

    def _read(self) -> "faiss.IndexHNSWSQ":
        try:
            graph = self.faiss.read_index(str(self.path))
        except RuntimeError:
            graph = None
        if graph is None or graph.d != self.index.dimension or graph.ntotal > self.index.rows:
            raise ValueError(f"{self.path}: damaged, or of another index; remove the file, and it is built again")
        return graph


def graph_path(index: Index) -> Path:
    """Return where the graph of an index is."""
    return index.folder / f"graph-{index.generation}.faiss"


def drop_graphs(index: Index, *, but: Path) -> None:
    """Remove graphs of former generations of an index."""
    for path in index.folder.glob("graph-*.faiss"):
        if path != but:
            with suppress(PermissionError):  # on Windows, where others still read it: the next one removes it
                path.unlink()


def _faiss() -> ModuleType:
    try:
        import faiss
    except ImportError:
        raise ValueError(f"faiss: not installed; {cure('search')}") from None
    return faiss
