"""Pictures of words and sentences as points, for paper and slides.

Shapes: N points, P 2 or 3.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d import Axes3D

from hf_embeddings.visualization.colouring import Colouring, Groups
from hf_embeddings.visualization.colours import series, theme
from hf_embeddings.visualization.fonts import as_written
from hf_embeddings.visualization.labels import FEW, SEPARATE, write_labels, write_legend
from hf_embeddings.visualization.style import SMALL, frame, scale_map

MOST_PANELS = 9
LONGEST_LEGEND = 20  # names
# How the words of a panel belong together, where its group has one of these names: the pairs that a line joins.
JOINED = {
    "contrast": lambda count: [(0, 1), (2, 3), (0, 2), (1, 3)],
    "gradient": lambda count: list(pairwise(range(count))),
    "grammar": lambda count: [(0, other) for other in range(1, count)],
}


def scatter_figure(points: np.ndarray, labels: Sequence[str], colouring: Colouring, *, title: str) -> Figure:
    """Draw points (N, P) with labels, in the colours of a colouring, which a legend or a bar explains."""
    figure = Figure(figsize=(10.5, 8), layout="constrained", dpi=120)
    axis = figure.add_subplot(projection="3d" if points.shape[1] == 3 else None)
    axis.set_title(title, **as_written([title]))
    _points(axis, points, labels, colouring)
    return figure


def panels_figure(
    points: np.ndarray, labels: Sequence[str], groups: Groups, panels: Mapping[str, np.ndarray], *,
    title: str, colouring: Colouring | None = None,
) -> Figure:  # fmt: skip
    """Draw all words in one panel, and each group in a panel of its own projection.

    Args:
        points: (N, P) all words.
        labels: the words.
        groups: the group of each word.
        panels: for some groups their words' points (n, 2), in the order of `labels`.
        title: of the panel with all words.
        colouring: what the colours say; None: the groups.
    """
    columns = 2 if len(panels) <= 4 else 3
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(14, 6.6), layout="constrained", dpi=100)
    halves: np.ndarray = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.1))
    left, right = halves[0]
    whole = left.add_subplot(projection="3d" if points.shape[1] == 3 else None)
    whole.set_title(title, **as_written([title]))
    axes = right.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    colouring = colouring or groups
    inks = colouring.inks()
    for axis, (name, own) in zip(axes, panels.items(), strict=False):
        count = len(own)
        for first, second in JOINED.get(name, lambda count: [])(count):
            if max(first, second) < count:
                axis.plot(*own[[first, second]].T, color=theme().rule, linewidth=1.2, zorder=0)
        axis.scatter(*own.T, color=[inks[row] for row in groups.rows(name)], s=44)
        axis.set_title(f"{name}, PCA of these {count}", **as_written([name]))
        axis.margins(0.25)
        axis.set(xticks=[], yticks=[])
        frame(axis)
    _points(whole, points, labels, colouring)
    for axis, (name, own) in zip(axes, panels.items(), strict=False):
        write_labels(axis, own, [labels[row] for row in groups.rows(name)])
    return figure


def _points(axis: Axes, points: np.ndarray, labels: Sequence[str], colouring: Colouring) -> None:
    size = 34 if len(labels) <= FEW else 16 if len(labels) <= SEPARATE else 6
    look: dict[str, Any] = {"s": size, "alpha": 0.6 if len(labels) > SEPARATE else 0.9}
    axis.scatter(*points.T, color=colouring.inks(), linewidths=0, **look)
    axis.set(xticks=[], yticks=[])
    if points.shape[1] == 2:
        axis.margins(0.1)
        frame(axis)
    elif isinstance(axis, Axes3D):
        axis.set(zticks=[])
        for side in (axis.xaxis, axis.yaxis, axis.zaxis):
            side.pane.set_edgecolor(theme().rule)
    _explain(axis, colouring)
    write_labels(axis, points, labels)


def _explain(axis: Axes, colouring: Colouring) -> None:
    """Say what the colours mean: a legend of names above their number, or a bar."""
    if isinstance(colouring, Groups):
        names = colouring.names
        if len(names) > 1:
            shown = names[:LONGEST_LEGEND]
            dots: list[Any] = [Line2D([], [], marker="o", linestyle="", color=series(row)) for row in range(len(shown))]
            more = len(names) - len(shown)
            if more:
                shown, dots = [*shown, f"and {more} more"], [*dots, Line2D([], [], linestyle="")]
            write_legend(axis, dots, [name if len(name) < 40 else name[:39] + "…" for name in shown], size=SMALL)
            legend = axis.get_legend()
            assert legend is not None
            name = f"{colouring.name} ({colouring.detail})" if colouring.detail else colouring.name
            legend.set_title(name, FontProperties(family=as_written([name])["family"], size=SMALL))
            legend.get_title().set_parse_math(False)
        return
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    low, high = colouring.bounds()
    norm = LogNorm(low, max(high, 1.001 * low)) if colouring.logarithmic and low > 0 else Normalize(low, high)
    figure = axis.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(ScalarMappable(norm, scale_map()), ax=axis, shrink=0.5, pad=0.02)
    name = colouring.name + (f" ({colouring.unit})" if colouring.unit else "")
    bar.set_label(name, **as_written([name]))
