"""Directions that tell two groups apart, taken out of vectors.

Hard debiasing is that of Bolukbasi et al. 2016, https://arxiv.org/abs/1607.06520; for sentences, of Liang et al. 2020,
https://arxiv.org/abs/2007.08100. Shapes: N vectors, P pairs, D width, K directions.
"""

import numpy as np

_ROUNDING = 1e-9  # a length below this share of the vector's own is rounding


def bias_directions(first: np.ndarray, second: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the directions in which the vectors of pairs differ most: principal components of the halved differences.

    Args:
        first: (P, D), such as the vectors of `he`.
        second: (P, D), those of `she`.
        count: K.

    Returns:
        (K, D) orthonormal rows, in fp64, and (K,) the share of the squared differences that each explains.

    Raises:
        ValueError: the pairs differ in fewer directions.
    """
    differences = (np.asarray(first, np.float64) - np.asarray(second, np.float64)) / 2  # of each to the pair's centre
    _, lengths, rows = np.linalg.svd(differences, full_matrices=False)
    squares = lengths**2
    found = int((lengths > _ROUNDING * max(1.0, float(lengths.max(initial=0)))).sum())
    if count > found:
        raise ValueError(f"{count} directions: the pairs differ in {found}; ask for fewer, or give more pairs")
    return rows[:count], squares[:count] / squares.sum()


def without(vectors: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return vectors (N, D) without what they have along orthonormal directions (K, D): neutralize."""
    return vectors - (vectors @ directions.T) @ directions


def projection(directions: np.ndarray) -> np.ndarray:
    """Return the matrix (D, D) that takes directions (K, D) out of vectors."""
    return np.eye(directions.shape[1]) - directions.T @ directions


def equalized(first: np.ndarray, second: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs (P, D) that differ along the directions (K, D) only, as far to either side.

    As the paper has it, for vectors of any length: both get the mean of what the two have elsewhere, and the length
    that they have in the mean of squares.
    """
    middle = (first + second) / 2
    neutral = without(middle, directions)
    squares = ((first**2).sum(1) + (second**2).sum(1)) / 2 - (neutral**2).sum(1)
    offset = (first - second) @ directions.T @ directions
    lengths = np.linalg.norm(offset, axis=1)
    scale = np.sqrt(np.maximum(squares, 0)) / np.where(lengths > 0, lengths, 1)
    return neutral + offset * scale[:, None], neutral - offset * scale[:, None]
