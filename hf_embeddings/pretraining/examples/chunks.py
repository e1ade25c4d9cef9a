"""Chunks: consecutive sentences of one document that fit into one input. They are the samples of pretraining.

Shapes: N chunks.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from hf_embeddings.corpora.tokenized_corpus import TokenizedCorpus
from hf_embeddings.pretraining.examples.sampling import SampleSource, order_pages, page_size

SHORTEST_CHUNK = 4  # tokens; less cannot be split into two segments with something to predict
SPECIAL_TOKENS_PER_PAIR = 3  # [CLS] A [SEP] B [SEP]


class Spans(NamedTuple):
    """Chunks as columns, (N,) each: the columns of the table of `Chunks`."""

    starts: np.ndarray  # first token
    ends: np.ndarray  # token after the last
    documents: np.ndarray  # document number
    first_marks: np.ndarray  # the first of the sentence starts inside, as an index into corpus.sentence_starts
    end_marks: np.ndarray  # the one after the last


@dataclass(frozen=True)
class Chunks:
    """Spans of the token stream that fit into one input, with the document each belongs to."""

    corpus: TokenizedCorpus
    table: np.ndarray  # (N, 5), one row for each chunk: see `Spans`
    max_tokens: int  # the longest that a chunk, and so a pair, may be
    skipped: int  # documents or remainders too short to be split
    sources: tuple[SampleSource, ...]  # of the chunks, one after the other
    again: Callable[..., "Chunks"]  # cuts the same documents to other `max_tokens`
    origin: str = ""  # SHA-256 sum of the manifest of a corpus on disk

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: slice | np.ndarray) -> Spans:
        """Return some chunks; of a corpus on disk, no others are read."""
        return Spans(*np.ascontiguousarray(self.table[rows].T))

    @property
    def starts(self) -> np.ndarray:
        """First token of each chunk, (N,)."""
        return self[:].starts

    @property
    def ends(self) -> np.ndarray:
        """Token after the last of each chunk, (N,)."""
        return self[:].ends

    @property
    def documents(self) -> np.ndarray:
        """Document number of each chunk, (N,)."""
        return self[:].documents

    def recut(self, max_tokens: int) -> "Chunks":
        """Return chunks of the same documents that are cut to another length, in memory."""
        return self.again(max_tokens=max_tokens).weighted({source.name: source.weight for source in self.sources})

    def weighted(self, weights: Mapping[str, float]) -> "Chunks":
        """Return the same chunks with other weights of their sources, by name; 0 leaves one out."""
        sources = (replace(source, weight=weights.get(source.name, source.weight)) for source in self.sources)
        return replace(self, sources=tuple(sources))

    def tempered(self, temperature: float) -> "Chunks":
        """Return the same chunks with weights that make the sources more alike: https://arxiv.org/abs/1911.02116.

        The share of a source in an epoch is in proportion to its tokens times its weight, to the power of
        1 / `temperature`. An epoch stays as long as it is.
        """
        sizes = np.array([source.weight * source.tokens for source in self.sources])
        shares = sizes ** (1 / temperature)
        targets = sizes.sum() * shares / shares.sum()  # tokens of an epoch
        return self.weighted({s.name: float(t) / s.tokens for s, t in zip(self.sources, targets, strict=True)})

    def select(self, rows: np.ndarray) -> "Chunks":
        """Return some chunks as a corpus of their own."""
        table = self.table[rows]
        lengths = table[:, 1] - table[:, 0]
        pages = order_pages([lengths], page_size(len(table)))
        return replace(self, table=table, sources=(SampleSource("", 1.0, 0, len(table), int(lengths.sum()), pages),))

    def fingerprint(self) -> str:
        """Return a hash of the tokens, and of where the chunks are in them and how often they are taken."""
        facts = [self.max_tokens, [(source.name, source.weight, source.count) for source in self.sources]]
        words = "" if self.corpus.words == "tokenizer" else self.corpus.words
        digest = hashlib.sha256(f"{self.origin} {facts}{words}".encode())
        if not self.origin:
            for array in (self.corpus.tokens, self.corpus.sentence_starts, self.table):
                digest.update(f"{array.dtype} {array.shape} ".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def cut_chunks(
    corpus: TokenizedCorpus,
    *,
    max_tokens: int,
    selection: np.ndarray | None = None,
    sources: Sequence[tuple[str, float, int]] = (("", 1.0, 0),),
) -> Chunks:
    """Cut every document into chunks of whole sentences of at most `max_tokens`; a longer sentence is cut to size.

    Args:
        corpus: the documents.
        max_tokens: tokens of a chunk, special ones not counted.
        selection: (D,) bool, the documents to cut; None takes all.
        sources: name, weight and first document of each source.
    """
    numbers = np.arange(len(corpus.document_starts) - 1) if selection is None else np.flatnonzero(selection)
    table, too_short = cut_table(corpus, numbers, max_tokens)
    bounds = [*np.searchsorted(table[:, 2], [first for *_, first in sources]).tolist(), len(table)]
    size = page_size(len(table))
    parts = []
    for (name, weight, _), first, end in zip(sources, bounds, bounds[1:], strict=False):
        lengths = table[first:end, 1] - table[first:end, 0]
        parts.append(SampleSource(name, weight, first, end - first, int(lengths.sum()), order_pages([lengths], size)))
    again = partial(cut_chunks, corpus, selection=selection, sources=sources)
    return Chunks(corpus, table, max_tokens, too_short, tuple(part for part in parts if part.count), again)


def cut_table(corpus: TokenizedCorpus, numbers: np.ndarray, max_tokens: int) -> tuple[np.ndarray, int]:
    """Return the chunks of some documents (N, 5), as `Spans` has them, and how many spans were too short to be one."""
    starts, ends, documents = [], [], []
    too_short = 0
    sentences, bounds = corpus.sentence_starts.tolist(), corpus.document_starts.tolist()
    for document in numbers.tolist():
        low, high = bounds[document], bounds[document + 1]
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
                too_short += end > begin
                continue
            starts.append(begin)
            ends.append(end)
            documents.append(document)
    marks, first = corpus.sentence_starts, np.array(starts, dtype=np.int64)
    inside = np.searchsorted(marks, first + 1), np.searchsorted(marks, np.array(ends, dtype=np.int64))
    return np.array([first, ends, documents, *inside], dtype=np.int64).T.copy(), too_short
