"""Masked language modeling: which tokens are hidden, and by what (BERT, section 3.1)."""

import numpy as np


def mask_tokens(
    ids: np.ndarray,
    maskable: np.ndarray,
    random: np.random.Generator,
    *,
    probability: float,
    mask_token_id: int,
    ordinary_ids: np.ndarray,
    mask_token_fraction: float = 0.8,
    random_token_fraction: float = 0.1,
) -> tuple[np.ndarray, np.ndarray]:
    """Hide a share of the maskable tokens of one input.

    Args:
        ids: (S,) token ids.
        maskable: (S,) False for special tokens, which are never chosen.
        random: the random stream of this sample.
        probability: share of maskable tokens to predict; at least one is chosen where there is any.
        mask_token_id: id of [MASK].
        ordinary_ids: ids that may stand in at random; no special id is among them.
        mask_token_fraction: share of the chosen that become [MASK].
        random_token_fraction: share of the chosen that become a random token; the rest stays as it is.

    Returns:
        The changed ids (S,) and the chosen positions (M,) in ascending order.
    """
    candidates = np.flatnonzero(maskable)
    # The count is rounded at random, so that its mean is exact for short inputs too.
    count = min(len(candidates), max(1, int(probability * len(candidates) + random.random())))
    chosen = np.sort(random.choice(candidates, size=count, replace=False))
    changed = ids.copy()
    fate = random.random(count)
    changed[chosen[fate < mask_token_fraction]] = mask_token_id
    swapped = chosen[(fate >= mask_token_fraction) & (fate < mask_token_fraction + random_token_fraction)]
    changed[swapped] = random.choice(ordinary_ids, size=len(swapped))
    return changed, chosen
