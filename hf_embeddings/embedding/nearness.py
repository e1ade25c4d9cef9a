"""How near the vectors of a student come to those of its teacher, whatever the widths of the two."""

import numpy as np

from hf_embeddings.analysis.similarity import agreement, pair_cosines

PAIRS = 2000  # of texts whose similarity is compared with the teacher's


def agreement_on_pairs(wanted: np.ndarray, own: np.ndarray) -> float | None:
    """Return the rank correlation of both models' cosines over pairs of N texts; None of fewer than three texts.

    Args:
        wanted: (N, D) vectors of the teacher.
        own: (N, d) vectors of the student.
    """
    if len(wanted) < 3:
        return None
    pairs = np.random.default_rng(0).integers(0, len(wanted), (PAIRS, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    first, second = pairs.T
    return agreement(own[first], own[second], list(pair_cosines(wanted[first], wanted[second]))).spearman
