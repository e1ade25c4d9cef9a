"""The properties of a position type, each as one number.

Two things can be measured: the vectors of the positions, where a type has vectors (a summand, or a rotated query), and
the scores that position alone gives to a pair of positions, which every type has.

Shapes: N positions, D width, H heads. Everything is computed in fp64.
"""

from dataclasses import dataclass

import numpy as np

from hf_embeddings.json_record import JsonRecord

SHIFTS = (1, 2, 4, 8, 16, 32, 64)
CUTOFFS = (1e-5, 1e-3, 0.01, 0.03, 0.1, 0.3)  # of the largest singular value
_SAME = 1e-9  # differences below this share of the largest value are rounding


@dataclass(frozen=True, kw_only=True)
class PositionLaws(JsonRecord):
    """What is measured of one position type; None where the type has nothing to measure."""

    uniqueness: float  # smallest distance between two positions / mean norm; 0: two positions are the same
    smoothness: float  # mean cosine of a position and the next
    relative_linearity: float | None  # mean of relative_linearity_by_shift
    relative_linearity_by_shift: dict[int, float]  # k -> share of P[p+k] that one linear map M(k) of P[p] explains
    locality: float  # 0 .. 1, mean attention weight times 2^-|i-j|
    symmetry: float  # 0 .. 1, agreement of the weights to the left and to the right
    translation_invariance: float | None  # 0 .. 1, share of the scores' variance that the offset explains
    monotonicity: float  # 0 .. 1, share of steps away from a position at which the score falls; ties count half


def vector_laws(vectors: np.ndarray, scores: np.ndarray) -> PositionLaws:
    """Measure a type whose positions are vectors (N, D), and give scores (H, N, N) to their pairs."""
    return _laws(vectors, scores, {k: linear_map_fit(vectors, k) for k in _shifts(len(vectors))})


def score_laws(scores: np.ndarray) -> PositionLaws:
    """Measure a type that has scores (H, N, N) only: a position's vector is its row of attention weights in all heads.

    The linear map M(k) is then known: it moves every row by k.
    """
    rows = softmax(scores).transpose(1, 0, 2).reshape(scores.shape[1], -1)  # (N, H * N)
    return _laws(rows, scores, {k: shift_fit(scores, k) for k in _shifts(scores.shape[1])})


def uniqueness(vectors: np.ndarray) -> float:
    """Return the smallest distance between two rows of (N, D), in units of the mean norm."""
    norms = np.linalg.norm(vectors, axis=1)
    if not norms.any():
        return 0.0
    squares = (vectors**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * vectors @ vectors.T
    np.fill_diagonal(distances, np.inf)
    first, second = np.unravel_index(distances.argmin(), distances.shape)  # the pair; its distance without cancellation
    smallest = np.linalg.norm(vectors[first] - vectors[second]) / norms.mean()
    return 0.0 if smallest < _SAME else float(smallest)


def smoothness(vectors: np.ndarray) -> float:
    """Return the mean cosine of neighbouring rows of (N, D)."""
    norms = np.linalg.norm(vectors, axis=1)
    return float((np.sum(vectors[:-1] * vectors[1:], axis=1) / np.maximum(norms[:-1] * norms[1:], 1e-300)).mean())


def linear_map_fit(vectors: np.ndarray, shift: int, *, fit_on: np.ndarray | None = None) -> float | None:
    """Return R2, on pairs not fitted, of the least-squares linear map from row p to row p + shift.

    1: one map M(shift) carries every position on (https://arxiv.org/abs/1706.03762, section 3.5); 0: no better than
    the mean row; negative: worse. None where the rows do not differ. The map is learned from half of the pairs, the
    directions it uses are chosen on a quarter, and it is judged on the rest; or learned from the earlier positions
    `fit_on` and judged on all of `vectors`.
    """
    fit_rows = vectors if fit_on is None else fit_on
    source, target = fit_rows[:-shift], fit_rows[shift:]
    # Drawn, as every other pair would confuse frequencies that a step of two cannot tell apart.
    quarter = 4 * np.random.default_rng(0).permutation(len(source)) // len(source)
    maps = _least_squares(source[quarter < 2], target[quarter < 2])
    selection = quarter == 2 if fit_on is None else quarter > 1
    errors = [((target[selection] - source[selection] @ linear_map) ** 2).sum() for linear_map in maps]
    best = maps[int(np.argmin(errors))]
    if fit_on is None:
        source, target = source[quarter == 3], target[quarter == 3]
    else:
        source, target = vectors[:-shift], vectors[shift:]
    return _explained(target, source @ best, target.mean(axis=0))


def _least_squares(source: np.ndarray, target: np.ndarray) -> list[np.ndarray]:
    """Return the least-squares map without the directions below each cutoff: those hold noise, or fp32 rounding."""
    left, values, right = np.linalg.svd(source, full_matrices=False)
    coefficients = left.T @ target
    masks = [values > cutoff * values[0] for cutoff in CUTOFFS]
    return [right[use].T @ (coefficients[use] / values[use, None]) for use in masks]


def shift_fit(scores: np.ndarray, shift: int) -> float | None:
    """Return R2 of scores (H, N, N), each row seen from its own diagonal, predicted by the row `shift` above it."""
    relative_scores = scores - scores.diagonal(axis1=1, axis2=2)[..., None]
    target = relative_scores[:, shift:, shift:]
    return _explained(target, relative_scores[:, :-shift, :-shift], target.mean(axis=(1, 2), keepdims=True))


def locality(attention: np.ndarray) -> float:
    """Return the mean over rows of (H, N, N) weights of sum_j a_ij 2^-|i-j| (https://arxiv.org/abs/2310.12864)."""
    offsets = np.arange(attention.shape[-1])
    return float((attention * 2.0 ** -np.abs(offsets[:, None] - offsets)).sum(axis=-1).mean())


def symmetry(attention: np.ndarray) -> float:
    """Return 1 - the mean of |a_(i,i-m) - a_(i,i+m)| of (H, N, N), scaled to 0 .. 1 within each row.

    As https://arxiv.org/abs/2310.12864 defines it; a row whose differences are all alike counts as symmetric.
    """
    differences = []
    for row in range(1, attention.shape[-1] - 1):
        reach = min(row, attention.shape[-1] - 1 - row)
        left = attention[:, row, row - reach : row][:, ::-1]  # (H, reach), nearest first
        right = attention[:, row, row + 1 : row + 1 + reach]
        gap = np.abs(left - right)
        spread = gap.max(axis=1, keepdims=True) - gap.min(axis=1, keepdims=True)
        alike = spread <= _SAME * attention[:, row].max(axis=1, keepdims=True)
        scaled_gap = (gap - gap.min(axis=1, keepdims=True)) / np.where(alike, 1.0, spread)
        differences.append(np.where(alike, 0.0, scaled_gap).ravel())
    return float(1 - np.concatenate(differences).mean())


def translation_invariance(scores: np.ndarray) -> float | None:
    """Return the share of the variance of scores (H, N, N) that the offset j - i alone explains.

    1 is the property of https://openreview.net/forum?id=onxoVA9FxMw: the score of two positions depends on their
    distance only. None where the scores do not differ.
    """
    length = scores.shape[-1]
    offsets = (np.arange(length) - np.arange(length)[:, None]).ravel() + length - 1
    counts = np.bincount(offsets)
    prediction = np.stack([(np.bincount(offsets, head.ravel()) / counts)[offsets] for head in scores])
    flat = scores.reshape(len(scores), -1)
    return _explained(flat, prediction, flat.mean(axis=1, keepdims=True))


def monotonicity(scores: np.ndarray) -> float:
    """Return the share of steps away from the diagonal at which scores (H, N, N) fall; a step without change is half.

    1 is the property of https://openreview.net/forum?id=onxoVA9FxMw: the farther, the smaller the score.
    """
    scale = np.abs(scores).max() * _SAME
    steps = np.diff(scores, axis=-1)  # (H, N, N-1): from key j to key j + 1
    away = np.triu(np.ones(steps.shape[1:], dtype=bool))  # j >= i: to the right of the query
    falls = np.where(away, -steps, steps)
    return float(np.where(falls > scale, 1.0, np.where(falls < -scale, 0.0, 0.5)).mean())


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return attention weights, row by row."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def _laws(vectors: np.ndarray, scores: np.ndarray, by_shift: dict[int, float | None]) -> PositionLaws:
    known_fits = {k: value for k, value in by_shift.items() if value is not None}
    attention = softmax(scores)
    return PositionLaws(
        uniqueness=uniqueness(vectors),
        smoothness=smoothness(vectors),
        relative_linearity=float(np.mean(list(known_fits.values()))) if known_fits else None,
        relative_linearity_by_shift=known_fits,
        locality=locality(attention),
        symmetry=symmetry(attention),
        translation_invariance=translation_invariance(scores),
        monotonicity=monotonicity(scores),
    )


def _shifts(length: int) -> list[int]:
    return [k for k in SHIFTS if k <= length // 4]


def _explained(target: np.ndarray, prediction: np.ndarray, mean: np.ndarray) -> float | None:
    """R2; None where the target does not vary beyond rounding."""
    total = ((target - mean) ** 2).sum()
    if total <= _SAME**2 * max((target**2).sum(), 1e-300):
        return None
    return float(1 - ((target - prediction) ** 2).sum() / total)
