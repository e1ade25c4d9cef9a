"""How far a run is: everything that is neither weights nor optimizer, as JSON can say it.

The number of the step is the only state of the data: batches, masks and dropout are functions of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hf_embeddings.json_record import JsonRecord
from hf_embeddings.pretraining.options import TrainingOptions
from hf_embeddings.pretraining.training.step_monitor import StepMonitor
from hf_embeddings.records.run import PhaseFigures


class StepFigures(NamedTuple):
    """What a step tells about itself, the same in every process."""

    losses: dict[str, float]  # mean over the labels of the step, nats
    norm: float  # of the gradient, before clipping
    tokens: int  # without padding


@dataclass
class Progress(JsonRecord):
    """Counters of a run, over all its processes and resumptions."""

    step: int = 0  # optimizer steps done, skipped ones included
    seconds: float = 0.0  # of training
    tokens: int = 0
    sums: dict[str, float] = field(default_factory=dict)  # of the losses since the last log line
    summed: int = 0  # steps in `sums`
    monitor: StepMonitor = field(default_factory=StepMonitor)
    averaged: int = 0  # steps in the weight average
    scaler: dict[str, Any] | None = None  # of fp16
    phases: list[PhaseFigures] = field(default_factory=list)  # those that are over

    def fraction(self, training: TrainingOptions) -> float:
        """Return the share of the run that is done; the learning rate follows it."""
        hours = self.seconds / 3600 / training.max_hours if training.max_hours else 0.0
        return min(1.0, max(self.step / training.total_steps, hours))

    def add(self, figures: StepFigures, *, is_counted: bool) -> None:
        """Count a step; the losses of one that is not `is_counted` do not enter the log."""
        self.step += 1
        self.tokens += figures.tokens
        if is_counted:
            self.summed += 1
            for name, loss in figures.losses.items():
                self.sums[name] = self.sums.get(name, 0.0) + loss

    def take_means(self) -> dict[str, float]:
        """Return the mean losses since the last call, and begin the next ones."""
        means = {name: total / self.summed for name, total in self.sums.items()}
        self.sums, self.summed = {}, 0
        return means

    @classmethod
    def _of_any_version(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values under the names of this version."""
        monitor = values.get("monitor") or values["guard"]  # its name in checkpoints of version 0.1
        return {**values, "monitor": monitor}
