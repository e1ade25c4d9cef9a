"""Picture of the input sum: what token, position and segment contribute to each input vector.

Shapes: S tokens.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from hf_embeddings.analysis.input_sum import Part
from hf_embeddings.visualization.colours import series, theme
from hf_embeddings.visualization.fonts import as_written
from hf_embeddings.visualization.labels import turn_ticks


def sum_figure(tokens: Sequence[str], parts: Mapping[str, Part], *, title: str, note: str = "") -> Figure:
    """Draw norms, cosines with the sum, and shares of the sum.

    Args:
        tokens: S labels.
        parts: name of the part -> what is measured of it.
        title: shown above.
        note: shown below it, such as why a part is missing.
    """
    figure = Figure(figsize=(max(8, 0.42 * len(tokens) + 2), 8.4), layout="constrained", dpi=110)
    lines = [title, *([note] if note else [])]
    figure.suptitle("\n".join(lines), **as_written(lines))
    norm, cosine, share = figure.subplots(3, 1, sharex=True)
    places = np.arange(len(tokens))
    width = 0.8 / len(parts)
    positive, negative = np.zeros(len(tokens)), np.zeros(len(tokens))
    for index, (name, part) in enumerate(parts.items()):
        offset = (index - (len(parts) - 1) / 2) * width
        norm.bar(places + offset, part.norm, width, label=name, color=series(index))
        cosine.bar(places + offset, part.cosine, width, color=series(index))
        heights = part.share
        below = np.where(heights >= 0, positive, negative)
        share.bar(places, heights, 0.8, bottom=below, color=series(index))
        positive, negative = positive + np.maximum(heights, 0), negative + np.minimum(heights, 0)
    norm.set(ylabel="norm (length)")
    cosine.set(ylabel="cosine with the sum", ylim=(min(0, 1.05 * cosine.get_ylim()[0]), 1.05))
    cosine.axhline(0, color=theme().dim, linewidth=0.5)
    share.set(ylabel="share of the sum")
    share.axhline(1, color=theme().dim, linewidth=0.5)
    share.set_xticks(places, tokens, **as_written(tokens))
    turn_ticks(share, 60)
    figure.legend(ncols=len(parts), loc="outside lower center")  # inside, it would lie over bars
    return figure
