"""What a finished run is worth: its held-out figures, judged against what knows nothing."""

import math

from hf_embeddings.pretraining.examples.pairs import RELATIONS
from hf_embeddings.records.run import HeldOut, ObjectiveFigures, Worth

CHANCE = 0.5  # of a pair's two labels, which are balanced
MOST = 0.5  # share of labels


def judge(held_out: HeldOut, unigram_loss: float) -> Worth:
    """Judge the held-out figures of a run."""
    failures = {}
    # Of a run for replaced tokens, the generator predicts the masked ones.
    mlm, what = held_out.get("mlm") or held_out.get("generator"), "MLM loss" + " of the generator" * ("rtd" in held_out)
    if mlm:
        low, high = (math.nan if end is None else end for end in (mlm.loss_low, mlm.loss_high))
        if not high < unigram_loss:  # nor where it is not a number
            failures["mlm"] = (
                f"held-out {what} {mlm.loss:.3f} nats (95 % interval {low:.3f} to {high:.3f}) is not better than "
                f"{unigram_loss:.3f} for token frequencies alone"
            )
    for name in RELATIONS:
        if (pair := held_out.get(name)) and not pair.accuracy_low > CHANCE:
            failures[name] = (
                f"held-out {name.upper()} accuracy {pair.accuracy:.1%} (95 % interval {pair.accuracy_low:.1%} to "
                f"{pair.accuracy_high:.1%}) is not better than chance, {CHANCE:.0%}"
            )
    if (rtd := held_out.get("rtd")) and not (rtd.roc_auc_low or 0.0) > CHANCE:
        failures["rtd"] = _failed_detection(rtd)
    reasons = list(failures.values())
    if mlm and mlm.unknown_labels and mlm.unknown_labels > MOST * mlm.labels:
        share = mlm.unknown_labels / mlm.labels
        reasons.append(f"{share:.0%} of the tokens that it was to predict are [UNK], which is not text")
    if not reasons:
        return Worth(verdict="learned")
    return Worth(verdict="learned nothing" if len(failures) == len(held_out) else "learned in part", reasons=reasons)


def _failed_detection(rtd: ObjectiveFigures) -> str:
    """Say that replaced tokens are not found; the accuracy alone looks high, as most tokens are original."""
    share = rtd.replaced_share or 0.0
    if rtd.roc_auc is None:
        return f"the held-out share of replaced tokens is {share:.1%}, so that there is nothing to tell apart"
    return (
        f"held-out RTD area under the ROC curve {rtd.roc_auc:.3f} (95 % interval {rtd.roc_auc_low:.3f} to "
        f"{rtd.roc_auc_high:.3f}) is not better than chance, {CHANCE}; {share:.1%} of the tokens are replaced, so that "
        f"to call all of them original is right in {1 - share:.1%}"
    )
