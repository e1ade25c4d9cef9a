"""How well replaced tokens are told from original ones, which are many more: to name none is right mostly."""

from dataclasses import replace

import numpy as np

from hf_embeddings.analysis.intervals import Z
from hf_embeddings.records.run import ObjectiveFigures


def with_detection(
    figures: ObjectiveFigures, labels: np.ndarray, scores: np.ndarray, examples: np.ndarray
) -> ObjectiveFigures:
    """Add what the share of replaced tokens does not decide, as it decides the accuracy.

    The area under the ROC curve is the chance that a replaced token looks more replaced than an original one; 0.5 for
    scores that know nothing. Its interval takes the labels of one example together.

    Args:
        figures: of the objective.
        labels: (N,) 0 original, 1 replaced.
        scores: (N,) by how much each token looks replaced; above 0 it is named as that.
        examples: (N,) number of the example that the token stands in.
    """
    is_replaced = labels == 1
    share = float(is_replaced.mean())
    if not 0 < share < 1:  # one kind only: nothing to tell apart
        return replace(figures, replaced_share=share)
    is_named = scores > 0
    # How far each token is on the right side of those of the other kind, (N,); ties count half.
    placements = np.empty(len(labels))
    for kind in (is_replaced, ~is_replaced):
        others = np.sort(scores[~kind])
        below = (np.searchsorted(others, scores[kind]) + np.searchsorted(others, scores[kind], side="right")) / 2
        placements[kind] = below / len(others)
    placements[~is_replaced] = 1 - placements[~is_replaced]
    area = float(placements[is_replaced].mean())
    deviations = (placements - area) / np.where(is_replaced, share, 1 - share)  # (DeLong et al. 1988)
    error = float(np.sqrt((np.bincount(examples, weights=deviations) ** 2).sum()) / len(labels))
    return replace(
        figures,
        replaced_share=share,
        precision=float(is_replaced[is_named].mean()) if is_named.any() else None,
        recall=float(is_named[is_replaced].mean()),
        roc_auc=area,
        roc_auc_low=area - Z * error,
        roc_auc_high=area + Z * error,
    )
