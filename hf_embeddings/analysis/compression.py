"""Smaller vectors and what they keep: truncated dimensions, 8 bits, one bit.

Shapes: N vectors, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hf_embeddings.analysis.geometry import neighbours


@dataclass(frozen=True)
class VectorFormat:
    """One way to store vectors, and what it keeps of the cosines in fp32 at full width."""

    width: int
    precision: str
    bytes_per_vector: int
    neighbours_kept: float  # share of the 10 nearest neighbours that stay among the 10 nearest


def truncate(vectors: np.ndarray, width: int) -> np.ndarray:
    """Keep the first dimensions, as Matryoshka models are trained for (https://arxiv.org/abs/2205.13147)."""
    return vectors[:, :width]


def to_int8(vectors: np.ndarray, *, ranges: np.ndarray | None = None) -> np.ndarray:
    """Round each dimension to 256 steps of its range; return the values that the steps stand for.

    Args:
        vectors: (N, D).
        ranges: (2, D) least and largest value of each dimension; of `vectors` themselves if left out.
    """
    low, high = (vectors.min(axis=0), vectors.max(axis=0)) if ranges is None else ranges
    step = np.where(high > low, (high - low) / 255, 1)
    return (np.clip(np.round((vectors - low) / step), 0, 255) * step + low).astype(vectors.dtype)


def to_binary(vectors: np.ndarray, *, ranges: np.ndarray | None = None) -> np.ndarray:
    """Keep the sign of each dimension; the cosine of the results is 1 - 2 hamming / D."""
    return np.where(vectors > 0, 1, -1).astype(vectors.dtype)


def as_they_are(vectors: np.ndarray, *, ranges: np.ndarray | None = None) -> np.ndarray:
    """Keep fp32."""
    return vectors


PRECISIONS: dict[str, tuple[Callable[..., np.ndarray], float]] = {  # bytes per dimension
    "fp32": (as_they_are, 4),
    "int8": (to_int8, 1),
    "binary": (to_binary, 1 / 8),
}


def compressed(vectors: np.ndarray, width: int, precision: str, *, ranges: np.ndarray | None = None) -> np.ndarray:
    """Return the vectors as they are read back after storing them at a width and precision."""
    short_vectors = truncate(vectors, width)
    return PRECISIONS[precision][0](short_vectors, ranges=None if ranges is None else ranges[:, :width])


def widths(full: int) -> list[int]:
    """Return the widths to compare: the full one, then halves down to 16."""
    all_widths = [full]
    while all_widths[-1] // 2 >= 16:
        all_widths.append(all_widths[-1] // 2)
    return all_widths


def compare_sizes(vectors: np.ndarray, *, k: int = 10) -> list[VectorFormat]:
    """Measure every width and precision on (N, D) vectors.

    Raises:
        ValueError: there is only one, which has no neighbours.
    """
    if len(vectors) < 2:
        raise ValueError(f"sizes: got {len(vectors)} vectors, expected at least 2; give more texts")
    k = min(k, len(vectors) - 1)
    exact_rows = neighbours(vectors, k)
    sizes = []
    for width in widths(vectors.shape[1]):
        for precision, (_, bytes_each) in PRECISIONS.items():
            own_rows = neighbours(compressed(vectors, width, precision), k)
            kept_share = np.mean(
                [len(set(a) & set(b)) / k for a, b in zip(exact_rows.tolist(), own_rows.tolist(), strict=True)]
            )
            sizes.append(VectorFormat(width, precision, int(np.ceil(width * bytes_each)), float(kept_share)))
    return sizes
