"""What a position lab measured: the figures of each run, and what all of them say together."""

from dataclasses import dataclass, field
from typing import Any

from hf_embeddings.json_record import JsonRecord, absent
from hf_embeddings.records.evaluation import GrammarFigures
from hf_embeddings.records.positions import PositionReport
from hf_embeddings.records.run import Worth


@dataclass(frozen=True, kw_only=True)
class Judgement(JsonRecord):
    """What a run has learned of order, beyond its loss."""

    # Tokens that stay together -> nats that the held-out MLM loss rises by where groups of so many are shuffled.
    shuffled: dict[str, float]
    start_less_end: float | None  # how much more the first sentence moves a pooled vector than the last, as 1 - cosine
    grammar: dict[str, GrammarFigures]  # by language
    fine_tuned: dict[str, float]  # accuracy on a task that needs order, and on one that does not; chance is one half


@dataclass(frozen=True, kw_only=True)
class LabRun(JsonRecord):
    """A run that is done: held-out figures, and the losses of longer inputs."""

    state: str = "done"
    position: str
    seed: int
    mlm_loss: float  # nats
    mlm_accuracy: float
    mlm_labels: int
    nsp_accuracy: float | None = absent()
    nsp_labels: int | None = absent()
    sop_accuracy: float | None = absent()
    sop_labels: int | None = absent()
    worth: Worth | None = absent()
    training_tokens: int
    parameters: int
    # Factor -> MLM loss of the same documents, cut to so many times the trained length; None: the type ends before.
    losses_by_length: dict[str, float | None]
    laws: PositionReport | None = absent()
    judgement: Judgement | None = absent()

    def figure(self, name: str) -> float:
        """Return a figure by its name; it is one that the run has."""
        value = getattr(self, name)
        assert isinstance(value, int | float), name
        return value


@dataclass(kw_only=True)
class LabRecord(JsonRecord):
    """What stands in `position-lab.json`: all that is measured so far."""

    options: dict[str, Any]  # of all runs, as an options file has them
    runs: dict[str, LabRun] = field(default_factory=dict)
    step_ratios: dict[str, float] | None = absent()  # time of a step by position type, beside that of `learned`


@dataclass(frozen=True, kw_only=True)
class Mean(JsonRecord):
    """A mean over runs."""

    mean: float


@dataclass(frozen=True, kw_only=True)
class MeanInterval(JsonRecord):
    """A mean over runs, and half of the width of its 95 % interval where there are several."""

    mean: float
    half_width: float | None


@dataclass(frozen=True, kw_only=True)
class RunDifference(JsonRecord):
    """How runs of a position type differ from those of `learned` with the same seeds."""

    mean: float
    half_width: float | None  # of the 95 % interval; None, as the next one, for one seed
    p_value: float | None
    beyond_chance: bool  # among all types of the lab: of those that are, 5 % at most are expected to be chance


@dataclass(frozen=True, kw_only=True)
class PositionSummary(JsonRecord):
    """What the runs of one position type say together."""

    mlm_loss: MeanInterval
    mlm_loss_difference: RunDifference | None = absent()  # None: of `learned` itself, or no seed in common
    relation_accuracy: MeanInterval | None = absent()
    relation_accuracy_difference: RunDifference | None = absent()
    seeds: list[int]
    values: dict[str, list[float]]  # of each run, by the names of the two above
    losses_by_length: dict[str, Mean | None]  # as in LabRun
    step_ratio: float | None
    parameters: int
    failed: int | None = absent()  # runs no better than chance or token frequencies
    laws: PositionReport | None = absent()
    judged: dict[str, MeanInterval] | None = absent()  # of the runs that were judged, by the name of the measure


@dataclass(frozen=True, kw_only=True)
class LabModel(JsonRecord):
    """The sizes that all runs share."""

    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    vocab_size: int


@dataclass(frozen=True, kw_only=True)
class LabSummary(JsonRecord):
    """What `hf-embeddings position-lab --json` prints, and report and picture show."""

    corpus: str | None
    max_steps: int
    max_length: int  # tokens of an example
    length_factors: list[int]
    relation: str | None  # nsp or sop
    training_tokens: int
    unigram_loss: float  # nats
    model: LabModel
    machine: dict[str, str]
    positions: dict[str, PositionSummary]
