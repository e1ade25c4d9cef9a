"""Sentence pairs and their relation: pure functions of (seed, epoch, samples planned together).

A sample is a chunk: consecutive sentences of one document that fit into one input. Each epoch draws where it is split
into A and B, and half of the samples stay as they are (label 0). The others (label 1)

- in next sentence prediction (`nsp`) exchange their B with a partner of another document: see couples.py;
- in sentence order prediction (`sop`, https://arxiv.org/abs/1909.11942) put B before A.

Nothing but meaning may give a label away. A pair that would has none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from hf_embeddings.pretraining.examples.chunks import Chunks, Spans
from hf_embeddings.pretraining.examples.couples import Seconds, find_couples
from hf_embeddings.pretraining.examples.mirrors import balanced
from hf_embeddings.randomness import random_bits

RULE = 2  # raised when the same seed gives other pairs: a run that was begun by another rule is not resumed unasked


MARGIN = 1 / 4  # of a sentence that is split: "." alone would be the second of many
UNLABELED = -100  # the label of a pair whose relation is not asked for; what cross-entropy ignores


class RandomKey(NamedTuple):
    """What random numbers depend on, beside the sample."""

    seed: int
    epoch: int


@dataclass(frozen=True)
class Pairs:
    """Two spans of the token stream for each sample, and a label: 0 as in the text, 1, or UNLABELED."""

    samples: np.ndarray  # (P,) the chunk that the first segment is from; more than there are: see sampling.py
    first_starts: np.ndarray  # (P,)
    first_ends: np.ndarray
    second_starts: np.ndarray
    second_ends: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, rows: np.ndarray | slice) -> "Pairs":
        return Pairs(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of both segments, special tokens not counted, (P,)."""
        return self.first_ends - self.first_starts + self.second_ends - self.second_starts


def make_pairs(chunks: Chunks, samples: np.ndarray, *, seed: int, epoch: int, relation: str | None) -> Pairs:
    """Split chunks, and change half of the pairs as `relation`, a name in RELATIONS, says; none where it is None.

    Raises:
        ValueError: there is no other document to take a false second from.
    """
    spans = chunks[samples % len(chunks)]
    bits = random_bits(seed, "split", epoch, samples)
    places = _split(chunks, spans, bits, margin=0 if relation is None else MARGIN)
    pairs = Pairs(samples, spans.starts, places, places, spans.ends, np.zeros(len(samples), dtype=np.int64))
    return pairs if relation is None else RELATIONS[relation](chunks, spans, pairs, RandomKey(seed, epoch))


def _exchange_seconds(chunks: Chunks, spans: Spans, pairs: Pairs, key: RandomKey) -> Pairs:
    """Give both of a couple the B of the other, or leave both theirs; what they have is cut to one length."""
    couples = find_couples(
        Seconds.of(chunks, spans, pairs.second_starts), random_bits(key.seed, "nsp", key.epoch, pairs.samples)
    )
    if not len(couples):
        raise ValueError("the corpus has no second document to draw false continuations from; give more documents")
    partners = np.arange(len(pairs))
    partners[couples] = couples[:, ::-1]
    lengths = pairs.second_ends - pairs.second_starts
    labels = np.full(len(pairs), UNLABELED)
    labels[couples] = _coins(pairs.samples[couples[:, 0]], key)[:, None]
    if len(couples) % 2:  # the last couple, which has no counterpart with the other label
        labels[couples[-1, 1]] = 1 - labels[couples[-1, 0]]
    starts = pairs.second_starts[np.where(labels == 1, partners, np.arange(len(pairs)))]
    ends = starts + np.minimum(lengths, lengths[partners])
    return replace(pairs, second_starts=starts, second_ends=ends, labels=labels)


def _coins(samples: np.ndarray, key: RandomKey) -> np.ndarray:
    """Return a label for each of some samples: neighbours take opposite ones, so that they are balanced."""
    numbers = np.arange(len(samples))
    coins = random_bits(key.seed, "label", key.epoch, samples[numbers // 2 * 2]) & np.uint64(1)
    return (coins.astype(np.int64) + numbers) % 2


def _swap_order(chunks: Chunks, spans: Spans, pairs: Pairs, key: RandomKey) -> Pairs:
    """Put B before A in half of the pairs whose surface does not tell their order."""
    bits = random_bits(key.seed, "sop", key.epoch, pairs.samples)
    members = balanced(chunks, spans, pairs.first_ends, bits)
    labels = np.full(len(pairs), UNLABELED)
    labels[members] = _coins(pairs.samples[members], key)
    is_swapped = labels == 1
    first = (
        np.where(is_swapped, pairs.second_starts, pairs.first_starts),
        np.where(is_swapped, pairs.second_ends, pairs.first_ends),
    )
    second = (
        np.where(is_swapped, pairs.first_starts, pairs.second_starts),
        np.where(is_swapped, pairs.first_ends, pairs.second_ends),
    )
    return Pairs(pairs.samples, *first, *second, labels)


def _split(chunks: Chunks, spans: Spans, bits: np.ndarray, *, margin: float) -> np.ndarray:
    """Return a sentence end inside each chunk; where it is one sentence, any place but a share at its ends."""
    counts = spans.end_marks - spans.first_marks
    lengths = spans.ends - spans.starts
    least = np.maximum((margin * lengths).astype(np.int64), 1)
    within = spans.starts + least + (bits % (lengths - 2 * least + 1).astype(np.uint64)).astype(np.int64)
    choice = spans.first_marks + (bits % np.maximum(counts, 1).astype(np.uint64)).astype(np.int64)
    several = counts > 0
    within[several] = chunks.corpus.sentence_starts[choice[several]]
    return within


RELATIONS: dict[str, Callable[[Chunks, Spans, Pairs, RandomKey], Pairs]] = {
    "nsp": _exchange_seconds,
    "sop": _swap_order,
}


def relation(objectives: Sequence[str]) -> str | None:
    """Return the objective that says how the two segments of a pair relate; None where no objective asks for it."""
    return next((name for name in objectives if name in RELATIONS), None)
