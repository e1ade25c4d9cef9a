"""The report of `hf-embeddings evaluate`: what it measured on a model, as command, card and picture read it."""

from dataclasses import dataclass, field

from hf_embeddings.analysis.calibration import CosineLevels
from hf_embeddings.analysis.geometry import Isotropy
from hf_embeddings.json_record import JsonRecord, absent


@dataclass(frozen=True, kw_only=True)
class VectorChoice(JsonRecord):
    """How the vectors were made that all was measured on."""

    source: str  # "contextual", or "table"
    pooling: str
    layer: int | None  # None: the last
    prompt: str


@dataclass(frozen=True, kw_only=True)
class FileFigures(JsonRecord):
    """Figures on a file, and what of it they do not contain."""

    left_out: list[str] | None = absent()  # lines with data that could not be used: place and reason
    notes: list[str] | None = absent()  # what was assumed of the file, and what its figures cannot say


@dataclass(frozen=True, kw_only=True)
class SimilarityFigures(FileFigures):
    """Agreement of cosines with people's scores."""

    pairs: int
    spearman: float | None  # None: all cosines, or all scores, are the same; the notes say which
    p_value: float | None
    pairs_in_file: int
    out_of_vocabulary: list[str]
    tokens_per_text: float


@dataclass(frozen=True, kw_only=True)
class AnalogyFigures(FileFigures):
    """Questions of the form a is to b as c is to what."""

    questions: int
    questions_in_file: int
    candidates: int  # different words of the file, as the tokenizer sees them
    accuracy: float | None  # None: no question could be asked
    accuracy_by_section: dict[str, float]
    out_of_vocabulary: list[str]


@dataclass(frozen=True, kw_only=True)
class RankingFigures(JsonRecord):
    """Where the right texts stand among all."""

    queries: int
    candidates: int
    recall: dict[int, float]  # k -> share of a query's right texts among the first k
    ndcg: dict[int, float] | None = absent()  # k -> normalised discounted gain of the first k; None: of an old report
    mrr: float
    # 95 % intervals of the same, from resampling the queries, and what chance reaches; None: of an old report
    recall_interval: dict[int, tuple[float, float]] | None = absent()
    ndcg_interval: dict[int, tuple[float, float]] | None = absent()
    mrr_interval: tuple[float, float] | None = absent()
    ndcg_by_chance: dict[int, float] | None = absent()


@dataclass(frozen=True, kw_only=True)
class RetrievalFigures(FileFigures):
    """A query's texts among all texts, and a text's queries among all queries."""

    forward: RankingFigures
    backward: RankingFigures | None  # None: no text of the file is right for a query


@dataclass(frozen=True, kw_only=True)
class AssociationFigures(JsonRecord):
    """A test of associations (WEAT, SEAT), or why it could not be made."""

    test: str
    skipped: str | None = absent()
    on: str | None = absent()  # "words" or "sentences"
    source: str | None = absent()  # of the word lists
    effect_size: float | None = absent()
    difference: float | None = absent()  # of the mean scores of both groups, in cosines; None: of an old report
    p_value: float | None = absent()
    partitions: int | None = absent()
    exact: bool | None = absent()
    note: str | None = absent()  # what the figures cannot say


@dataclass(frozen=True, kw_only=True)
class GrammarFigures(JsonRecord):
    """How often a masked language model finds the right one of two sentences more likely; chance is one half."""

    pairs: int
    left_out: int  # pairs that the vocabulary cannot spell
    accuracy: float | None  # None: no pair is left
    accuracy_interval: tuple[float, float] | None  # 95 %
    accuracy_by_kind: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class HubFigures(JsonRecord):
    """Vectors that are neighbours of many; the hubs are named."""

    skewness: float
    most: int
    never: float
    hubs: list[str]


@dataclass(frozen=True, kw_only=True)
class NormOutliers(JsonRecord):
    """Rows whose length is out of the ordinary, and the farthest of them."""

    count: int
    farthest: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class TokenCount(JsonRecord):
    """How many tokens, and some of them."""

    count: int
    tokens: list[str]


@dataclass(frozen=True, kw_only=True)
class TableGeometry(JsonRecord):
    """The token table."""

    rows: int
    rows_measured: int
    isotropy: Isotropy
    hubness: HubFigures
    zero_rows: list[str]
    repeated_rows: list[list[str]]
    norm_outliers: NormOutliers
    unused_rows: int
    like_unused: TokenCount | None  # None: there are too few unused rows to compare with


@dataclass(frozen=True, kw_only=True)
class PositionBias(JsonRecord):
    """What each place in documents of a few sentences counts, from the first to the last."""

    documents: int
    sentence_in_document: list[float]  # cosine of a sentence and of the document that has it at this place
    moved_by_edit: list[float]  # 1 - cosine of the documents before and after the sentence at this place is exchanged
    start_less_end: float  # how much further an edit of the first sentence moves the vector than one of the last
    start_less_end_half_width: float  # of its 95 % interval


@dataclass(frozen=True, kw_only=True)
class TextGeometry(JsonRecord):
    """The vectors of sentences."""

    corpus: str | None = absent()
    sentences: int
    isotropy: Isotropy
    hubness: HubFigures
    anisotropy_by_layer: list[float]
    cosines: CosineLevels | None = absent()  # of pairs of them; None: of an old report
    position_bias: PositionBias | None = absent()  # None: sentences are too long or too few, or of an old report


@dataclass(frozen=True, kw_only=True)
class SizeFigures(JsonRecord):
    """What vectors keep that are cut to a width and rounded to a precision."""

    width: int
    precision: str
    bytes_per_vector: int
    neighbours_kept: float
    figures: dict[str, float | None]  # of each file that was given; None where there is nothing to measure


@dataclass(frozen=True, kw_only=True)
class Dataset(JsonRecord):
    """A data set of the Hub."""

    id: str
    revision: str


@dataclass(kw_only=True)
class EvaluationReport(JsonRecord):
    """Everything; the parts by the name of their file."""

    model: str
    vectors: VectorChoice
    similarity: dict[str, SimilarityFigures] = field(default_factory=dict)
    analogies: dict[str, AnalogyFigures] = field(default_factory=dict)
    retrieval: dict[str, RetrievalFigures] = field(default_factory=dict)
    bias: list[AssociationFigures] = field(default_factory=list)
    grammar: dict[str, GrammarFigures] | None = absent()  # by language
    table: TableGeometry
    text: TextGeometry
    sizes: list[SizeFigures]
    mteb: dict[str, float | None] | None = absent()  # main score by task; None where MTEB has none
    mteb_datasets: dict[str, Dataset] | None = absent()  # by task
    picture: str | None = absent()  # path
