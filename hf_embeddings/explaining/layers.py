"""Where the states of the pieces move from layer to layer, and which words they are nearest to.

Shapes: S pieces, L layers, D width.
"""

from collections.abc import Sequence

import numpy as np
import torch

from hf_embeddings.analysis.geometry import unit_rows
from hf_embeddings.explaining.explanation import HiddenStates
from hf_embeddings.explaining.lens import Lens

NEAREST = 5  # words of a state


@torch.no_grad()
def explain_states(lens: Lens, states: Sequence[torch.Tensor]) -> HiddenStates:
    """Follow the hidden states (1, S, D) of the normalised input sum and of each layer."""
    together = torch.cat(list(states))  # (L + 1, S, D)
    layers, pieces, width = together.shape
    unit = unit_rows(together.reshape(-1, width).double().numpy())
    points, explained = common_plane(unit)
    unit = unit.reshape(layers, pieces, width)
    # As if no layer followed; the last state has been through the final norm.
    finished = torch.cat([lens.loaded.encoder.final_norm(together[:-1]), together[-1:]])
    words = lens.words(finished.reshape(-1, width), NEAREST)
    return HiddenStates(
        points=points.reshape(layers, pieces, 2),
        explained=explained,
        step=np.einsum("lsd,lsd->ls", unit[:-1], unit[1:]),
        lens=lens.kind,
        words=[words[start : start + pieces] for start in range(0, len(words), pieces)],
    )


def common_plane(rows: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Return rows (N, D) in their two axes of greatest variance (N, 2), and the share of it that each holds.

    An axis points to where its largest coordinate is, so that the same rows always make the same map.
    """
    centred = rows - rows.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    points = left[:, :2] * values[:2]
    points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    points *= np.where(points[np.abs(points).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    shares = np.pad(values**2, (0, 2))[:2] / max(float((values**2).sum()), 1e-300)
    return points, shares.tolist()
