"""What a checkpoint's records say that its model card repeats: fields of the options of its run, and of its origin.

Any version may have written them, so that only these fields are read, each as what it is.
"""

from dataclasses import dataclass, field

from hf_embeddings.json_record import JsonRecord, absent

Names = str | list[str] | None


@dataclass(frozen=True, kw_only=True)
class Origin(JsonRecord):
    """What the checkpoint was made from, as `convert`, `reposition`, `vocabulary` or the run left it."""

    made: str | None = absent()  # how, to follow "a TriEmbed encoder" in a sentence
    description: str = ""
    base_model: Names = absent()
    language: Names = absent()
    license: Names = absent()
    license_name: str | None = absent()
    license_link: str | None = absent()


@dataclass(frozen=True, kw_only=True)
class RecordedCard(JsonRecord):
    """The section `card`."""

    name: str | None = absent()
    language: Names = absent()
    license: Names = absent()


@dataclass(frozen=True, kw_only=True)
class RecordedSource(JsonRecord):
    """One of the sources of a corpus."""

    source: str


@dataclass(frozen=True, kw_only=True)
class RecordedCorpus(JsonRecord):
    """The section `corpus`."""

    source: str | None = absent()
    sources: list[RecordedSource] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The sources as they are named."""
        return [self.source] if self.source else [part.source for part in self.sources]


@dataclass(frozen=True, kw_only=True)
class RecordedExamples(JsonRecord):
    """The section `examples`."""

    max_length: int
    objectives: list[str]
    objective_weights: dict[str, float] | None = absent()
    masking_probability: float
    final_masking_probability: float | None = absent()
    masking_unit: str = "token"
    mask_token_fraction: float
    random_token_fraction: float


@dataclass(frozen=True, kw_only=True)
class RecordedPhase(JsonRecord):
    """One of the phases of a training."""

    schedule: str | None = absent()


@dataclass(frozen=True, kw_only=True)
class RecordedGenerator(JsonRecord):
    """The section `generator`."""

    width: float
    layers: float
    embeddings: str


@dataclass(frozen=True, kw_only=True)
class RecordedTraining(JsonRecord):
    """The section `training`."""

    tokens_per_step: int
    optimizer: str = "adamw"
    learning_rate: float
    adamw_learning_rate: float | None = absent()
    adam_beta1: float
    adam_beta2: float
    weight_decay: float
    schedule: str = "linear"
    warmup_fraction: float
    mixed_precision: str
    phases: list[RecordedPhase] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RecordedOptions(JsonRecord):
    """The options of a run."""

    seed: int
    output_dir: str | None = absent()
    card: RecordedCard | None = absent()
    corpus: RecordedCorpus | None = absent()
    examples: RecordedExamples
    generator: RecordedGenerator | None = absent()
    training: RecordedTraining


@dataclass(frozen=True, kw_only=True)
class RecordedRows(JsonRecord):
    """The section `data` of a run of `embed`."""

    source: str
    columns: list[str]
    evaluation_source: str | None = absent()


@dataclass(frozen=True, kw_only=True)
class RecordedLoss(JsonRecord):
    """The section `loss`."""

    name: str
    scale: float
    hard_negatives: int = 0
    matryoshka: list[int] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RecordedEmbeddingTraining(JsonRecord):
    """The section `training` of a run of `embed`."""

    batch_size: int
    learning_rate: float
    schedule: str
    warmup_fraction: float
    weight_decay: float


@dataclass(frozen=True, kw_only=True)
class RecordedEmbedding(JsonRecord):
    """The options of a run of `embed`."""

    seed: int
    output_dir: str | None = absent()
    card: RecordedCard | None = absent()
    data: RecordedRows
    loss: RecordedLoss
    training: RecordedEmbeddingTraining
