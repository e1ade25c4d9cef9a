"""Masked language modeling: which tokens are hidden, and by what (BERT, section 3.1)."""

import numpy as np

from hf_embeddings.pretraining.randomness import random_bits, random_floats

LONGEST_INPUT = 1 << 20  # tokens of one sample; with the sample's number it makes the counter of a token


def choose_masked(
    samples: np.ndarray,
    maskable: np.ndarray,
    *,
    probability: float,
    seed: int,
    epoch: int,
) -> np.ndarray:
    """Choose a share of the maskable tokens of each sample.

    Args:
        samples: (T,) the sample that each token belongs to; the tokens of a sample are neighbours.
        maskable: (T,) False for special tokens, which are never chosen.
        probability: share of maskable tokens to predict; at least one is chosen where there is any.
        seed: of the run.
        epoch: number of the pass over the corpus.

    Returns:
        (M,) indices into the tokens, ascending. What is chosen in a sample depends on its number, not on its batch.
    """
    places = np.flatnonzero(maskable)
    owners = samples[places]
    first = np.flatnonzero(np.diff(owners, prepend=-1))  # where each sample begins
    counts = np.diff(np.append(first, len(owners)))
    # The number is rounded at random, so that its mean is exact for short inputs too.
    wanted = probability * counts + random_floats(seed, "mask count", epoch, owners[first])
    wanted = np.minimum(np.maximum(wanted.astype(np.int64), 1), counts)
    index = np.arange(len(owners)) - np.repeat(first, counts)
    draws = random_bits(seed, "mask", epoch, owners * LONGEST_INPUT + index)
    ranking = np.lexsort((draws, np.repeat(np.arange(len(first)), counts)))
    chosen = ranking[index < np.repeat(wanted, counts)]  # the lowest draws of each sample
    return np.sort(places[chosen])


def hide(
    ids: np.ndarray,
    samples: np.ndarray,
    chosen: np.ndarray,
    *,
    mask_token_id: int,
    ordinary_ids: np.ndarray,
    mask_token_fraction: float = 0.8,
    random_token_fraction: float = 0.1,
    seed: int,
    epoch: int,
) -> np.ndarray:
    """Return a copy of `ids` (T,) in which the chosen tokens are hidden.

    Args:
        ids: (T,) token ids.
        samples: (T,) the sample that each token belongs to.
        chosen: (M,) indices of the tokens to hide.
        mask_token_id: id of [MASK].
        ordinary_ids: ids that may stand in at random; no special id is among them.
        mask_token_fraction: share of the chosen that become [MASK].
        random_token_fraction: share of the chosen that become a random token; the rest stays as it is.
        seed: of the run.
        epoch: number of the pass over the corpus.
    """
    starts = np.flatnonzero(np.diff(samples, prepend=-1))
    index = np.arange(len(samples)) - np.repeat(starts, np.diff(np.append(starts, len(samples))))
    counters = (samples * LONGEST_INPUT + index)[chosen]
    fate = random_floats(seed, "mask fate", epoch, counters)
    changed = ids.copy()
    changed[chosen[fate < mask_token_fraction]] = mask_token_id
    swapped = (fate >= mask_token_fraction) & (fate < mask_token_fraction + random_token_fraction)
    draws = random_bits(seed, "mask token", epoch, counters[swapped]) % np.uint64(len(ordinary_ids))
    changed[chosen[swapped]] = ordinary_ids[draws.astype(np.int64)]
    return changed
