"""Masked language modeling: which tokens are hidden, and by what (BERT, section 3.1)."""

from typing import NamedTuple

import numpy as np

from hf_embeddings.randomness import random_bits, random_floats

LONGEST_INPUT = 1 << 20  # tokens of one sample; with the sample's number it makes the counter of a token
LONGEST_UNIT = 6  # tokens: what is written without spaces is one word for many tokenizers, and is hidden in parts
RULE = 2  # of words and spans; raised when the same seed hides other tokens: see checkpoints/resume.py
MEAN_SPAN = 4  # words of a run in the mean, their number geometrically distributed (SpanBERT, about 4)


class Units(NamedTuple):
    """Which tokens (T,) begin something that is hidden as a whole, and which begin a run that is drawn together."""

    wholes: np.ndarray
    runs: np.ndarray


def find_units(kind: str, samples: np.ndarray, continues: np.ndarray, *, seed: int, epoch: int) -> Units:
    """Say what is hidden together.

    Args:
        kind: "token": every piece by itself; "word": a piece and those that continue it, a Chinese character being a
            word of its own; "span": runs of words (https://arxiv.org/abs/1907.10529). A word of many tokens is cut.
        samples: (T,) the sample that each token belongs to.
        continues: (T,) whether a piece continues the word before it.
        seed: of the run.
        epoch: number of the pass over the corpus.
    """
    if kind == "token":
        return Units(*[np.ones(len(samples), dtype=bool)] * 2)
    words = ~continues
    words[:1] = True
    starts = np.flatnonzero(words)
    places = np.arange(len(words)) - np.repeat(starts, np.diff(np.append(starts, len(words))))
    parts = places % LONGEST_UNIT == 0
    if kind == "word":
        return Units(parts, parts)
    # Parts of a word that is cut are runs of tokens already, and none is joined to the one before it.
    return Units(
        parts, parts & ((places > 0) | (random_floats(seed, "span", epoch, _counters(samples)) < 1 / MEAN_SPAN))
    )


def choose_masked(
    samples: np.ndarray, maskable: np.ndarray, units: Units, *, probability: float, seed: int, epoch: int
) -> np.ndarray:
    """Choose units with a share of the maskable tokens of each sample.

    Args:
        samples: (T,) the sample that each token belongs to; the tokens of a sample are neighbours.
        maskable: (T,) False for special tokens, which are never chosen.
        units: see `find_units`; a sample, and a special token, end them too.
        probability: share of maskable tokens to predict; at least one unit is chosen where there is any.
        seed: of the run.
        epoch: number of the pass over the corpus.

    Returns:
        (M,) indices into the tokens, ascending. What is chosen in a sample depends on its number, not on its batch.
    """
    places = np.flatnonzero(maskable)
    owners = samples[places]
    breaks = (np.diff(places, prepend=-2) != 1) | (np.diff(owners, prepend=-1) != 0)
    wholes = np.flatnonzero(units.wholes[places] | breaks)  # the first token of each unit, among the maskable
    sizes = np.diff(np.append(wholes, len(places)))
    first = np.flatnonzero(np.diff(owners[wholes], prepend=-1))  # the first unit of each sample
    counts = np.add.reduceat(sizes, first)  # tokens of each sample
    # The number is rounded at random, so that its mean is exact for short inputs too.
    targets = np.floor(probability * counts + random_floats(seed, "mask count", epoch, owners[wholes[first]]))
    targets = np.minimum(np.maximum(targets, 1), counts)
    rows = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(wholes))))
    # Units of a run share one draw, so that they follow each other; the last run of a sample may be cut. A sample is a
    # circle, on which no place is the first: units before its first run belong to its last one.
    runs = units.runs[places][wholes] | breaks[wholes]
    runs[first] = units.runs[places][wholes[first]]
    draws = np.append(np.uint64(0), random_bits(seed, "mask", epoch, _counters(samples)[places[wholes[runs]]]))
    number = np.cumsum(runs)
    early = number == (number - runs)[first][rows]
    number = np.where(early, number[np.append(first[1:], len(wholes)) - 1][rows], number)
    order = np.lexsort((early, draws[number], rows))
    before = np.cumsum(sizes[order]) - sizes[order]
    before -= before[first][rows]  # tokens of the sample's units drawn before this one
    # A unit that oversteps the number is taken as often as brings the mean to it; the first one is cut to it.
    room = targets[rows] - before
    first_of_all = before == 0
    lots = random_floats(seed, "mask last", epoch, _counters(samples)[places[wholes[order]]])
    is_taken = (room >= sizes[order]) | (room > lots * sizes[order]) | first_of_all
    hidden = np.zeros(len(wholes), dtype=np.int64)
    hidden[order] = np.where(is_taken, np.where(first_of_all, np.minimum(sizes[order], targets[rows]), sizes[order]), 0)
    within = np.arange(len(places)) - np.repeat(wholes, sizes)
    return places[within < np.repeat(hidden, sizes)]


def hide(
    ids: np.ndarray,
    samples: np.ndarray,
    places: np.ndarray,
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
        places: (M,) indices of the tokens to hide.
        mask_token_id: id of [MASK].
        ordinary_ids: ids that may stand in at random; no special id is among them.
        mask_token_fraction: share of the chosen that become [MASK].
        random_token_fraction: share of the chosen that become a random token; the rest stays as it is.
        seed: of the run.
        epoch: number of the pass over the corpus.
    """
    counters = _counters(samples)[places]
    fate = random_floats(seed, "mask fate", epoch, counters)
    new_ids = ids.copy()
    new_ids[places[fate < mask_token_fraction]] = mask_token_id
    is_random = (fate >= mask_token_fraction) & (fate < mask_token_fraction + random_token_fraction)
    draws = random_bits(seed, "mask token", epoch, counters[is_random]) % np.uint64(len(ordinary_ids))
    new_ids[places[is_random]] = ordinary_ids[draws.astype(np.int64)]
    return new_ids


def _counters(samples: np.ndarray) -> np.ndarray:
    """Give each token (T,) a number of its own: its sample and its place in it."""
    starts = np.flatnonzero(np.diff(samples, prepend=-1))
    return (
        samples * LONGEST_INPUT + np.arange(len(samples)) - np.repeat(starts, np.diff(np.append(starts, len(samples))))
    )
