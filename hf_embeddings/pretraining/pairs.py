"""Sentence pairs for next sentence prediction: pure functions of (seed, epoch, sample).

A sample is a chunk: consecutive sentences of one document that fit into one input. Each epoch splits it anew into A and
B. In every two neighbouring samples one keeps its B (label 0) and the other takes the B of a chunk of another document
(label 1), so that half of the labels are 1, and true and false seconds are drawn in the same way: neither length nor
kind of text gives the label away.
"""

from dataclasses import dataclass

import numpy as np

from hf_embeddings.pretraining.tokenizer import TokenizedCorpus

SHORTEST_CHUNK = 4  # tokens; less cannot be split into two segments with something to predict


@dataclass(frozen=True)
class Chunks:
    """Spans of the token stream that fit into one input, with the document each belongs to."""

    corpus: TokenizedCorpus
    starts: np.ndarray  # (N,) first token
    ends: np.ndarray  # (N,) token after the last
    documents: np.ndarray  # (N,) document number
    skipped: int  # documents or remainders too short to be split

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True)
class Pair:
    """Two segments of token ids without special tokens; `label` is 0 where the second follows the first, else 1."""

    first: np.ndarray
    second: np.ndarray
    label: int


def generator(seed: int, purpose: str, epoch: int, sample: int) -> np.random.Generator:
    """Return the random stream of one sample, which depends on nothing but the arguments."""
    key = int.from_bytes(purpose.encode()[:8], "little")
    return np.random.Generator(np.random.Philox(key=[seed ^ key, (epoch << 40) | sample]))


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
    return Chunks(corpus, np.array(starts), np.array(ends), np.array(documents), skipped)


def make_pair(chunks: Chunks, sample: int, *, seed: int, epoch: int, false_seconds: bool = True) -> Pair:
    """Split a chunk and decide whether its second half stays; it always does without `false_seconds`.

    Raises:
        ValueError: there is no other document to take a false second half from.
    """
    random = generator(seed, "split", epoch, sample)
    first, second = _split(chunks, sample, random)
    coin = int(generator(seed, "label", epoch, sample // 2).integers(2))
    label = coin ^ (sample & 1) if false_seconds else 0
    if label:
        true_second = second
        budget = len(first) + len(second)
        for _ in range(100):
            other = int(random.integers(len(chunks)))
            if chunks.documents[other] == chunks.documents[sample]:
                continue
            second = _split(chunks, other, random)[1]
            if not np.array_equal(second, true_second):  # documents repeat phrases: a label must not be wrong
                break
        else:
            raise ValueError("the corpus has no second document to draw false continuations from; give more documents")
        second = second[: budget - len(first)]  # the batch was planned for this length
    return Pair(first, second, label)


def _split(chunks: Chunks, sample: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Split a chunk at a sentence end, or anywhere where it is one sentence."""
    start, end = int(chunks.starts[sample]), int(chunks.ends[sample])
    marks = chunks.corpus.sentence_starts
    low, high = np.searchsorted(marks, (start + 1, end))
    place = int(marks[random.integers(low, high)]) if high > low else int(random.integers(start + 1, end))
    return chunks.corpus.tokens[start:place], chunks.corpus.tokens[place:end]
