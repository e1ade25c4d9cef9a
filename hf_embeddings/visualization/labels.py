"""Labels beside points, placed so that they do not cover each other.

Shapes: N points, B boxes of left, bottom, right, top.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from mpl_toolkits.mplot3d import Axes3D, proj3d

from hf_embeddings.visualization.colours import theme
from hf_embeddings.visualization.fonts import as_written

LONGEST = 40  # characters of a label that are shown
FEW = 60  # up to here every label is drawn, further out with a line to its point, or over another
MOST = 300
OFFSET = 0.055  # inches between a point and its label
POINT = 0.04  # inches from the middle of a point to its edge
FAR = (0.16, 0.28, 0.42)  # inches from a point to a label that is joined to it by a line
SEPARATE = 1000  # up to here no label covers a point that is not its own
# Where the label is, seen from its point: right, up.
SIDES = np.array([(0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0)])


def write_labels(axis: Axes, points: np.ndarray, labels: Sequence[str]) -> None:
    """Write labels beside points (N, 2 or 3); of many, those that find room, the first ones first.

    Limits, layout and view of the axis must be set before: the labels are placed where the points are drawn.
    """
    style, few = as_written(labels), len(labels) <= FEW
    size = 12.0 if few else 9.0
    places, edges = _places(axis, points)
    edge = POINT if few else POINT / 2
    boxes = np.hstack([places - edge, places + edge]) if len(labels) <= SEPARATE else np.empty((0, 4))
    if (legend := axis.get_legend()) is not None:
        boxes = np.vstack([boxes, np.array(legend.get_window_extent().extents) / _figure(axis).dpi])
    written = 0
    texts = [label if len(label) <= LONGEST else label[: LONGEST - 1] + "…" for label in labels]
    for place, text, width in zip(places, texts, _widths(texts, style, size), strict=True):
        extent = np.array([width + 0.02, 1.35 * size / 72])
        middle, is_far = _choose(place, extent, boxes, edges, always=few)
        if middle is None:
            continue
        boxes = np.vstack([boxes, np.hstack([middle - extent / 2, middle + extent / 2])])
        _write(axis, text, place, middle, size=size, line=is_far, style=style)
        written += 1
        if written == MOST:
            return


def write_legend(axis: Axes, artists: Sequence[Artist], names: Sequence[str], *, size: float) -> None:
    """Name what is drawn, each name as it is: matplotlib by itself leaves out those that begin with an underscore."""
    style = as_written(names)
    legend = axis.legend(artists, names, prop={"family": style["family"], "size": size})
    for text in legend.get_texts():
        text.set_parse_math(style["parse_math"])


def turn_ticks(axis: Axes, degrees: int) -> None:
    """Turn the words below an axis so that they have room; those of one or two characters stay upright."""
    for label in axis.get_xticklabels():
        if len(label.get_text()) > 2:
            label.set(rotation=degrees, rotation_mode="anchor", ha="right", va="center" if degrees == 90 else "top")


def _places(axis: Axes, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where points are drawn, in inches of the figure (N, 2), and the axis' edges: left, bottom, right, top."""
    figure = _figure(axis)
    figure.draw_without_rendering()  # lays out, and computes the view of three dimensions
    if isinstance(axis, Axes3D):
        x, y, _ = proj3d.proj_transform(*points.T, axis.get_proj())
        points = np.stack([x, y], axis=1)
    edges = np.array(axis.get_window_extent().extents)
    return axis.transData.transform(points) / figure.dpi, edges / figure.dpi


def _write(
    axis: Axes, text: str, place: np.ndarray, middle: np.ndarray, *, size: float, line: bool, style: dict[str, Any]
) -> None:
    """Write one label with its middle at a place in inches; it takes no part in the layout."""
    figure = _figure(axis)
    x, y = axis.transData.inverted().transform(place * figure.dpi)
    right, up = 72 * (middle - place)
    arrow = {"arrowstyle": "-", "color": theme().dim, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3} if line else None
    annotation = axis.annotate(
        text, (x, y), xytext=(right, up), textcoords="offset points", ha="center", va="center", fontsize=size,
        arrowprops=arrow, **style,
    )  # fmt: skip
    annotation.set_in_layout(False)


def _figure(axis: Axes) -> Figure:
    figure = axis.get_figure(root=True)
    assert figure is not None
    return figure


def _widths(texts: Sequence[str], style: dict[str, Any], size: float) -> list[float]:
    """Return the widths of texts in inches, as they are drawn."""
    renderer, font = RendererAgg(1, 1, 72), FontProperties(family=style["family"], size=size)
    return [renderer.get_text_width_height_descent(text, font, False)[0] / 72 for text in texts]


def _choose(
    place: np.ndarray, extent: np.ndarray, boxes: np.ndarray, edges: np.ndarray, *, always: bool
) -> tuple[np.ndarray | None, bool]:
    """Return the middle of the label of a point, and whether it is so far that a line joins them."""
    for distance in (OFFSET, *FAR) if always else (OFFSET,):
        middle = _free(place, extent, distance, boxes, edges)
        if middle is not None:
            return middle, distance > OFFSET
    return (place + extent / 2 if always else None), False


def _free(
    place: np.ndarray, extent: np.ndarray, distance: float, boxes: np.ndarray, edges: np.ndarray
) -> np.ndarray | None:
    """Return the middle of the first place beside a point that no box has, and that lies on the axis."""
    reach = extent / 2 + distance * np.where(np.any(SIDES == 0, axis=1, keepdims=True), 1.0, 0.8)
    middles = place + SIDES * reach  # (8, 2)
    low, high = (middles - extent / 2)[:, None], (middles + extent / 2)[:, None]
    overlaps = np.any(np.all((boxes[:, :2] < high) & (low < boxes[:, 2:]), axis=2), axis=1)
    free = ~overlaps & (low >= edges[:2]).all(axis=(1, 2)) & (high <= edges[2:]).all(axis=(1, 2))
    return middles[free.argmax()] if free.any() else None
