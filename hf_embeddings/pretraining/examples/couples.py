"""Couples of samples, which may exchange their second segments without any sign of it but the meaning.

Samples are coupled before their labels are known; then both of a couple exchange, or neither does. Seconds of a couple
have the same shape (how the pair starts, is split and ends) and are cut to the same length, exchanged or not. So the
lengths and ends of true and of false pairs are drawn from one distribution, and so are first segments, and second ones.

Shapes: P samples, C couples.
"""

from dataclasses import dataclass

import numpy as np

from hf_embeddings.pretraining.examples.chunks import Chunks, Spans

STEPS = [1, 1, 2, 2, *(1 << power for power in range(2, 13))]  # between samples that are tried as partners, in turn


@dataclass(frozen=True)
class Seconds:
    """The second segments of pairs as they stand in the text, (P,) each."""

    tokens: np.ndarray  # of the corpus
    documents: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    shapes: np.ndarray  # a number for where the pair starts, is split and ends

    @classmethod
    def of(cls, chunks: Chunks, spans: Spans, starts: np.ndarray) -> "Seconds":
        """Describe the seconds that start at `starts` and end with their chunk."""
        marks = chunks.corpus.sentence_starts
        bits = (
            marks[spans.first_marks - 1] == spans.starts,  # the pair begins a sentence
            marks[spans.end_marks] == spans.ends,  # and ends one
            spans.first_marks < spans.end_marks,  # the second begins one
            chunks.corpus.continues[starts],  # or goes on in the middle of a word
        )
        shapes = sum(bit.astype(np.int64) << place for place, bit in enumerate(bits))
        return cls(chunks.corpus.tokens, spans.documents, starts, spans.ends - starts, np.asarray(shapes))

    def differ(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Tell where an exchange is a false second: of another document, and another text."""
        right = self.documents[one] != self.documents[other]
        lengths = np.minimum(self.lengths[one], self.lengths[other])
        first, second = self.starts[one], self.starts[other]
        same = right & (self.tokens[first] == self.tokens[second])
        same[same] = (self.tokens[first + lengths - 1] == self.tokens[second + lengths - 1])[same]
        for index in np.flatnonzero(same):  # documents repeat phrases
            a, b, length = first[index], second[index], lengths[index]
            right[index] = not np.array_equal(self.tokens[a : a + length], self.tokens[b : b + length])
        return right


def find_couples(seconds: Seconds, bits: np.ndarray) -> np.ndarray:
    """Return couples of samples, (C, 2): by random bits (P,) among those of one shape and length, then of the nearest.

    No sample stands twice. Left over are those of a document, or with a text, that most of the samples have.
    """
    waiting = np.lexsort((bits, seconds.lengths, seconds.shapes))
    couples = []
    for alike in ((seconds.shapes, seconds.lengths), (seconds.shapes,), ()):
        for step in STEPS:
            one, other = _apart(waiting, step)
            right = np.logical_and.reduce([part[one] == part[other] for part in alike] + [seconds.differ(one, other)])
            couples.append(np.stack([one[right], other[right]], axis=1))
            is_coupled = np.isin(waiting, couples[-1])
            waiting = waiting[~is_coupled]
    return np.concatenate(couples)


def _apart(waiting: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return samples, and beside each the one that waits so many steps behind it; none stands twice."""
    first = np.arange(max(0, len(waiting) - step))
    first = first[first // step % 2 == 0]
    return waiting[first], waiting[first + step]
