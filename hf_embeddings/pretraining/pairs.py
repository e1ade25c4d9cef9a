"""Sentence pairs and their relation: pure functions of (seed, epoch, samples planned together).

A sample is a chunk: consecutive sentences of one document that fit into one input. Each epoch splits it anew into A and
B, and half of the samples stay as they are (label 0). The others (label 1)

- in next sentence prediction (`nsp`) exchange their B for the B, of the same length, of a sample of another document:
  true and false seconds have the same lengths and the same ends of sentences, and nothing but their meaning gives the
  label away;
- in sentence order prediction (`sop`, https://arxiv.org/abs/1909.11942) put B before A.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hf_embeddings.pretraining.randomness import random_bits
from hf_embeddings.pretraining.tokenizer import TokenizedCorpus

SHORTEST_CHUNK = 4  # tokens; less cannot be split into two segments with something to predict
DONORS_TRIED = 64  # of the nearest length, before one of any length is taken


@dataclass(frozen=True)
class Chunks:
    """Spans of the token stream that fit into one input, with the document each belongs to."""

    corpus: TokenizedCorpus
    starts: np.ndarray  # (N,) first token
    ends: np.ndarray  # (N,) token after the last
    documents: np.ndarray  # (N,) document number
    max_tokens: int  # the longest that a chunk, and so a pair, may be
    skipped: int  # documents or remainders too short to be split

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True)
class Pairs:
    """Two spans of the token stream for each sample; `labels` are 0 where they stand as in the text, else 1."""

    samples: np.ndarray  # (P,) the chunk that the first segment is from
    first_starts: np.ndarray  # (P,)
    first_ends: np.ndarray
    second_starts: np.ndarray
    second_ends: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, chosen: np.ndarray) -> "Pairs":
        return Pairs(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of both segments, special tokens not counted, (P,)."""
        return self.first_ends - self.first_starts + self.second_ends - self.second_starts


def cut_chunks(corpus: TokenizedCorpus, *, max_tokens: int) -> Chunks:
    """Cut every document into chunks of whole sentences of at most `max_tokens`; a longer sentence is cut to size."""
    starts, ends, documents = [], [], []
    skipped = 0
    sentences = corpus.sentence_starts.tolist()
    for document in range(len(corpus.document_starts) - 1):
        low, high = int(corpus.document_starts[document]), int(corpus.document_starts[document + 1])
        start = sentences[low]
        spans: list[tuple[int, int]] = []
        for sentence in range(low, high):
            if sentences[sentence + 1] - start > max_tokens:
                if sentences[sentence] > start:
                    spans.append((start, sentences[sentence]))
                start = sentences[sentence]
                while sentences[sentence + 1] - start > max_tokens:
                    spans.append((start, start + max_tokens))
                    start += max_tokens
        spans.append((start, sentences[high]))
        for begin, end in spans:
            if end - begin < SHORTEST_CHUNK:
                skipped += end > begin
                continue
            starts.append(begin)
            ends.append(end)
            documents.append(document)
    return Chunks(corpus, np.array(starts), np.array(ends), np.array(documents), max_tokens, skipped)


def make_pairs(chunks: Chunks, samples: np.ndarray, *, seed: int, epoch: int, relation: str | None) -> Pairs:
    """Split chunks, and change half of the pairs as `relation`, a name in RELATIONS, says; none where it is None.

    Raises:
        ValueError: there is no other document to take a false second from.
    """
    starts, ends = chunks.starts[samples], chunks.ends[samples]
    places = _split(chunks, samples, random_bits(seed, "split", epoch, samples))
    pairs = Pairs(samples, starts, places, places, ends, np.zeros(len(samples), dtype=np.int64))
    if relation is None:
        return pairs
    # One coin for two neighbours, who take opposite sides: the labels are balanced, not only in the mean.
    coins = (random_bits(seed, "label", epoch, samples // 2) & np.uint64(1)).astype(np.int64)
    pairs = replace(pairs, labels=(coins + samples) % 2)
    return RELATIONS[relation](chunks, pairs, random_bits(seed, relation, epoch, samples))


def _exchange_seconds(chunks: Chunks, pairs: Pairs, bits: np.ndarray) -> Pairs:
    donors = _find_donors(chunks, pairs.samples, pairs.first_ends, pairs.labels, bits)
    starts, ends = pairs.second_starts[donors], pairs.second_ends[donors]
    longest = chunks.max_tokens - (pairs.first_ends - pairs.first_starts)
    return replace(pairs, second_starts=starts, second_ends=np.minimum(ends, starts + longest))


def _swap_order(chunks: Chunks, pairs: Pairs, bits: np.ndarray) -> Pairs:
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


def _split(chunks: Chunks, samples: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return a sentence end inside each chunk, or any place where it is one sentence."""
    starts, ends, marks = chunks.starts[samples], chunks.ends[samples], chunks.corpus.sentence_starts
    low, high = np.searchsorted(marks, starts + 1), np.searchsorted(marks, ends)
    within = starts + 1 + (bits % (ends - starts - 1).astype(np.uint64)).astype(np.int64)
    choice = low + (bits % np.maximum(high - low, 1).astype(np.uint64)).astype(np.int64)
    return np.where(high > low, marks[np.minimum(choice, len(marks) - 1)], within)


def _find_donors(
    chunks: Chunks, samples: np.ndarray, places: np.ndarray, labels: np.ndarray, bits: np.ndarray
) -> np.ndarray:
    """Return whose second each sample gets: its own where the label is 0, else that of a sample of another document.

    False samples stand in the order of the length of their seconds, and each takes that of the one before.
    """
    lengths = chunks.ends[samples] - places
    donors = np.arange(len(samples))
    order = np.flatnonzero(labels)
    order = order[np.lexsort((bits[order], lengths[order]))]
    waiting = np.arange(len(order))
    for step in range(1, min(len(order), DONORS_TRIED)):
        candidates = order[np.abs(waiting - step) % len(order)]
        wrong = _is_wrong(chunks, samples, places, order[waiting], candidates)
        donors[order[waiting[~wrong]]] = candidates[~wrong]
        waiting = waiting[wrong]
    for sample in order[waiting]:
        others = np.flatnonzero(chunks.documents[samples] != chunks.documents[samples[sample]])
        others = np.roll(others, -int(bits[sample] % np.uint64(max(len(others), 1))))
        right = ~_is_wrong(chunks, samples, places, np.full(len(others), sample), others)
        if not right.any():
            raise ValueError("the corpus has no second document to draw false continuations from; give more documents")
        donors[sample] = others[right.argmax()]
    return donors


def _is_wrong(
    chunks: Chunks, samples: np.ndarray, places: np.ndarray, takers: np.ndarray, donors: np.ndarray
) -> np.ndarray:
    """Tell where a donor's second would be no false one: of the same document, or the same text."""
    tokens, ends = chunks.corpus.tokens, chunks.ends[samples]
    wrong = chunks.documents[samples[takers]] == chunks.documents[samples[donors]]
    alike = (ends - places)[takers] == (ends - places)[donors]
    alike &= (tokens[places[takers]] == tokens[places[donors]]) & (tokens[ends[takers] - 1] == tokens[ends[donors] - 1])
    for index in np.flatnonzero(alike & ~wrong):  # documents repeat phrases
        own, other = (tokens[places[who] : ends[who]] for who in (takers[index], donors[index]))
        wrong[index] = np.array_equal(own, other)
    return wrong


RELATIONS: dict[str, Callable[[Chunks, Pairs, np.ndarray], Pairs]] = {"nsp": _exchange_seconds, "sop": _swap_order}
