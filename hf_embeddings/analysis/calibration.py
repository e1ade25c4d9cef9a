"""What a cosine means: how large those of texts drawn at random are. Shapes: N vectors, D features."""

from dataclasses import dataclass

import numpy as np

from hf_embeddings.analysis.geometry import unit_rows
from hf_embeddings.json_record import JsonRecord

PAIRS = 200_000  # that are drawn, at most
LEVELS = (0.5, 0.9)


@dataclass(frozen=True, kw_only=True)
class CosineLevels(JsonRecord):
    """The cosines of pairs of different texts."""

    pairs: int
    median: float
    above_half: float  # share above 0.5
    above_nine_tenths: float  # share above 0.9: where it is large, a cosine of 0.9 says nothing
    high: float  # the 99th percentile: a cosine above it is beyond those of texts drawn at random


def cosine_levels(vectors: np.ndarray) -> CosineLevels:
    """Measure the cosines of pairs of vectors (N, D): of all pairs, or of as many drawn ones as are enough."""
    unit, count = unit_rows(vectors.astype(np.float64)), len(vectors)
    if count < 2:
        raise ValueError(f"cosines: got {count} vectors, expected 2 or more")
    first, second = np.triu_indices(count, 1) if count * (count - 1) // 2 <= PAIRS else _drawn(count)
    cosines = np.concatenate([(unit[first[at]] * unit[second[at]]).sum(axis=1) for at in _blocks(len(first))])
    half, nine_tenths = ((cosines > level).mean() for level in LEVELS)
    return CosineLevels(
        pairs=len(cosines),
        median=float(np.median(cosines)),
        above_half=float(half),
        above_nine_tenths=float(nine_tenths),
        high=float(np.quantile(cosines, 0.99)),
    )


def _drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    first = random.integers(count, size=PAIRS)
    return first, (first + random.integers(1, count, size=PAIRS)) % count  # never itself


def _blocks(total: int, size: int = 16384) -> list[slice]:
    return [slice(start, start + size) for start in range(0, total, size)]
