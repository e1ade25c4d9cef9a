"""The options of a run's phases: how long each lasts, and what changes in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hf_embeddings.files.home_folder import expand_home
from hf_embeddings.typed_yaml.fields import bounded

MICRO_BATCH_TOKENS = 8192  # at most, where the run does not say how many micro-batches a step has
SHARED_BY = 4  # processes, for which the number of micro-batches is made to suit then

LearningRateSchedule = Literal["linear", "cosine", "wsd", "constant", "sqrt"]


@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """Steps that a run begins with, on shorter examples or in smaller batches than the rest."""

    steps: int  # optimizer steps
    max_length: int | None = bounded(None, min=8)  # tokens of one example; None: examples.max_length
    tokens_per_step: int | None = bounded(None, min=8)  # as in `training`; None: the same

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps: got {self.steps}, expected at least 1; remove the stage, or raise it")


@dataclass(frozen=True, kw_only=True)
class PhaseOptions:
    """A part of a run: how long it lasts, and what changes in it. What it does not say is that of the run."""

    name: str | None = None  # in the log and on the card; None: `phase 1`, `phase 2`, ...
    steps: int | None = bounded(None, min=1)  # optimizer steps; give either these or `tokens`
    tokens: int | None = bounded(None, min=1)  # padding included; rounded up to whole steps
    max_length: int | None = bounded(None, min=8)  # tokens of one example; None: examples.max_length
    tokens_per_step: int | None = bounded(None, min=8)  # as in `training`; None: the same
    masking_probability: float | None = bounded(None, above=0, below=1)  # as in `examples`; None: as there
    # Share of tokens that `mlm` predicts in the last step of the phase; None: the same throughout.
    final_masking_probability: float | None = bounded(None, above=0, below=1)
    # How the learning rate goes in this phase alone: "constant", or from the peak down to 0. All phases have one, or
    # none has, and the rate follows training.schedule over the whole run.
    schedule: LearningRateSchedule | None = None
    # Peak in this phase; None: training.learning_rate. training.adamw_learning_rate changes in proportion.
    learning_rate: float | None = bounded(None, above=0)
    # Steps over which the rate goes to the peak, from where the phase before ended (in the first one from 0).
    warmup_steps: int = bounded(0, min=0)
    rope_theta: float | None = bounded(None, above=0)  # of layers with full attention; None: that of the model
    # How often an epoch takes each example of a source of corpus.sources, by its name; 0 leaves it out. A source that
    # is not named keeps its weight.
    weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.tokens is None):
            given = "nothing" if self.steps is None else f"{self.steps} beside tokens {self.tokens}"
            raise ValueError(f"steps: got {given}, expected steps or tokens; give one of them")
        if self.steps is not None and self.warmup_steps >= self.steps:
            raise ValueError(
                f"warmup_steps: got {self.warmup_steps}, expected fewer than the phase's {self.steps} steps; lower it"
            )
        for name, value in (("learning_rate", self.learning_rate), ("warmup_steps", self.warmup_steps or None)):
            if value is not None and self.schedule is None:
                raise ValueError(
                    f"{name}: got {value} without a schedule, expected one in this phase; write schedule: constant, or "
                    "another"
                )
        if self.final_masking_probability is not None and self.masking_probability is None:
            raise ValueError(
                f"final_masking_probability: got {self.final_masking_probability} alone, expected masking_probability "
                "beside it; give both"
            )
        at_home = {str(expand_home(name)): weight for name, weight in self.weights.items()}
        object.__setattr__(self, "weights", at_home)  # as the sources themselves are
        for name, weight in self.weights.items():
            if not 0 <= weight <= 1000:
                raise ValueError(f"weights: got {weight} for {name!r}, expected 0 to 1000; write 0 to leave it out")


def check_alike(phases: Sequence[PhaseOptions]) -> None:
    """Refuse phases that do not go together.

    Raises:
        ValueError: two have one name, or some have a schedule and others have none.
    """
    names = [phase.name for phase in phases if phase.name]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"phases: got two called {twice!r}, expected different names; rename one")
    without = [number for number, phase in enumerate(phases, start=1) if phase.schedule is None]
    if without and len(without) < len(phases):
        raise ValueError(
            f"phases: number {without[0]} has no schedule, others have one, expected all or none; write schedule: "
            "constant, or another"
        )


def check_weights(phases: Sequence[PhaseOptions], sources: Mapping[str, float]) -> None:
    """Compare the weights in phases with the sources of a corpus, and their weights there.

    Raises:
        ValueError: a source is none of them, or a phase leaves all of them out.
    """
    for phase in phases:
        for name in phase.weights:
            if name not in sources:
                known = ", ".join(map(repr, sources)) or "corpus.sources, several with weights, instead of one source"
                raise ValueError(
                    f"training: phases have weights for the source {name!r}, expected {known}; write a source as it "
                    "stands in corpus.sources"
                )
        if phase.weights and not any({**sources, **phase.weights}.values()):
            raise ValueError(
                f"training: phases leave out every source in {phase.name!r}, expected one; give one a weight above 0"
            )


def default_micro_batches(phases: Sequence[PhaseOptions], max_length: int) -> int:
    """Return the micro-batches of a step where the run does not say: the fewest that memory and processes ask for.

    In every phase each holds two of the longest examples, less of which would be mostly padding, and no more than
    MICRO_BATCH_TOKENS; and 4, else 2 processes can share them. It depends on the options alone, so that any machine,
    and any number of processes, makes the same run of them.

    Args:
        phases: of the run, each with its tokens_per_step filled in.
        max_length: of the examples, where a phase has no other.
    """
    sizes = [(phase.tokens_per_step or 0, phase.max_length or max_length) for phase in phases]
    most = max(1, min(tokens // (2 * length) for tokens, length in sizes))
    fitting = [count for count in range(1, most + 1) if not any(tokens % count for tokens, _ in sizes)]
    least = max(tokens for tokens, _ in sizes) / MICRO_BATCH_TOKENS
    for shared in (SHARED_BY, 2, 1):
        if counts := [count for count in fitting if count % shared == 0 and count >= least]:
            return counts[0]
    return fitting[-1]
