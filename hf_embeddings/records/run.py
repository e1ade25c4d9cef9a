"""The figures of a pretraining run: what it measured on held-out documents, what it took, and what it is worth."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hf_embeddings.json_record import JsonRecord, absent
from hf_embeddings.records.health import Health


@dataclass(frozen=True, kw_only=True)
class ObjectiveFigures(JsonRecord):
    """How well the labels of one objective were predicted, with 95 % intervals."""

    loss: float  # nats
    loss_low: float | None = absent()
    loss_high: float | None = absent()
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    labels: int
    unknown_labels: int | None = absent()  # those that are [UNK], where there are some
    loss_without_unknown: float | None = absent()
    accuracy_without_unknown: float | None = absent()
    # Of replaced-token detection: the share of tokens that are replaced; of those that were named, the share that is;
    # the share of those that were named; the area under the ROC curve.
    replaced_share: float | None = absent()
    precision: float | None = absent()
    recall: float | None = absent()
    roc_auc: float | None = absent()
    roc_auc_low: float | None = absent()
    roc_auc_high: float | None = absent()


# The factor of the loss of an objective where the options of a run give none; 1 for all others.
DEFAULT_WEIGHTS = {"rtd": 50.0}  # ELECTRA, https://arxiv.org/abs/2003.10555, table 7

HeldOut = dict[str, ObjectiveFigures]  # by the name of the objective


def flat(held_out: HeldOut) -> dict[str, float]:
    """Return figures under names such as `mlm_loss`, as files and curves have them."""
    return {f"{name}_{key}": value for name, figures in held_out.items() for key, value in figures.to_dict().items()}


def unflat(values: Mapping[str, Any]) -> HeldOut:
    """Return the figures of each objective that such names belong to."""
    keys = [entry.name for entry in fields(ObjectiveFigures)]
    names = [key.removesuffix("_accuracy") for key in values if key.endswith("_accuracy")]
    held_out = {}
    for name in names:
        if f"{name}_loss" in values:
            own = {key: values[f"{name}_{key}"] for key in keys if f"{name}_{key}" in values}
            held_out[name] = ObjectiveFigures.from_dict(own)
    return held_out


@dataclass(frozen=True, kw_only=True)
class Worth(JsonRecord):
    """A verdict, and a sentence for each reason against the model."""

    verdict: str  # "learned", "learned in part", "learned nothing"
    reasons: list[str] = field(default_factory=list)

    def sentence(self, cure: str = "Train longer, or change what the health lines warn of") -> str:
        """Return what to say of a directory that is complete."""
        if not self.reasons:
            return "ready for the Hub"
        worth = "worth nothing" if self.verdict == "learned nothing" else "worth little"
        return f"complete, with a warning: it is {worth}: {'; '.join(self.reasons)}. {cure}"


@dataclass(frozen=True, kw_only=True)
class BaseCheckpoint(JsonRecord):
    """The checkpoint that a run began with, and what became of what lay in its directory."""

    name: str  # of the directory
    card: dict[str, Any] = field(default_factory=dict)  # license and base_model, as its card names them
    new_modules: list[str] = field(default_factory=list)  # of the model; it lacked them, and they began at random
    carried: list[str] = field(default_factory=list)  # files of sentence-transformers that lie beside the result too
    left: list[str] = field(default_factory=list)  # what it had, and the result has not


@dataclass(frozen=True, kw_only=True)
class PositionLoss(JsonRecord):
    """The held-out MLM loss of the tokens at some positions."""

    begin: int  # the first position, from 0
    end: int  # the one after the last
    labels: int
    loss: float  # nats


@dataclass(frozen=True, kw_only=True)
class PhaseFigures(JsonRecord):
    """What a phase of a run was, and how good the model was at its end."""

    name: str
    description: str  # what held in it, in words
    steps: int  # of the phase
    tokens: int  # of the run so far, padding not counted
    held_out: HeldOut
    losses_by_position: list[PositionLoss] = field(default_factory=list)  # where phases differ in max_length


@dataclass(frozen=True, kw_only=True)
class RunFigures(JsonRecord):
    """What stands in `pretraining.json`; the figures of the objectives lie flat in it."""

    unigram_loss: float | None = absent()  # nats, of a model that knows only how often each token occurs
    held_out: HeldOut = field(default_factory=dict)
    training_steps: int
    training_tokens: int
    training_seconds: float
    training_tokens_per_second: float | None = absent()
    training_skipped_steps: int | None = absent()
    parameters: int
    precision: str | None = absent()  # number format, in words
    device: str | None = absent()
    output_dir: str | None = absent()
    worth: Worth | None = absent()
    health: Health | None = absent()
    beginning: BaseCheckpoint | None = absent()  # where the run went on from a checkpoint
    corpus: dict[str, int] | None = absent()  # what was read, dropped and kept
    phases: list[PhaseFigures] | None = absent()  # where the options name some, or stages

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which `from_dict` reads."""
        values = super().to_dict()
        first = {name: values.pop(name) for name in ("unigram_loss",) if name in values}
        del values["held_out"]
        return first | flat(self.held_out) | values

    @classmethod
    def _of_any_version(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values with the figures of the objectives, which lie flat, in their place."""
        return {**values, "held_out": {name: own.to_dict() for name, own in unflat(values).items()}}

    @property
    def failings(self) -> list[str]:
        """Sentences on why the run judged its model to be worth nothing, or little; mostly none."""
        return self.worth.reasons if self.worth else []
