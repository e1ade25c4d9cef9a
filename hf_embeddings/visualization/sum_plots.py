"""Picture of the input sum: what token, position and segment contribute to each input vector.

Shapes: S tokens.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from hf_embeddings.analysis.input_sum import Part
from hf_embeddings.visualization.colours import series
from hf_embeddings.visualization.fonts import as_written


def sum_figure(
    tokens: Sequence[str], parts: Mapping[str, Part], *, title: str, segments: Sequence[int] | None = None
) -> Figure:
    """Draw norms, cosines with the sum, and shares of the sum.

    Args:
        tokens: S labels.
        parts: name of the part -> what is measured of it.
        title: shown above.
        segments: S rows of the segment table; one for all tokens is named in the legend.
    """
    figure = Figure(figsize=(max(7, 0.42 * len(tokens) + 2), 8), layout="constrained", dpi=110)
    figure.suptitle(title, **as_written([title]))
    norm, cosine, share = figure.subplots(3, 1, sharex=True)
    places = np.arange(len(tokens))
    width = 0.8 / len(parts)
    positive, negative = np.zeros(len(tokens)), np.zeros(len(tokens))
    for index, (name, part) in enumerate(parts.items()):
        offset = (index - (len(parts) - 1) / 2) * width
        norm.bar(places + offset, part.norm, width, label=_part_name(name, segments), color=series(index))
        cosine.bar(places + offset, part.cosine, width, color=series(index))
        heights = part.share
        below = np.where(heights >= 0, positive, negative)
        share.bar(places, heights, 0.8, bottom=below, color=series(index))
        positive, negative = positive + np.maximum(heights, 0), negative + np.minimum(heights, 0)
    norm.set(ylabel="norm")
    cosine.set(ylabel="cosine with the sum", ylim=(min(0, 1.05 * cosine.get_ylim()[0]), 1.05))
    cosine.axhline(0, color="black", linewidth=0.5)
    share.set(ylabel="share of the sum")
    share.axhline(1, color="black", linewidth=0.5)
    share.set_xticks(places, tokens, rotation=60, ha="right", **as_written(tokens))
    figure.legend(ncols=len(parts), loc="outside lower center")  # inside, it would lie over bars
    return figure


def _part_name(name: str, segments: Sequence[int] | None) -> str:
    if name == "segment" and segments and len(set(segments)) == 1:
        return f"segment {segments[0]}, the same for all tokens"
    return name
