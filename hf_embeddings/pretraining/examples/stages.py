"""The stages of a run: which schedule of batches holds at which step, a function of the step alone.

Batches and examples that grow while training warms up: https://arxiv.org/abs/2108.06084 (lengths),
https://arxiv.org/abs/2412.13663 (batches).
"""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR, Chunks
from hf_embeddings.pretraining.examples.pairs import relation
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions, StageOptions, TrainingOptions
from hf_embeddings.randomness import random_bits


@dataclass(frozen=True)
class Stage:
    """A schedule, whose batches are counted from the first step of the stage."""

    first_step: int
    schedule: Schedule


def plan_stages(
    chunks: Chunks, examples: ExampleOptions, training: TrainingOptions, *, seed: int, per_step: int
) -> list[Stage]:
    """Plan those of `training.stages`, and the one that lasts.

    Args:
        chunks: of the training documents, as long as `examples.max_length` allows.
        examples: options of the run.
        training: options of the run.
        seed: of the run.
        per_step: micro-batches per step.

    Raises:
        ValueError: a micro-batch of a stage cannot hold its longest example, or a step is no whole number of them.
    """
    stages, first_step = [], 0
    early = training.stages
    for number, stage in enumerate([*early, StageOptions(steps=1)]):
        length = stage.max_length or examples.max_length
        stage_chunks = chunks
        if length < examples.max_length:
            stage_chunks = chunks.recut(length - SPECIAL_TOKENS_PER_PAIR)
        tokens = stage.tokens_per_step or training.tokens_per_step
        if tokens % per_step:
            raise ValueError(
                f"training.tokens_per_step: got {tokens} for {per_step} micro-batches a step, expected a multiple of "
                f"{per_step}; write {tokens // per_step * per_step or per_step}"
            )
        schedule = Schedule.plan(
            stage_chunks,
            tokens_per_batch=tokens // per_step,
            seed=_seed(seed, number) if number < len(early) else seed,
            relation=relation(examples.objectives),
        )
        stages.append(Stage(first_step, schedule))
        first_step += stage.steps
    return stages


def find_batch(stages: Sequence[Stage], number: int, *, per_step: int) -> tuple[Schedule, int]:
    """Return the schedule that micro-batch `number` of the run is from, and its number there."""
    first_steps = [stage.first_step for stage in stages]
    stage = stages[bisect(first_steps, number // per_step) - 1]
    return stage.schedule, number - stage.first_step * per_step


def _seed(seed: int, number: int) -> int:
    """Return a seed of its own for each stage, which would otherwise begin with the same samples."""
    return int(random_bits(seed, "stage", 0, np.array([number]))[0] >> np.uint64(1))
