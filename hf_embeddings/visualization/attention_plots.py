"""Pictures of attention: all heads of all layers over one input, or one head with its tokens.

Shapes: L layers, H heads, S tokens, C cells.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hf_embeddings.visualization.fonts import as_written
from hf_embeddings.visualization.heat import strongest

PANEL = 64  # cells of a panel along each side at most: a cell is then a pixel or more
ROOMY = 64  # tokens up to which each has the room of a line of usual size


def heads_figure(weights: np.ndarray, tokens: Sequence[str], *, title: str) -> Figure:
    """Draw attention weights (L, H, S, S): a row per layer, a column per head; dark is much.

    Of more tokens than a panel has cells, a cell shows its largest weight: a head that looks at one token has a line.
    """
    layers, heads = weights.shape[:2]
    cells = strongest(weights, PANEL)
    if cells.shape != weights.shape:
        side = -(-weights.shape[-1] // cells.shape[-1])
        title = f"{title} (a cell is the largest weight of {side} x {side})"
    figure = Figure(figsize=(1.15 * heads + 1, 1.2 * layers + 0.6), layout="constrained", dpi=110)
    figure.suptitle(title, **as_written([title]))
    for layer, row in enumerate(figure.subplots(layers, heads, squeeze=False)):
        for head, axis in enumerate(row):
            axis.imshow(cells[layer, head], cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            if layer == 0:
                axis.set_title(f"head {head}", fontsize=8)
            if head == 0:
                axis.set_ylabel(f"layer {layer}", fontsize=8)
    return figure


def head_figure(weights: np.ndarray, tokens: Sequence[str], *, title: str) -> Figure:
    """Draw attention weights (S, S) with the tokens: from the row's token to the column's."""
    roomy = len(tokens) <= ROOMY
    room, size = (0.32, 10) if roomy else (0.12, 6)  # inches of a token, points of its letters
    side = max(4.5, room * len(tokens) + 2)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained", dpi=110)
    axis = figure.subplots()
    style = as_written(tokens) | {"fontsize": size}
    image = axis.imshow(weights, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    slant = {"rotation": 60, "ha": "right"} if roomy else {"rotation": 90}
    axis.set_xticks(range(len(tokens)), tokens, **slant, **style)
    axis.set_yticks(range(len(tokens)), tokens, **style)
    axis.set(xlabel="to", ylabel="from")
    axis.set_title(title, **as_written([title]))
    figure.colorbar(image, ax=axis, shrink=0.7)
    return figure
