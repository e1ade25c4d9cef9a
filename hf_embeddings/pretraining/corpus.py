"""The corpus: documents without duplicates, split into those to train on and those to evaluate on."""

from collections import Counter
from hashlib import blake2b
from typing import NamedTuple

from hf_embeddings.pretraining.documents import CorpusError, InvalidTextPolicy, read_documents

__all__ = ["Corpus", "CorpusError", "load_corpus", "read_documents"]

MIN_TRAINING_DOCUMENTS = 2  # next sentence prediction takes its false continuations from another document
MIN_EVALUATION_DOCUMENTS = 2  # and does so when it is measured


class Corpus(NamedTuple):
    """Documents in the order of their source, and the count of everything read, kept and left out."""

    training: list[str]
    evaluation: list[str]
    statistics: dict[str, int]


def load_corpus(
    source: str,
    *,
    evaluation_fraction: float = 0.05,
    text_field: str = "text",
    hub_split: str = "train",
    hub_config: str | None = None,
    on_invalid_text: InvalidTextPolicy = "error",
    max_documents: int | None = None,
) -> Corpus:
    """Read a source, drop exact duplicates (up to white space) and hold out a share of the documents.

    Which side a document falls on depends on its text alone, so adding documents or changing their order moves none.
    """
    statistics: Counter[str] = Counter(
        documents_read=0, duplicates=0, invalid_text=0, replaced_text=0, overlong_documents=0, unparsable_files=0
    )
    documents: dict[bytes, str] = {}
    for document in read_documents(
        source,
        text_field=text_field,
        hub_split=hub_split,
        hub_config=hub_config,
        on_invalid_text=on_invalid_text,
        max_documents=max_documents,
        statistics=statistics,
    ):
        statistics["documents_read"] += 1
        documents.setdefault(_digest(document), document)
    statistics["duplicates"] = statistics["documents_read"] - len(documents)

    held_out = _held_out(list(documents), evaluation_fraction, source)
    training = [document for digest, document in documents.items() if digest not in held_out]
    evaluation = [document for digest, document in documents.items() if digest in held_out]
    statistics["training_documents"] = len(training)
    statistics["training_characters"] = sum(map(len, training))
    statistics["evaluation_documents"] = len(evaluation)
    statistics["evaluation_characters"] = sum(map(len, evaluation))
    return Corpus(training, evaluation, dict(statistics))


def _digest(document: str) -> bytes:
    return blake2b(" ".join(document.split()).encode(), digest_size=16).digest()


def _held_out(digests: list[bytes], fraction: float, source: str) -> set[bytes]:
    """Choose the documents whose hash, read as a fraction, is under `fraction`; in a tiny corpus, the next best."""
    needed = MIN_TRAINING_DOCUMENTS + MIN_EVALUATION_DOCUMENTS
    if len(digests) < needed:
        raise CorpusError(
            f"source {source!r}: got {len(digests)} different documents, expected at least {needed} "
            f"({MIN_TRAINING_DOCUMENTS} to train on, {MIN_EVALUATION_DOCUMENTS} to evaluate on); add documents, or "
            "separate them with blank lines (.txt)"
        )
    ordered = sorted(digests)
    count = sum(int.from_bytes(digest[:8]) < fraction * 2**64 for digest in ordered)
    return set(ordered[: min(max(count, MIN_EVALUATION_DOCUMENTS), len(ordered) - MIN_TRAINING_DOCUMENTS)])
