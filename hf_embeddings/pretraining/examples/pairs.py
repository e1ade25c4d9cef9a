"""Sentence pairs and their relation: pure functions of (seed, epoch, samples planned together).

A sample is a chunk: consecutive sentences of one document that fit into one input. Each epoch draws where it is split
into A and B, and half of the samples stay as they are (label 0). The others (label 1)

- in next sentence prediction (`nsp`) exchange their B for the B, of the same length, of a sample of another document:
  true and false seconds have the same lengths and the same ends of sentences, and nothing but their meaning gives the
  label away;
- in sentence order prediction (`sop`, https://arxiv.org/abs/1909.11942) put B before A.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hf_embeddings.pretraining.examples.chunks import Chunks, Spans
from hf_embeddings.randomness import random_bits

DONORS_TRIED = 64  # of the nearest length, before one of any length is taken


@dataclass(frozen=True)
class Pairs:
    """Two spans of the token stream for each sample; `labels` are 0 where they stand as in the text, else 1."""

    samples: np.ndarray  # (P,) the chunk that the first segment is from; more than there are: see sampling.py
    first_starts: np.ndarray  # (P,)
    first_ends: np.ndarray
    second_starts: np.ndarray
    second_ends: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, chosen: np.ndarray | slice) -> "Pairs":
        return Pairs(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

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
    places = _split(chunks, spans, random_bits(seed, "split", epoch, samples))
    pairs = Pairs(samples, spans.starts, places, places, spans.ends, np.zeros(len(samples), dtype=np.int64))
    if relation is None:
        return pairs
    # One coin for two neighbours, who take opposite sides: the labels are balanced, not only in the mean.
    coins = (random_bits(seed, "label", epoch, samples // 2) & np.uint64(1)).astype(np.int64)
    pairs = replace(pairs, labels=(coins + samples) % 2)
    return RELATIONS[relation](chunks, spans, pairs, random_bits(seed, relation, epoch, samples))


def _exchange_seconds(chunks: Chunks, spans: Spans, pairs: Pairs, bits: np.ndarray) -> Pairs:
    donors = _find_donors(_Seconds.of(chunks, spans, pairs), pairs.labels, bits)
    starts, ends = pairs.second_starts[donors], pairs.second_ends[donors]
    longest = chunks.max_tokens - (pairs.first_ends - pairs.first_starts)
    return replace(pairs, second_starts=starts, second_ends=np.minimum(ends, starts + longest))


def _swap_order(chunks: Chunks, spans: Spans, pairs: Pairs, bits: np.ndarray) -> Pairs:
    swapped = pairs.labels == 1
    first = (
        np.where(swapped, pairs.second_starts, pairs.first_starts),
        np.where(swapped, pairs.second_ends, pairs.first_ends),
    )
    second = (
        np.where(swapped, pairs.first_starts, pairs.second_starts),
        np.where(swapped, pairs.first_ends, pairs.second_ends),
    )
    return Pairs(pairs.samples, *first, *second, pairs.labels)


def _split(chunks: Chunks, spans: Spans, bits: np.ndarray) -> np.ndarray:
    """Return a sentence end inside each chunk, or any place where it is one sentence."""
    counts = spans.end_marks - spans.first_marks
    within = spans.starts + 1 + (bits % (spans.ends - spans.starts - 1).astype(np.uint64)).astype(np.int64)
    choice = spans.first_marks + (bits % np.maximum(counts, 1).astype(np.uint64)).astype(np.int64)
    several = counts > 0
    within[several] = chunks.corpus.sentence_starts[choice[several]]
    return within


@dataclass(frozen=True)
class _Seconds:
    """What `_find_donors` compares: the second segments of pairs as they stand in the text, (P,) each."""

    tokens: np.ndarray  # of the corpus
    documents: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    first: np.ndarray  # tokens
    last: np.ndarray

    @classmethod
    def of(cls, chunks: Chunks, spans: Spans, pairs: Pairs) -> "_Seconds":
        tokens, starts, ends = chunks.corpus.tokens, pairs.second_starts, pairs.second_ends
        return cls(tokens, spans.documents, starts, ends, tokens[starts], tokens[ends - 1])

    def are_alike(self, takers: np.ndarray, donors: np.ndarray) -> np.ndarray:
        """Tell where a donor's second would be no false one: of the same document, or the same text."""
        alike = self.documents[takers] == self.documents[donors]
        same = (self.ends - self.starts)[takers] == (self.ends - self.starts)[donors]
        same &= (self.first[takers] == self.first[donors]) & (self.last[takers] == self.last[donors])
        for index in np.flatnonzero(same & ~alike):  # documents repeat phrases
            own, other = (self.tokens[self.starts[who] : self.ends[who]] for who in (takers[index], donors[index]))
            alike[index] = np.array_equal(own, other)
        return alike


def _find_donors(seconds: _Seconds, labels: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return whose second each sample gets: its own where the label is 0, else that of a sample of another document.

    False samples stand in the order of the length of their seconds, and each takes that of the one before.
    """
    lengths = seconds.ends - seconds.starts
    donors = np.arange(len(labels))
    order = np.flatnonzero(labels)
    order = order[np.lexsort((bits[order], lengths[order]))]
    waiting = np.arange(len(order))
    for step in range(1, min(len(order), DONORS_TRIED)):
        candidates = order[np.abs(waiting - step) % len(order)]
        alike = seconds.are_alike(order[waiting], candidates)
        donors[order[waiting[~alike]]] = candidates[~alike]
        waiting = waiting[alike]
    for sample in order[waiting]:
        others = np.flatnonzero(seconds.documents != seconds.documents[sample])
        others = np.roll(others, -int(bits[sample] % np.uint64(max(len(others), 1))))
        right = ~seconds.are_alike(np.full(len(others), sample), others)
        if not right.any():
            raise ValueError("the corpus has no second document to draw false continuations from; give more documents")
        donors[sample] = others[right.argmax()]
    return donors


RELATIONS: dict[str, Callable[[Chunks, Spans, Pairs, np.ndarray], Pairs]] = {
    "nsp": _exchange_seconds,
    "sop": _swap_order,
}


def relation(objectives: Sequence[str]) -> str | None:
    """Return the objective that says how the two segments of a pair relate; None where no objective asks for it."""
    return next((name for name in objectives if name in RELATIONS), None)
