"""The options of a run of `embed`: each key of a `configs/embedding/*.yaml` file is a field here, with its unit."""

from dataclasses import dataclass, field
from typing import Literal

from hf_embeddings.corpora.document import NO_PATHS
from hf_embeddings.pretraining.options import CardOptions, CheckpointOptions
from hf_embeddings.typed_yaml.fields import bounded, path_field

LossName = Literal["multiple_negatives", "cached_multiple_negatives", "cosent", "simcse", "tsdae"]
UNLABELLED: tuple[LossName, ...] = ("simcse", "tsdae")  # they read texts, and no pairs
IN_BATCH: tuple[LossName, ...] = ("multiple_negatives", "cached_multiple_negatives")  # other rows are negatives
LEAST_HELD_OUT = 10  # rows; fewer judge nothing


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """The encoder that training begins with, and how it makes one vector of a text."""

    base: str = path_field()  # directory of a TriEmbed checkpoint: of `pretrain`, `convert`, or `embed` itself
    pooling: Literal["mean", "cls", "max"] | None = None  # None: as the directory states, else mean
    max_length: int | None = bounded(None, min=8)  # tokens of a text, special ones included; None: as the directory
    # Dropout of hidden states while training; the saved config keeps its own. None: that of the config; for `simcse`,
    # which needs some, at least 0.1.
    dropout: float | None = bounded(None, min=0, below=1)


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The rows to train on, and those that are held out, which nothing is trained or chosen on."""

    # `pydoc:PKG,PKG` (name and docstring of what is documented: columns title, text), the path, glob or folder of
    # .jsonl, .csv or .parquet files (.txt: one column of texts), or `hub:USER/NAME`.
    source: str = path_field()
    # Columns with text. Two are a pair (query, text); further ones are texts that are wrong for the query (triplets).
    # One is for `simcse` and `tsdae`, which also take the texts of all columns.
    columns: list[str] = field(default_factory=lambda: ["query", "text"])
    score_column: str | None = None  # column with a number that says how alike the two texts are, for `cosent`
    document_column: str | None = None  # rows with the same value here are held out together
    hub_split: str = "train"  # split of a hub dataset
    hub_config: str | None = None  # configuration of a hub dataset; None is its default one
    on_invalid_text: Literal["error", "skip", "replace"] = "error"  # as in `corpus` of `pretrain`
    max_rows: int | None = bounded(None, min=2)  # rows that are read, the first ones; None reads all
    public_only: bool = True  # of `pydoc:` the names without a leading underscore only
    # Share of the documents that is held out. Rows that share a text are one document.
    evaluation_fraction: float = bounded(0.1, above=0, below=1)
    # Rows of their own to evaluate on, with `evaluation_columns`; texts that stand there are not trained on.
    evaluation_source: str | None = path_field(None)
    evaluation_columns: list[str] | None = None  # None: `columns`
    evaluation_rows: int = bounded(2000, min=LEAST_HELD_OUT)  # held-out rows that are measured on, at most

    def __post_init__(self) -> None:
        for name, columns in (("columns", self.columns), ("evaluation_columns", self.evaluation_columns)):
            if columns is not None and (not columns or len(set(columns)) < len(columns)):
                raise ValueError(f"{name}: got {columns}, expected different names; write [query, text]")
        if self.score_column is not None and len(self.columns) != 2:
            raise ValueError(
                f"score_column: got {self.score_column!r} beside {len(self.columns)} columns, expected two columns of "
                "text; name them in `columns`"
            )


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """What is minimised: a loss of sentence-transformers."""

    # `multiple_negatives`: the text of a row is to be nearer to its query than the texts of the other rows of the batch
    # (InfoNCE). `cached_multiple_negatives`: the same in the memory of `mini_batch_size` rows (GradCache). `cosent`:
    # cosines in the order of the scores. Without labels: `simcse` (a text twice, with other dropout, is its own pair)
    # and `tsdae` (a small decoder, trained along and then dropped, writes the text from its vector).
    name: LossName = "multiple_negatives"
    scale: float = bounded(20.0, above=0)  # factor of the cosines, 1 / temperature
    symmetric: bool = False  # `multiple_negatives`: also the query of a text among the queries of the batch
    mini_batch_size: int = bounded(32, min=1)  # rows that `cached_multiple_negatives` encodes at once
    # Wrong texts for each query, mined before training with the encoder that it begins with, by exact search.
    hard_negatives: int = bounded(0, min=0, max=20)
    # A mined text whose cosine to the query is above this share of the right one's counts as right, and is not taken.
    negative_margin: float = bounded(0.95, above=0, max=1)
    # Widths of shortened vectors that the loss is also taken on (Matryoshka), such as [128, 64]; none: full width only.
    matryoshka: list[int] = field(default_factory=list)
    noise: float = bounded(0.6, above=0, below=1)  # `tsdae`: share of the words that the encoder does not see
    decoder_layers: int = bounded(1, min=1, max=24)  # `tsdae`: layers of the decoder

    def __post_init__(self) -> None:
        if self.hard_negatives and self.name not in IN_BATCH:
            raise ValueError(
                f"hard_negatives: got {self.hard_negatives} beside the loss {self.name!r}, expected 0; or take "
                "multiple_negatives"
            )
        if self.symmetric and self.name != "multiple_negatives":
            raise ValueError(
                f"symmetric: got true beside the loss {self.name!r}, expected false, or multiple_negatives"
            )
        if self.matryoshka and self.name == "tsdae":
            raise ValueError("matryoshka: got widths beside the loss 'tsdae', whose decoder reads the full vector; []")
        if any(width < 1 for width in self.matryoshka) or len(set(self.matryoshka)) < len(self.matryoshka):
            raise ValueError(f"matryoshka: got {self.matryoshka}, expected different widths from 1 on; write [128, 64]")


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """What stands before every text, in training, evaluation and search; the directory that is written says so."""

    query: str = ""  # before the first column
    document: str = ""  # before the others


@dataclass(frozen=True, kw_only=True)
class EmbeddingTrainingOptions:
    """Length, batch and optimizer of the training loop, which is that of sentence-transformers."""

    max_steps: int | None = bounded(None, min=1)  # optimizer steps; None: what `epochs` gives
    epochs: float = bounded(1.0, above=0)  # passes over the rows, where `max_steps` is not given
    batch_size: int = bounded(64, min=2)  # rows of an optimizer step on each device
    learning_rate: float = bounded(5e-5, above=0)  # peak, reached at the end of the warmup
    warmup_fraction: float = bounded(0.1, min=0, below=1)  # share of the steps over which the learning rate rises
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"  # how it falls
    weight_decay: float = bounded(0.01, min=0)  # of the weights of linear layers; per step, times the learning rate
    max_grad_norm: float = bounded(1.0, above=0)  # L2 norm over all parameters, to which gradients are clipped
    # As in `pretrain`: "auto" is bf16 where the hardware multiplies that faster than fp32, else fp32; "no" is fp32.
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    evaluation_steps: int | None = bounded(None, min=1)  # steps between evaluations; None: before and after only


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions:
    """Everything one training run of a sentence encoder depends on; the top level of the YAML file."""

    output_dir: str = path_field()  # directory that receives checkpoints and the final model
    seed: int = bounded(0, min=0, max=2**32 - 1)  # of everything random in the run; numpy takes 32 bits
    encoder: EncoderOptions
    data: DataOptions
    loss: LossOptions = field(default_factory=LossOptions)
    prompts: PromptOptions = field(default_factory=PromptOptions)
    training: EmbeddingTrainingOptions = field(default_factory=EmbeddingTrainingOptions)
    checkpoints: CheckpointOptions = field(default_factory=CheckpointOptions)
    card: CardOptions = field(default_factory=CardOptions)

    def __post_init__(self) -> None:
        name, data = self.loss.name, self.data
        if (name == "cosent") != (data.score_column is not None):
            raise ValueError(
                f"loss: got {name!r} {'without' if data.score_column is None else 'beside'} data.score_column, "
                "expected `cosent` and a column of scores together; give both, or neither"
            )
        if len(data.columns) < 2 and name not in UNLABELLED:
            raise ValueError(
                f"data: got one column for the loss {name!r}, expected two or more; name them, or take simcse or tsdae"
            )
        if self.loss.hard_negatives and len(data.columns) > 2:
            raise ValueError("loss: got hard_negatives beside columns of negatives, expected one of the two")
        if data.evaluation_source is not None and len(data.evaluation_columns or data.columns) < 2:
            raise ValueError("data: got one column for evaluation_source, expected two; name evaluation_columns")

    def inputs(self) -> dict[str, str | None]:
        """Return the files and directories that a run reads, by the option that names them."""
        sources = {"data.source": self.data.source, "data.evaluation_source": self.data.evaluation_source}
        paths = {name: path for name, path in sources.items() if not (path or "").startswith(NO_PATHS)}
        return {"encoder.base": self.encoder.base} | paths
