"""How a set of vectors fills its space: isotropy, rank, hubs, outliers, rows that training never touched.

Shapes: N vectors, D width.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hf_embeddings.json_record import JsonRecord

_BLOCK = 1024  # rows of similarities held at once
_SAME = 1e-12  # a variance below this share of the mean square is rounding
_SAME_NORM = 1e-6  # as a share of the largest norm


@dataclass(frozen=True)
class Isotropy(JsonRecord):
    """Four views on how evenly vectors use their directions."""

    iso_score: float  # 0: one direction holds all variance; 1: all directions hold the same
    partition_score: float  # 0 .. 1, 1: the same mass in all directions
    mean_cosine: float  # of two different vectors; 0 for directions drawn evenly
    effective_rank: float  # 1 .. D


@dataclass(frozen=True)
class Hubness:
    """How unevenly vectors appear among the k nearest neighbours of the others."""

    k: int
    skewness: float  # of the k-occurrences; 0: even, above 1: hubs
    most: int  # k-occurrence of the greatest hub
    never: float  # share of vectors that are nobody's neighbour
    hubs: list[int]  # rows of the five greatest, in order


def isotropy(vectors: np.ndarray) -> Isotropy:
    """Measure (N, D) vectors, N > 1; rows of zeros are left out."""
    vectors = vectors[np.any(vectors != 0, axis=1)].astype(np.float64)
    if len(vectors) < 2:
        raise ValueError(f"isotropy: got {len(vectors)} vectors that are not zero, expected at least 2")
    return Isotropy(iso_score(vectors), partition_score(vectors), mean_cosine(vectors), effective_rank(vectors))


def iso_score(vectors: np.ndarray) -> float:
    """Return IsoScore of (N, D) (https://arxiv.org/abs/2108.07344, algorithm 1); 0 where all vectors are the same."""
    width = vectors.shape[1]
    if width == 1:
        return 1.0
    variances = np.linalg.eigvalsh(np.cov(vectors, rowvar=False))
    if not np.abs(variances).max() > _SAME * (vectors**2).mean():
        return 0.0  # all vectors are the same
    spectrum = math.sqrt(width) * variances / np.linalg.norm(variances)
    defect = np.linalg.norm(spectrum - 1) / math.sqrt(2 * (width - math.sqrt(width)))  # 0 .. 1
    share_in_use = (width - defect**2 * (width - math.sqrt(width))) ** 2 / width**2  # share of directions in use
    return float(np.clip((width * share_in_use - 1) / (width - 1), 0, 1))


def partition_score(vectors: np.ndarray) -> float:
    """Return I(W) = min Z(c) / max Z(c), Z(c) = sum_w exp(c . w), c the eigenvectors of W'W and their negatives.

    https://openreview.net/forum?id=HkuGJ3kCb, section 2.2. Follows the norm of the vectors: scale matters.
    """
    directions = np.linalg.eigh(vectors.T @ vectors)[1]  # (D, D)
    products = vectors @ np.concatenate([directions, -directions], axis=1)  # (N, 2D)
    top = products.max(axis=0)
    log_sums = np.log(np.exp(products - top).sum(axis=0)) + top
    return float(np.exp(log_sums.min() - log_sums.max()))


def mean_cosine(vectors: np.ndarray) -> float:
    """Return the mean cosine over all pairs of different rows of (N, D)."""
    unit, count = unit_rows(vectors), len(vectors)
    return float((np.linalg.norm(unit.sum(axis=0)) ** 2 - count) / (count * (count - 1)))


def effective_rank(vectors: np.ndarray) -> float:
    """Return exp(entropy of the singular values) of the centred (N, D) (Roy and Vetterli 2007)."""
    variances = np.linalg.eigvalsh(np.cov(vectors, rowvar=False).reshape(vectors.shape[1], -1))
    values = np.sqrt(np.maximum(variances, 0))
    if not values.max() ** 2 > _SAME * (vectors**2).mean():
        return 1.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def hubness(vectors: np.ndarray, *, k: int = 10) -> Hubness:
    """Measure the k-occurrences of (N, D) by cosine (https://jmlr.org/papers/v11/radovanovic10a.html)."""
    k = min(k, len(vectors) - 1)
    counts = np.bincount(neighbours(vectors, k).ravel(), minlength=len(vectors)).astype(float)
    spread = counts.std()
    skewness = ((counts - counts.mean()) ** 3).mean() / spread**3 if spread else 0.0
    hubs = np.argsort(-counts, kind="stable")[:5]
    return Hubness(k, float(skewness), int(counts.max()), float((counts == 0).mean()), hubs.tolist())


def neighbours(vectors: np.ndarray, k: int) -> np.ndarray:
    """Return the rows (N, k) nearest to each row by cosine, nearest first, itself left out."""
    unit = unit_rows(vectors.astype(np.float32))
    nearest_rows = np.empty((len(unit), k), dtype=np.int64)
    for start, similarities in _similarities(unit):
        rows = np.arange(len(similarities))
        similarities[rows, start + rows] = -np.inf
        nearest = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(similarities, nearest, axis=1), axis=1, kind="stable")
        nearest_rows[start : start + len(rows)] = np.take_along_axis(nearest, order, axis=1)
    return nearest_rows


def norm_outliers(vectors: np.ndarray, *, threshold: float = 6.0) -> list[tuple[int, float]]:
    """Return (row, robust z-score) where the norm lies far from the median, farthest first.

    The score is the distance to the median in units of 1.4826 times the median absolute deviation, which counts as at
    least a millionth of the largest norm.
    """
    norms = np.linalg.norm(vectors, axis=1)
    distance = norms - np.median(norms)
    # Rows that were all scaled to one length differ by rounding only, which is no scale.
    scale = max(1.4826 * np.median(np.abs(distance)), _SAME_NORM * norms.max())
    scores = distance / scale if scale else distance
    rows = np.flatnonzero(np.abs(scores) > threshold)
    return [(int(row), float(scores[row])) for row in sorted(rows, key=lambda row: -abs(scores[row]))]


def repeated_rows(vectors: np.ndarray) -> list[list[int]]:
    """Return the groups of rows that are equal to the last bit."""
    _, inverse, counts = np.unique(vectors, axis=0, return_inverse=True, return_counts=True)
    return [np.flatnonzero(inverse == group).tolist() for group in np.flatnonzero(counts > 1)]


def untrained_rows(vectors: np.ndarray, unused_ids: np.ndarray) -> list[int]:
    """Return the rows that look like rows known to be unused, those themselves left out.

    Tokens that training never saw keep together: a row is listed where it is at least as close to the mean of the
    unused rows as the median of them is (after https://arxiv.org/abs/2405.05417, which takes the cosine).

    Args:
        vectors: (N, D) the token table.
        unused_ids: ids of at least 4 tokens that no text contains, such as `[unused1]` or padding rows of the table.
    """
    centred_vectors = vectors - vectors.mean(axis=0)
    reference = centred_vectors[unused_ids].mean(axis=0)
    distance = np.linalg.norm(centred_vectors - reference, axis=1)
    is_alike = distance <= np.median(distance[unused_ids])
    is_alike[unused_ids] = False
    return np.flatnonzero(is_alike).tolist()


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return rows of length 1; rows of zeros stay zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms == 0, 1, norms)


def _similarities(unit: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(unit), _BLOCK):
        yield start, unit[start : start + _BLOCK] @ unit.T
