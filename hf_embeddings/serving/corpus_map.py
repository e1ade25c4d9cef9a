"""A map of an index in two dimensions: the plane in which its vectors differ most.

Shapes: N rows, D features.
"""

from dataclasses import dataclass

import numpy as np

from hf_embeddings.search.index import Index

SAMPLE_ROWS = 5000  # points a browser draws at once; spread evenly over larger indexes


@dataclass(frozen=True)
class CorpusMap:
    """Principal plane of vectors, and the records that were placed on it."""

    mean: np.ndarray  # (D,)
    axes: np.ndarray  # (D, 2)
    points: list[dict[str, object]]  # x, y, label, id

    def place(self, vectors: np.ndarray) -> np.ndarray:
        """Return the places (N, 2) of vectors (N, D)."""
        return (vectors - self.mean) @ self.axes


def draw_map(index: Index) -> CorpusMap:
    """Place a sample of the records by principal component analysis."""
    records, vectors = index.sample(SAMPLE_ROWS)
    mean = vectors.mean(axis=0) if len(vectors) else np.zeros(index.dimension, np.float32)
    centred_vectors = (vectors - mean).astype(np.float64)
    _, directions = np.linalg.eigh(centred_vectors.T @ centred_vectors)  # rising eigenvalues
    axes = directions[:, ::-1][:, :2]
    # The sign of an axis is arbitrary: the largest entry is made positive, so that the same index has the same map.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    places = centred_vectors @ axes
    points = [
        {"x": float(x), "y": float(y), "label": record.title or record.text[:80], "id": record.id}
        for record, (x, y) in zip(records, places, strict=True)
    ]
    return CorpusMap(mean, axes, points)
