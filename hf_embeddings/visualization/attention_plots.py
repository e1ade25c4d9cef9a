"""Pictures of attention: all heads of all layers over one input, the heads of a layer, or one head with its tokens.

Shapes: L layers, H heads, S tokens, C cells.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from hf_embeddings.visualization.fonts import as_written
from hf_embeddings.visualization.heat import strongest
from hf_embeddings.visualization.labels import turn_ticks
from hf_embeddings.visualization.style import SMALL, frame, weights_map

PANEL = 64  # cells of a panel along each side at most: a cell is then a pixel or more
ROOMY = 64  # tokens up to which each has the room of a line of usual size
NAMED = 24  # tokens up to which the panels of a layer name them
COLUMNS = 4  # heads of a layer beside each other
WIDEST = 14.0  # inches of a picture of all heads: shown on a slide, its letters keep their size
LARGEST = 1.5  # inches of a panel among all heads
SHARE = 0.93  # of its place that a panel fills
DPI = 110


def heads_figure(weights: np.ndarray, *, title: str) -> Figure:
    """Draw attention weights (L, H, S, S): a row per layer, a column per head; dark is much.

    Of more tokens than a panel has cells, a cell shows its largest weight: a head that looks at one token has a line.
    """
    layers, heads = weights.shape[:2]
    panel = min(LARGEST, (WIDEST - 2) / heads)  # inches
    cells, note = _cells(weights, int(min(PANEL, panel * SHARE * DPI)))
    figure = Figure(figsize=(max(6.5, panel * heads + 2), panel * layers + 1), layout="constrained", dpi=DPI)
    _title(figure, title + note)
    axis = figure.subplots()
    for layer in range(layers):
        for head in range(heads):
            image = _map(axis, cells[layer, head], extent=(head, head + SHARE, layer + SHARE, layer))
    middle = SHARE / 2
    for ticks, name, count in ((axis.set_xticks, "head", heads), (axis.set_yticks, "layer", layers)):
        every = max(1, round(0.3 / panel))  # as far apart as their letters need
        ticks([middle + place for place in range(0, count, every)], [str(place) for place in range(0, count, every)])
        getattr(axis, f"set_{'x' if name == 'head' else 'y'}label")(name)
    axis.set(xlim=(-0.02, heads), ylim=(layers, -0.02), aspect="equal")
    axis.tick_params(length=0)
    axis.xaxis.tick_top()
    axis.xaxis.set_label_position("top")
    axis.spines[:].set_visible(False)
    _bar(figure, image, [axis])
    return figure


def layer_figure(weights: np.ndarray, tokens: Sequence[str], *, title: str) -> Figure:
    """Draw attention weights (H, S, S) of a layer: a panel for each head, with the tokens where they have room."""
    heads, is_named = len(weights), len(tokens) <= NAMED
    cells, note = _cells(weights, PANEL)
    columns = min(COLUMNS, heads)
    rows = -(-heads // columns)
    panel = max(2.6, 0.22 * len(tokens) + 0.9) if is_named else 3.0
    figure = Figure(figsize=(max(6.5, panel * columns + 1), panel * rows + 0.8), layout="constrained", dpi=DPI)
    _title(figure, title + note)
    axes: np.ndarray = figure.subplots(rows, columns, squeeze=False)
    for head, axis in enumerate(axes.ravel()):
        if head >= heads:
            axis.set_axis_off()
            continue
        image = _map(axis, cells[head])
        axis.set_title(f"head {head}", fontsize=SMALL + 1)
        _name(axis, tokens if is_named else [], x=head + columns >= heads, y=head % columns == 0, size=SMALL)
    _bar(figure, image, list(axes.ravel()))
    return figure


def head_figure(weights: np.ndarray, tokens: Sequence[str], *, title: str) -> Figure:
    """Draw attention weights (S, S) with the tokens: from the row's token to the column's."""
    roomy = len(tokens) <= ROOMY
    room, size = (0.32, SMALL) if roomy else (0.12, 6)  # inches of a token, points of its letters
    side = max(4.8, room * len(tokens) + 2)
    figure = Figure(figsize=(side + 1.4, side), layout="constrained", dpi=DPI)
    axis = figure.subplots()
    image = _map(axis, weights)
    _name(axis, tokens, x=True, y=True, size=size)
    axis.set(xlabel="to", ylabel="from")
    _title(figure, title)
    _bar(figure, image, [axis])
    return figure


def _cells(weights: np.ndarray, most: int) -> tuple[np.ndarray, str]:
    """Return the weights in as many cells as a panel has, and what is to be said of a cell."""
    cells = strongest(weights, most)
    side = -(-weights.shape[-1] // cells.shape[-1])
    return cells, "" if cells.shape == weights.shape else f" (a cell is the largest weight of {side} x {side})"


def _map(axis: Axes, cells: np.ndarray, extent: tuple[float, float, float, float] | None = None) -> AxesImage:
    """Draw one map; the scale of colours is that of the root, so that weights of a few percent show."""
    frame(axis)
    return axis.imshow(cells, cmap=weights_map(), norm=PowerNorm(0.5, 0, 1), interpolation="nearest", extent=extent)


def _name(axis: Axes, tokens: Sequence[str], *, x: bool, y: bool, size: float) -> None:
    style = as_written(tokens) | {"fontsize": size}
    places = range(len(tokens))
    axis.set_xticks(places, tokens if x else [""] * len(tokens), **style)
    axis.set_yticks(places, tokens if y else [""] * len(tokens), **style)
    axis.tick_params(length=0)
    turn_ticks(axis, 90)


def _title(figure: Figure, title: str) -> None:
    figure.suptitle(title, **as_written([title]))


def _bar(figure: Figure, image: AxesImage, axes: list[Axes]) -> None:
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.015, aspect=30, ticks=[0, 0.05, 0.2, 0.5, 1])
    bar.set_label("attention weight")
    bar.outline.set_visible(False)
