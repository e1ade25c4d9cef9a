"""When a training will end, and after how many steps: a function of its options and of the time that a step takes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from hf_embeddings.pretraining.options import TrainingOptions
from hf_embeddings.pretraining.training.progress import Progress
from hf_embeddings.progress import duration

# After the first step, which is slower than the others; enough of them for a stable speed.
MIN_STEPS = 5
MIN_SECONDS = 10.0
DAY = 86400


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The end of a training as it looks now."""

    limit: str  # the option that ends it
    steps: int  # that will have been done then
    max_steps: int
    seconds: float  # until then
    seconds_per_step: float

    def sentence(self, *, now: float) -> str:
        """Say it; `now` is in seconds since the epoch."""
        day = "%Y-%m-%d " if self.seconds >= DAY else ""
        end = f"at {time.strftime(f'{day}%H:%M:%S', time.localtime(now + self.seconds))}, in {duration(self.seconds)}"
        speed = f"{self.seconds_per_step:.3g} s a step"
        if self.limit == "max_steps":
            return f"{speed}: all {self.max_steps:,} steps will be done {end}"
        again = "; rerun the command to resume" if self.limit == "max_job_hours" else ""
        limit_words = f"training.{self.limit} allows about {self.steps:,} of {self.max_steps:,} steps"
        return f"{speed}: {limit_words}, and ends {end}{again}"


def forecast(
    training: TrainingOptions, progress: Progress, *, seconds_per_step: float, job_seconds: float | None = None
) -> Forecast:
    """Say when a training will end.

    Args:
        training: its length and its limits.
        progress: how far it is.
        seconds_per_step: in the phase that it is in; others differ as their tokens do.
        job_seconds: that this process has left; None where there is no limit.
    """
    phases = list(_phases(training))
    current = next(tokens for first, end, tokens in phases if progress.step < end or end == training.total_steps)
    limits = {"max_hours": training.max_hours * 3600 - progress.seconds if training.max_hours else float("inf")}
    limits["max_job_hours"] = float("inf") if job_seconds is None else job_seconds
    name = min(limits, key=limits.__getitem__)
    step, elapsed = progress.step, 0.0
    for first, end, tokens in phases:
        steps_left, each = end - max(first, step), seconds_per_step * tokens / current
        if steps_left <= 0:
            continue
        fitting = (limits[name] - elapsed) / each
        if fitting < steps_left:
            return Forecast(
                limit=name,
                steps=step + max(0, int(fitting)),
                max_steps=training.total_steps,
                seconds=max(0.0, limits[name]),
                seconds_per_step=seconds_per_step,
            )
        step, elapsed = end, elapsed + steps_left * each
    return Forecast(
        limit="max_steps",
        steps=training.total_steps,
        max_steps=training.total_steps,
        seconds=elapsed,
        seconds_per_step=seconds_per_step,
    )


def _phases(training: TrainingOptions) -> Iterator[tuple[int, int, int]]:
    """Yield first step, end and tokens of a step of each phase."""
    first = 0
    for phase in training.parts():
        steps, tokens = phase.steps or 0, phase.tokens_per_step or 0
        yield first, first + steps, tokens
        first += steps
