"""How much of each input vector comes from token, position and segment.

Shapes: S tokens, D width.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Part:
    """One summand of the input, token by token; each field (S,)."""

    norm: np.ndarray
    cosine: np.ndarray  # with the sum of all parts
    share: np.ndarray  # projection on the sum / norm of the sum: the shares of a token add up to 1


def decompose(parts: dict[str, np.ndarray]) -> dict[str, Part]:
    """Measure summands (S, D) against their sum, before the layer norm."""
    total = sum(parts.values())
    length = np.maximum(np.linalg.norm(total, axis=-1), 1e-12)
    measures = {}
    for name, part in parts.items():
        norm, product = np.linalg.norm(part, axis=-1), (part * total).sum(axis=-1)
        measures[name] = Part(norm, product / np.maximum(norm * length, 1e-12), product / length**2)
    return measures
