"""Whether a classifier finds which of two groups a vector belongs to.

Gonen and Goldberg 2019, https://arxiv.org/abs/1903.03862: after a bias direction is taken out of word vectors, words of
one group still lie together. Shapes: N vectors, D width.
"""

import numpy as np

from hf_embeddings.analysis.geometry import unit_rows

RIDGE = 1e-2


def group_accuracy(vectors: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> float:
    """Return the share of vectors whose group is found, with what was learned from the others: 0.5 is chance.

    Each half of the vectors is labelled by a regression with a Gaussian kernel on the other half, of width
    sqrt(2 x median squared distance). Directions of the vectors count, not their lengths.

    Args:
        vectors: (N, D).
        labels: (N,) bool, about as many of each.
        seed: of the halves.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    rows, signs = unit_rows(vectors[order].astype(np.float64)), np.where(labels[order], 1.0, -1.0)
    middle = rows - rows.mean(0)
    squares = np.maximum((middle**2).sum(1)[:, None] + (middle**2).sum(1) - 2 * middle @ middle.T, 0)
    kernel = np.exp(-squares / max(float(np.median(squares)) * 2, 1e-12))
    half, right = len(signs) // 2, 0
    for known, asked in ((slice(None, half), slice(half, None)), (slice(half, None), slice(None, half))):
        own = kernel[known, known]
        weights = np.linalg.solve(own + RIDGE * len(own) / 100 * np.eye(len(own)), signs[known])
        right += int((np.sign(kernel[asked, known] @ weights) == signs[asked]).sum())
    return right / len(signs)
