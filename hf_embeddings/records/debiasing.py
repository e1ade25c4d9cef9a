"""The report of `hf-embeddings debias`: what was taken out of a model, and every figure before and after."""

from dataclasses import dataclass, field

from hf_embeddings.json_record import JsonRecord, absent
from hf_embeddings.records.evaluation import AssociationFigures, RetrievalFigures, SimilarityFigures


@dataclass(frozen=True, kw_only=True)
class Separation(JsonRecord):
    """How well a classifier finds the group of words that leaned to either side before; 0.5 is chance."""

    words: int
    accuracy: float
    leaning: float  # mean cosine of these words with the first direction, to their own side


@dataclass(frozen=True, kw_only=True)
class BiasFigures(JsonRecord):
    """What was measured on one kind of vectors of one model."""

    bias: list[AssociationFigures] = field(default_factory=list)
    similarity: dict[str, SimilarityFigures] = field(default_factory=dict)  # by file
    retrieval: dict[str, RetrievalFigures] = field(default_factory=dict)  # by file
    separation: Separation | None = absent()  # None: too few words are one token each


@dataclass(kw_only=True)
class DebiasReport(JsonRecord):
    """What was done."""

    source: str
    target: str
    of: str  # "table" or "vectors"
    pairs: str  # names of the lists
    pairs_used: list[tuple[str, str]]
    pairs_left_out: list[str]  # with a word that the vocabulary lacks, or that is several tokens in a table
    sentences: int | None = absent()  # pairs of sentences whose vectors gave the directions
    sentences_from: str | None = absent()  # corpus; None: frames of the package
    dimensions: int
    explained: list[float]  # share of the squared differences of the pairs, by direction
    rows_neutralized: int | None = absent()
    rows_kept: int | None = absent()  # special tokens, words of the pairs, words that are named
    pairs_equalized: int | None = absent()
    head: str | None = absent()  # what became of the scores of the masked language model, in words
    before: dict[str, BiasFigures] = field(default_factory=dict)  # by kind of vectors: "contextual", "table"
    after: dict[str, BiasFigures] = field(default_factory=dict)
