"""What a prepared corpus says of itself: in the plan it grows by, in the notes of its shards, and in its manifest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

from hf_embeddings.corpora.options import CorpusOptions, SourceOptions, TokenizerOptions
from hf_embeddings.corpora.text_rules import RULES
from hf_embeddings.corpora.text_sample import TextSample
from hf_embeddings.files.manifest import FileFacts
from hf_embeddings.json_record import JsonRecord, absent
from hf_embeddings.typed_yaml.fields import to_dict

KIND = "prepared corpus"
FORMAT = RULES  # of a plan: the rules by which it encodes


def planned_options(corpus: CorpusOptions) -> dict[str, Any]:
    """Return what a plan has of the options of a corpus: those that shards depend on."""
    return {name: value for name, value in to_dict(corpus).items() if name not in ("verify_shards", "temperature")}


class Unit(NamedTuple):
    """Documents that are encoded one after the other, into shards of their own."""

    source: int
    parts: list[str]
    size: int  # bytes of text, guessed; 0 where nobody knows
    stamps: list[list[int]]  # size and time of change of each file


@dataclass(frozen=True, kw_only=True)
class CorpusPlan(JsonRecord):
    """Everything that shards depend on."""

    format: int = FORMAT  # rules of `SentenceTokenizer`
    corpus: dict[str, Any]  # options, as the version that planned had them
    max_length: int  # tokens of an example
    tokenizer: dict[str, Any]  # options, or path and fingerprint of one that exists
    shard_tokens: int
    streams: int  # of documents that come from elsewhere; 0: they are read from the sources
    units: list[Unit]  # what is to be encoded, in the order of the corpus
    word_pairs: list[tuple[str, ...]] | None = absent()  # that are exchanged, as they stood in their files

    @classmethod
    def _of_any_version(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values with the defaults that options had which came later."""
        tokenizer, corpus = values["tokenizer"], dict(values["corpus"])
        if "sentence_ends" in corpus:
            corpus["sentences"] = corpus.pop("sentence_ends")
        return {
            **values,
            "units": [Unit(*unit) for unit in values["units"]],
            "corpus": {**planned_options(CorpusOptions(source="")), **corpus},
            "tokenizer": tokenizer if "fingerprint" in tokenizer else {**to_dict(TokenizerOptions()), **tokenizer},
        }

    @property
    def options(self) -> CorpusOptions:
        """The sources and how to read them."""
        sources = [SourceOptions(**source) for source in self.corpus["sources"]]
        return CorpusOptions(**{**self.corpus, "sources": sources})


@dataclass(frozen=True, kw_only=True)
class ShardNote(JsonRecord):
    """What is noted of a shard when it is on the disk."""

    file: FileFacts
    signatures: FileFacts | None  # of its documents, where near-duplicates are dropped
    documents: int  # twins included
    twins: int | None = absent()  # documents with exchanged words; None: no words are exchanged
    sentences: int
    tokens: int
    largest_id: int  # of the tokens
    empty_sentences: int
    text_sample: TextSample | None = absent()
    ended: bool  # whether it is the last one of its unit
    statistics: dict[str, int] = field(default_factory=dict)  # of reading the unit, with its last shard

    @property
    def read(self) -> int:
        """How many of the documents were read."""
        return self.documents - (self.twins or 0)


@dataclass(frozen=True, kw_only=True)
class ShardFacts(JsonRecord):
    """What the manifest says of a shard."""

    name: str
    source: int  # number of it
    documents: int
    sentences: int
    tokens: int
    largest_id: int
    training: int  # examples
    held_out: int
    training_skipped: int  # documents that are too short for one
    held_out_skipped: int
    training_tokens: int  # in the examples
    held_out_tokens: int

    def examples(self, role: str) -> int:
        """Return how many examples there are for a role, `training` or `held_out`."""
        return {"training": self.training, "held_out": self.held_out}[role]

    def skipped(self, role: str) -> int:
        """Return how many documents are too short for an example of a role."""
        return {"training": self.training_skipped, "held_out": self.held_out_skipped}[role]

    def tokens_of(self, role: str) -> int:
        """Return how many tokens the examples of a role have."""
        return {"training": self.training_tokens, "held_out": self.held_out_tokens}[role]


@dataclass(frozen=True, kw_only=True)
class SourceFacts(JsonRecord):
    """What the manifest says of a source: sums over its shards."""

    source: str
    weight: float
    documents: int
    tokens: int
    training: int  # examples
    training_tokens: int
    held_out: int

    @classmethod
    def of(cls, part: SourceOptions, shards: Iterable[ShardFacts]) -> Self:
        """Sum the shards of a source up."""
        own = list(shards)
        return cls(
            source=part.source,
            weight=part.weight,
            documents=sum(shard.documents for shard in own),
            tokens=sum(shard.tokens for shard in own),
            training=sum(shard.training for shard in own),
            training_tokens=sum(shard.training_tokens for shard in own),
            held_out=sum(shard.held_out for shard in own),
        )


@dataclass(frozen=True, kw_only=True)
class CorpusFacts(JsonRecord):
    """What stands in the manifest of a prepared corpus beside its files."""

    kind: str = KIND
    plan: CorpusPlan
    tokenizer: str  # fingerprint
    max_length: int  # tokens of the examples that are cut
    sources: list[SourceFacts]
    shards: list[ShardFacts]
    statistics: dict[str, int]  # what was read, dropped and kept
    text_sample: TextSample | None = absent()

    def counts(self, name: str) -> np.ndarray:
        """Return documents, sentences or tokens of each shard, (P,)."""
        return np.array([getattr(shard, name) for shard in self.shards], dtype=np.int64)

    @property
    def sentences_per_document(self) -> float:
        """In the mean."""
        return int(self.counts("sentences").sum()) / max(1, int(self.counts("documents").sum()))
