"""Labels beside points, placed so that they do not cover each other."""

import unicodedata
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d import Axes3D

from hf_embeddings.visualization.fonts import as_written

LONGEST = 40  # characters of a label that are shown
FEW = 60  # up to here every label is drawn, even over another
MOST = 300
OFFSET = 0.035  # inches between a point and its label
CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))  # right or left of the point, above or below


def write_labels(axis: Axes, points: np.ndarray, labels: Sequence[str], *, inches: tuple[float, float]) -> None:
    """Write labels beside points (N, 2 or 3); of many, those that find room, the first ones first.

    Args:
        axis: to write on, with its limits set.
        points: N points.
        labels: N texts.
        inches: width and height of the axis.
    """
    style, few = as_written(labels), len(labels) <= FEW
    size = 12 if few else 7
    short = [text if len(text) <= LONGEST else text[: LONGEST - 1] + "…" for text in labels]
    if points.shape[1] == 3:
        for (x, y, z), text in zip(points[:MOST], short, strict=False):
            assert isinstance(axis, Axes3D), "its points have three coordinates"
            axis.text(x, y, z, " " + text, fontsize=size, **style)
        return
    low, high = np.array([axis.get_xlim(), axis.get_ylim()]).T
    places = (points - low) / (high - low) * np.array(inches)
    # Where all labels are drawn, none may cover a point either.
    boxes = np.hstack([places - 0.03, places + 0.03]) if few else np.empty((0, 4))
    for index, (place, text) in enumerate(zip(places, short, strict=True)):
        box, corner = _room(place, _width(text, size), 1.35 * size / 72, boxes, inches)
        if box is None and not few:
            continue
        if box is not None:
            boxes = np.vstack([boxes, box])
        axis.annotate(
            text,
            points[index],
            xytext=(72 * OFFSET * corner[0], 72 * OFFSET * corner[1]),
            textcoords="offset points",
            ha="left" if corner[0] > 0 else "right",
            va="bottom" if corner[1] > 0 else "top",
            fontsize=size,
            **style,
        )
        if len(boxes) >= MOST:
            return


def write_legend(axis: Axes, artists: Sequence[Artist], names: Sequence[str], *, size: float) -> None:
    """Name what is drawn, each name as it is: matplotlib by itself leaves out those that begin with an underscore."""
    style = as_written(names)
    legend = axis.legend(artists, names, prop={"family": style["family"], "size": size})
    for text in legend.get_texts():
        text.set_parse_math(style["parse_math"])


def _width(text: str, size: int) -> float:
    """Return the width of a text in inches, by rule of thumb: Chinese characters are square, marks have no width."""
    return sum(_ems(character) for character in text) * size / 72


def _ems(character: str) -> float:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0.0
    return 1.0 if unicodedata.east_asian_width(character) in ("W", "F") else 0.6


def _room(
    place: np.ndarray, width: float, height: float, boxes: np.ndarray, inches: tuple[float, float]
) -> tuple[np.ndarray | None, tuple[int, int]]:
    """Return the box (left, bottom, right, top) in the first corner that is free and on the axis, and the corner."""
    for corner in CORNERS:
        left = place[0] + OFFSET if corner[0] > 0 else place[0] - OFFSET - width
        bottom = place[1] + OFFSET if corner[1] > 0 else place[1] - OFFSET - height
        box = np.array([left, bottom, left + width, bottom + height])
        overlap = (boxes[:, 0] < box[2]) & (box[0] < boxes[:, 2]) & (boxes[:, 1] < box[3]) & (box[1] < boxes[:, 3])
        if not overlap.any() and (box[:2] >= 0).all() and (box[2:] <= inches).all():
            return box, corner
    return None, CORNERS[0]
