"""Documents encoded some at a time, in worker processes."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from hf_embeddings.corpora.counterfactual import twin_rows, with_twins
from hf_embeddings.corpora.near_duplicates import signatures
from hf_embeddings.corpora.text_rules import TextRules
from hf_embeddings.corpora.text_sample import TextSample
from hf_embeddings.corpora.tokenized_corpus import SentenceTokenizer, TokenizedCorpus, encode_documents
from hf_embeddings.corpora.word_pairs import WordPair

BATCH_CHARACTERS = 1 << 19  # of text that a process encodes at a time
BATCH_DOCUMENTS = 1000
SAMPLE_CHARACTERS = 1 << 14  # of each batch, whose health is measured


class Encoded(NamedTuple):
    """What becomes of some documents, D of them, twins included."""

    corpus: TokenizedCorpus
    digests: np.ndarray  # (D, 2) uint64
    characters: np.ndarray  # (D,) uint32
    signatures: np.ndarray | None  # (D, P) uint32, for near-duplicates
    marks: np.ndarray | None  # (D,) uint8, of twins with exchanged words
    sample: TextSample  # of the text


@lru_cache(maxsize=1)
def _encoder(path: Path, stamp: tuple[int, int], rules: TextRules) -> SentenceTokenizer:
    """Read the tokenizer once; `stamp` is another where another preparation has replaced the file."""
    return SentenceTokenizer(Tokenizer.from_file(str(path)), rules)


def encode_batch(
    path: Path,
    documents: list[str],
    *,
    rules: TextRules,
    near_duplicates: bool,
    word_pairs: list[WordPair] | None = None,
    share: float | None = None,
) -> Encoded:
    """Encode documents with the tokenizer in a file, and their twins; this runs in the worker processes."""
    file = path.stat()
    encoder = _encoder(path, (file.st_ino, file.st_mtime_ns), rules)
    texts, marks, keys = with_twins(documents, word_pairs or (), share)
    return Encoded(
        encode_documents(encoder, texts),
        keys,
        np.fromiter(map(len, texts), np.uint32, len(texts)),
        twin_rows(signatures(documents), marks) if near_duplicates else None,
        marks if word_pairs else None,
        TextSample.of(encoder, documents, characters=SAMPLE_CHARACTERS),
    )


def document_batches(documents: Iterable[str]) -> Iterator[list[str]]:
    """Yield the documents that are encoded at a time."""
    batch: list[str] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document)
        if characters >= BATCH_CHARACTERS or len(batch) >= BATCH_DOCUMENTS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
