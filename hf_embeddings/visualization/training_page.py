"""The page of a training: its stages one after the other, with the ways of the words, and their neighbours at each.

Shapes: N words.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from hf_embeddings.analysis.movement import magnified
from hf_embeddings.visualization.colouring import Groups
from hf_embeddings.visualization.training_plots import Neighbours, shown_share
from hf_embeddings.visualization.viewer import Near, View, viewer_page


def training_page(
    stages: Mapping[str, np.ndarray], words: Sequence[str], groups: Groups, distances: np.ndarray,
    near: Sequence[Neighbours], *, title: str, theme: str | None = None,
) -> str:  # fmt: skip
    """Return the page; the arguments are those of `multiples_figure` and `change_figure`."""
    places, factor = magnified(list(stages.values()))
    names: dict[str, int] = {}
    tables = [
        Near(
            np.array([[names.setdefault(name, len(names)) for name, _ in own] for own in stage]),
            np.array([[cosine for _, cosine in own] for own in stage]),
        )
        for stage in near
    ]
    note = f"Since the first checkpoint the mean word travelled {shown_share(distances[-1].mean())} of its length."
    if factor > 1:
        note += f" Movement is drawn {factor:,} times as large."
    moved = [[shown_share(share) for share in row] for row in distances]
    view = View(
        dict(zip(stages, places, strict=True)), words, [groups], tables, names=list(names), moved=moved, note=note
    )
    return viewer_page(view, title=title, theme=theme)
