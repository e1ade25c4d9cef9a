"""How well replaced tokens are told from original ones, which are many more: to name none is right mostly."""

from dataclasses import replace

import numpy as np

from hf_embeddings.analysis.intervals import Z
from hf_embeddings.records.run import ObjectiveFigures


def with_detection(
    figures: ObjectiveFigures, labels: np.ndarray, is_correct: np.ndarray, examples: np.ndarray
) -> ObjectiveFigures:
    """Add what the share of replaced tokens does not decide, as it decides the accuracy.

    Balanced accuracy is the mean of the shares of both kinds that were told right. Its interval takes the labels of one
    example together.

    Args:
        figures: of the objective.
        labels: (N,) 0 original, 1 replaced.
        is_correct: (N,) whether the detector told the label.
        examples: (N,) number of the example that the token stands in.
    """
    is_replaced = labels == 1
    if not 0 < is_replaced.sum() < len(is_replaced):  # one kind only: nothing to tell apart
        return replace(figures, replaced_share=float(is_replaced.mean()))
    told = is_correct == is_replaced  # what the detector said
    recalls = np.array([is_correct[~is_replaced].mean(), is_correct[is_replaced].mean()])
    shares = np.array([1 - is_replaced.mean(), is_replaced.mean()])
    kinds = is_replaced.astype(np.int64)
    deviations = (is_correct - recalls[kinds]) / (2 * shares[kinds])
    error = float(np.sqrt((np.bincount(examples, weights=deviations) ** 2).sum()) / len(deviations))
    balanced = float(recalls.mean())
    return replace(
        figures,
        replaced_share=float(shares[1]),
        precision=float(is_replaced[told].mean()) if told.any() else None,
        recall=float(recalls[1]),
        balanced_accuracy=balanced,
        balanced_accuracy_low=balanced - Z * error,
        balanced_accuracy_high=balanced + Z * error,
    )
