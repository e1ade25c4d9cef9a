"""Pictures of attention: all heads of all layers over one input, or one head with its tokens.

Shapes: L layers, H heads, S tokens.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hf_embeddings.visualization.fonts import families


def heads_figure(weights: np.ndarray, tokens: Sequence[str], *, title: str) -> Figure:
    """Draw attention weights (L, H, S, S): a row per layer, a column per head; dark is much."""
    layers, heads = weights.shape[:2]
    figure = Figure(figsize=(1.15 * heads + 1, 1.2 * layers + 0.6), layout="constrained", dpi=110)
    figure.suptitle(title, family=families([title]))
    for layer, row in enumerate(figure.subplots(layers, heads, squeeze=False)):
        for head, axis in enumerate(row):
            axis.imshow(weights[layer, head], cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            if layer == 0:
                axis.set_title(f"head {head}", fontsize=8)
            if head == 0:
                axis.set_ylabel(f"layer {layer}", fontsize=8)
    return figure


def head_figure(weights: np.ndarray, tokens: Sequence[str], *, title: str) -> Figure:
    """Draw attention weights (S, S) with the tokens: from the row's token to the column's."""
    side = max(4.5, 0.32 * len(tokens) + 2)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained", dpi=110)
    axis = figure.subplots()
    family = families(list(tokens))
    image = axis.imshow(weights, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axis.set_xticks(range(len(tokens)), tokens, rotation=60, ha="right", family=family, parse_math=False)
    axis.set_yticks(range(len(tokens)), tokens, family=family, parse_math=False)
    axis.set(xlabel="to", ylabel="from")
    axis.set_title(title, family=families([title]))
    figure.colorbar(image, ax=axis, shrink=0.7)
    return figure
