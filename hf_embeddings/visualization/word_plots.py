"""Pictures of words and sentences as points, for paper.

Shapes: N points, P 2 or 3.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hf_embeddings.visualization.colours import series
from hf_embeddings.visualization.fonts import as_written
from hf_embeddings.visualization.labels import write_labels, write_legend

EXAMPLES = {  # how the words of each panel belong together: the pairs that a line joins
    "synonyms": lambda count: [],
    "contrast": lambda count: [(0, 1), (2, 3), (0, 2), (1, 3)],
    "gradient": lambda count: list(pairwise(range(count))),
    "grammar": lambda count: [(0, other) for other in range(1, count)],
}


def scatter_figure(points: np.ndarray, labels: Sequence[str], groups: Sequence[str], *, title: str) -> Figure:
    """Draw points (N, P) with labels, coloured by group."""
    figure = Figure(figsize=(10, 8), layout="constrained", dpi=120)
    axis = figure.add_subplot(projection="3d" if points.shape[1] == 3 else None)
    _points(axis, points, labels, groups, inches=(9.8, 7.6))
    axis.set_title(title, **as_written([title]))
    return figure


def example_figure(
    points: np.ndarray, labels: Sequence[str], groups: Sequence[str], panels: dict[str, np.ndarray], *, method: str
) -> Figure:
    """Draw all words in one panel, and each group in a panel of its own projection.

    Args:
        points: (N, P) all words.
        labels: the words.
        groups: names of `EXAMPLES`, one for each word.
        panels: for each group its words' points (n, 2), in the order of `labels`.
        method: the projection of all words, as people write it.
    """
    figure = Figure(figsize=(14, 6.4), layout="constrained", dpi=100)
    halves: np.ndarray = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.1))
    left, right = halves[0]
    whole = left.add_subplot(projection="3d" if points.shape[1] == 3 else None)
    _points(whole, points, labels, groups, inches=(6.4, 6))
    whole.set_title(f"all words, {method}")
    for index, (axis, (group, own)) in enumerate(zip(right.subplots(2, 2).ravel(), panels.items(), strict=True)):
        words = [label for label, name in zip(labels, groups, strict=True) if name == group]
        for first, second in EXAMPLES[group](len(words)):
            axis.plot(*own[[first, second]].T, color="0.75", linewidth=1, zorder=0)
        axis.scatter(*own.T, color=series(index), s=40)
        axis.set_title(f"{group}, PCA of these {len(words)}")
        axis.margins(0.25)
        axis.set(xticks=[], yticks=[])
        write_labels(axis, own, words, inches=(3.4, 2.8))
    return figure


def _points(
    axis: Axes, points: np.ndarray, labels: Sequence[str], groups: Sequence[str], *, inches: tuple[float, float]
) -> None:
    names, many = list(dict.fromkeys(groups)), len(labels) > 1000
    artists: list[Artist] = []
    for index, name in enumerate(names):
        rows = [row for row, group in enumerate(groups) if group == name]
        look: dict[str, Any] = {"s": 3 if many else 30, "alpha": 0.5 if many else 0.8}
        artists.append(axis.scatter(*points[rows].T, color=series(index), **look))
    axis.set(xticks=[], yticks=[])
    if points.shape[1] == 2:
        axis.margins(0.1)
    else:
        axis.set(zticks=[])
    write_labels(axis, points, labels, inches=inches)
    if len(names) > 1:
        write_legend(axis, artists, names, size=9)
