"""The corpus in memory: documents without duplicates, split into those to train on and those to evaluate on."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from hf_embeddings.corpora.counterfactual import twin_rows, with_twins
from hf_embeddings.corpora.document import CorpusError, SourceReader
from hf_embeddings.corpora.near_duplicates import require_library, signatures
from hf_embeddings.corpora.options import CorpusOptions, SourceOptions
from hf_embeddings.corpora.selection import HELD_OUT, ORIGINAL, TRAINING, digests, select, under
from hf_embeddings.corpora.sources import read_documents, source_bytes
from hf_embeddings.corpora.tokenized_corpus import CHUNK_DOCUMENTS, batched
from hf_embeddings.corpora.word_pairs import read_word_pairs
from hf_embeddings.progress import Phases, silent_phase

__all__ = ["Corpus", "CorpusError", "load_corpus", "read_corpus", "read_documents"]

# What reading may count.
LEFT_OUT = ("invalid_text", "replaced_text", "overlong_documents", "unparsable_files", "rows_without_text")


@dataclass(frozen=True)
class Corpus:
    """Different documents in the order of their sources, and the count of everything read, kept and left out."""

    documents: list[str]  # D, twins with exchanged words included
    roles: np.ndarray  # (D,) TRAINING, HELD_OUT, or DROPPED as a near-duplicate, for a twin or as one
    sources: list[tuple[str, float, int]]  # name, weight and first document of each
    statistics: dict[str, int]
    marks: np.ndarray  # (D,) which of them are twins: see `counterfactual.py`

    @property
    def read(self) -> list[str]:
        """The documents that were read."""
        return [text for text, mark in zip(self.documents, self.marks, strict=True) if mark == ORIGINAL]

    @property
    def training(self) -> list[str]:
        """The documents to train on."""
        return [text for text, role in zip(self.documents, self.roles, strict=True) if role == TRAINING]

    @property
    def evaluation(self) -> list[str]:
        """The documents held out."""
        return [text for text, role in zip(self.documents, self.roles, strict=True) if role == HELD_OUT]


def load_corpus(source: str, **options: object) -> Corpus:
    """Read one source, with further fields of `CorpusOptions`: see `read_corpus`."""
    return read_corpus(CorpusOptions(source=source, **options))  # type: ignore[arg-type]


def read_corpus(options: CorpusOptions, phases: Phases = silent_phase) -> Corpus:
    """Read the sources, drop exact duplicates (up to white space) and hold out a share of the documents.

    Which side a document falls on depends on its text alone, so adding documents or changing their order moves none.
    """
    if options.near_duplicates is not None:
        require_library()
    pairs = read_word_pairs(options.counterfactual)  # a mistake shows before the corpus is read
    statistics: Counter[str] = Counter(dict.fromkeys(("documents_read", "duplicates", *LEFT_OUT), 0))
    documents: dict[bytes, str] = {}
    sources = []
    with phases("reading", _bytes(options)) as phase:
        for part in options.parts():
            sources.append((part.source, part.weight, len(documents)))
            for document in read_source(part, options, statistics, phase.advance):
                statistics["documents_read"] += 1
                documents.setdefault(digests([document]).tobytes(), document)
                phase.note = f"{statistics['documents_read']:,} documents"
    read = list(documents.values())
    texts, marks, keys = with_twins(read, pairs, options.counterfactual_share)
    roles = np.empty(len(texts), dtype=np.uint8)
    with phases("finding duplicates"):
        counts = select(
            keys,
            roles,
            fraction=options.evaluation_fraction,
            signatures=None if options.near_duplicates is None else twin_rows(_signatures(read), marks),
            threshold=options.near_duplicates,
            marks=marks if pairs else None,
            place=source_names(options),
        )
    statistics.update({"near_duplicates": 0} | counts)
    statistics["duplicates"] = statistics["documents_read"] - len(read)
    for role, name in ((TRAINING, "training"), (HELD_OUT, "evaluation")):
        statistics[f"{name}_documents"] = int((roles == role).sum())
        statistics[f"{name}_characters"] = sum(len(texts[number]) for number in np.flatnonzero(roles == role))
    places = [*np.flatnonzero(marks == ORIGINAL), len(texts)]
    sources = [(name, weight, int(places[first])) for name, weight, first in sources]
    return Corpus(texts, roles, sources, dict(statistics), marks)


def read_source(
    part: SourceOptions,
    options: CorpusOptions,
    statistics: Counter[str],
    advance: Callable[[float], None] = lambda size: None,
) -> Iterator[str]:
    """Yield the documents of one source."""
    reader = reader_of(part, options, statistics, advance)
    return read_documents(part.source, reader, max_documents=options.max_documents)


def reader_of(
    part: SourceOptions,
    options: CorpusOptions,
    statistics: Counter[str],
    advance: Callable[[float], None] = lambda size: None,
) -> SourceReader:
    """Return how one source is to be read."""
    return SourceReader(
        text_field=part.text_field or "text",
        hub_split=part.hub_split or "train",
        hub_config=part.hub_config,
        on_invalid_text=options.on_invalid_text,
        policy_option="corpus.on_invalid_text",
        statistics=statistics,
        advance=advance,
    )


def _bytes(options: CorpusOptions) -> int | None:
    """Return the bytes of all sources; None where nobody knows them, or where not all are read."""
    sizes = [source_bytes(part.source) for part in options.parts()]
    return sum(sizes) if all(sizes) and options.max_documents is None else None


def tokenizer_sample(sources: Iterable[Iterable[str]], *, characters: int, fraction: float) -> Iterator[str]:
    """Yield the documents that a tokenizer is trained on: of each source the first different ones, none held out."""
    sources = list(sources)
    for source in sources:
        characters_left, seen_digests = characters // len(sources), set()
        for document in source:
            digest = digests([document])
            if digest[0, 0] >= under(fraction) and (key := digest.tobytes()) not in seen_digests:
                seen_digests.add(key)
                yield document
                characters_left -= len(document)
                if characters_left <= 0:
                    break


def _signatures(texts: list[str]) -> np.ndarray:
    return np.concatenate([signatures(some) for some in batched(texts, CHUNK_DOCUMENTS)])


def source_names(options: CorpusOptions) -> str:
    """Return the sources as errors name them."""
    return ", ".join(part.source for part in options.parts())


def by_source(corpus: Corpus) -> list[list[str]]:
    """Return the documents that were read of each source, near-duplicates included."""
    firsts = [int((corpus.marks[:first] == ORIGINAL).sum()) for *_, first in corpus.sources]
    texts = corpus.read
    return [texts[a:b] for a, b in zip(firsts, [*firsts[1:], None], strict=True)]
