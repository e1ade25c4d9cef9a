"""Pictures of position types: the vectors, the scores of all pairs, and both laws of distance.

Shapes: N positions, D width, H heads.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hf_embeddings.visualization.colours import series, theme
from hf_embeddings.visualization.fonts import as_written
from hf_embeddings.visualization.heat import strongest
from hf_embeddings.visualization.style import SMALL, scale_map, signs_map

SHOWN_HEADS = 4
LONGEST_TITLE = 30  # characters of a line above a panel
PANEL = 160  # cells of a panel along each side at most: a cell is then a pixel or more


def position_figure(
    name: str,
    vectors: np.ndarray | None,
    scores: np.ndarray,
    linearity: Mapping[int, float | None] | None = None,
    *,
    measured_on: str = "",
    scored: str = "score added",
) -> Figure:
    """Draw one position type.

    Args:
        name: title.
        vectors: (N, D), or None where the type has no vectors: then the score maps of the first heads are shown.
        scores: (H, N, N) what position alone adds to the attention scores.
        linearity: shift k -> R2 of the linear map M(k), as `analysis.position_laws` computes it.
        measured_on: what vectors and scores are, in words.
        scored: what a score is: added by the position alone, or that of two identical words.
    """
    figure = Figure(figsize=(15, 4.1), layout="constrained", dpi=110)
    drawn = "no vectors, scores only" if vectors is None else "vectors and scores"
    title = f"{name}: {scores.shape[-1]} positions; {drawn}"
    if measured_on:
        title += f": {measured_on}"
    figure.suptitle(title, **as_written([title]))
    maps = figure.subplots(1, 4)
    if vectors is not None:
        limit = np.quantile(np.abs(vectors), 0.995)  # a single large row, as of [CLS], must not bleach the others
        _heat(maps[0], vectors, "vectors", x="dimension", y="position", limits=(-limit, limit))
        _heat(maps[1], _cosines(vectors), "cosine of positions", x="position", y="position", limits=(-1, 1))
    else:
        _heat(maps[0], scores[0], f"{scored}, head 0", x="key position", y="query position")
        _heat(maps[1], scores.mean(axis=0), f"{scored}, mean of heads", x="key position", y="query position")
    _distance(maps[2], scores, scored)
    _linearity(maps[3], linearity or {}, has_vectors=vectors is not None)
    return figure


def bias_figure(name: str, scores: np.ndarray, *, scored: str = "score added") -> Figure:
    """Draw the score map (H, N, N) of every head, on one colour scale; `scored` says what a score is."""
    columns = min(SHOWN_HEADS, len(scores))
    rows = -(-len(scores) // columns)
    figure = Figure(figsize=(3.4 * columns, 3.2 * rows), layout="constrained", dpi=110)
    title = f"{name}: {scored}, by head"
    figure.suptitle(title, **as_written([title]))
    limits = (scores.min(), scores.max())
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for head, axis in enumerate(axes):
        if head < len(scores):
            _heat(axis, scores[head], f"head {head}", x="key position", y="query position", limits=limits)
        else:
            axis.set_axis_off()
    return figure


def _heat(
    axis: Axes, values: np.ndarray, title: str, *, x: str, y: str, limits: tuple[float, float] | None = None
) -> None:
    low, high = limits or (values.min(), values.max())
    colours = signs_map() if low < 0 < high else scale_map()
    if low < 0 < high:
        low, high = -max(-low, high), max(-low, high)
    size = values.shape[1] - 0.5, values.shape[0] - 0.5
    image = axis.imshow(
        strongest(values, PANEL, middle=float(np.median(values))), extent=(-0.5, size[0], size[1], -0.5),
        aspect="auto", cmap=colours, vmin=low, vmax=high, interpolation="nearest",
    )  # fmt: skip
    axis.set(title=title, xlabel=x, ylabel=y)
    axis.figure.colorbar(image, ax=axis, shrink=0.8)


def _distance(axis: Axes, scores: np.ndarray, scored: str) -> None:
    """Draw the mean score at each signed distance; the band is its standard deviation, 0 for a relative type."""
    length = scores.shape[-1]
    offsets = np.arange(-(length // 2), length // 2 + 1)
    alike = np.ptp(scores, axis=0).max() < 1e-9 * np.abs(scores).max()
    for head in range(1 if alike else min(SHOWN_HEADS, len(scores))):
        diagonals = [scores[head].diagonal(offset) for offset in offsets]
        mean = np.array([line.mean() for line in diagonals])
        spread = np.array([line.std() for line in diagonals])
        axis.plot(offsets, mean, label="all heads" if alike else f"head {head}", linewidth=1.5, color=series(head))
        axis.fill_between(offsets, mean - spread, mean + spread, alpha=0.2, color=series(head))
    title = f"{scored}, by distance"
    title = title if len(title) < LONGEST_TITLE else f"{scored},\nby distance"
    axis.set(title=title, xlabel="key - query, in positions", ylabel="score")
    axis.legend(fontsize=SMALL)


def _linearity(axis: Axes, linearity: Mapping[int, float | None], *, has_vectors: bool) -> None:
    """Draw how much of position p + k is known from p: by a linear map of vectors, or by moving the rows of scores."""
    title = "linear map M(k), p to p+k" if has_vectors else "rows of scores, moved by k"
    axis.set(title=title, xlabel="shift k", ylabel="share explained", ylim=(-0.05, 1.05))
    axis.axhline(0, color=theme().dim, linewidth=0.5)
    shares = {k: value for k, value in linearity.items() if value is not None}
    axis.bar([str(k) for k in shares], [max(value, -0.05) for value in shares.values()], color=series(0))
    if not shares:
        axis.set(xticks=[], yticks=[])
        words = "not to be told from\nso few positions"
        axis.text(0.5, 0.5, words, transform=axis.transAxes, ha="center", va="center", color=theme().dim)


def _cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    return unit @ unit.T
