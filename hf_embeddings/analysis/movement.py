"""How far vectors moved from one stage of training to another, and how that is seen where it is little.

Shapes: T stages, N points, D width, P 2 or 3.
"""

import math
from collections.abc import Sequence

import numpy as np

SEEN = 0.12  # of the span: what the largest movement is drawn as, where it is less than LITTLE
LITTLE = 0.04


def travelled(spaces: Sequence[np.ndarray]) -> np.ndarray:
    """Return how far each vector of (N, D) spaces is from its first place, in shares of its length there: (T, N)."""
    first = spaces[0]
    lengths = np.maximum(np.linalg.norm(first, axis=1), 1e-12)
    return np.stack([np.linalg.norm(space - first, axis=1) / lengths for space in spaces])


def kept_neighbours(first: Sequence[Sequence[str]], last: Sequence[Sequence[str]]) -> list[float]:
    """Return for each of N points which share of its neighbours it had at first, too."""
    return [len(set(old) & set(new)) / max(1, len(new)) for old, new in zip(first, last, strict=True)]


def magnified(stages: Sequence[np.ndarray]) -> tuple[list[np.ndarray], int]:
    """Return the places (N, P) of each stage with movement drawn larger where it is little, and how many times.

    The factor is 1, 2 or 5 times a power of ten; 1 where the largest movement is more than `LITTLE` of the map.
    """
    first = stages[0]
    span = float(np.ptp(np.concatenate(stages), axis=0).max())
    most = max(float(np.linalg.norm(stage - first, axis=1).max()) for stage in stages)
    if most <= 0 or most >= LITTLE * span:
        return list(stages), 1
    factor = round_down(SEEN * span / most)
    return [first + factor * (stage - first) for stage in stages], int(factor)


def round_down(value: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of ten that is not above a value."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value * (1 + 1e-9))
