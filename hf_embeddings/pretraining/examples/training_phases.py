"""The phases of a run: which examples, in batches of what size, hold at which step; a function of the step alone.

Batches and examples that grow while training warms up: https://arxiv.org/abs/2108.06084 (lengths),
https://arxiv.org/abs/2412.13663 (batches); other text while the learning rate falls: https://arxiv.org/abs/2404.06395.
"""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR, Chunks
from hf_embeddings.pretraining.examples.pairs import relation
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions, TrainingOptions
from hf_embeddings.pretraining.phase_options import PhaseOptions, check_weights
from hf_embeddings.randomness import random_bits


@dataclass(frozen=True)
class MaskingLine:
    """The share of tokens to predict, which changes linearly from one step to another."""

    first: float
    final: float | None  # None: it stays
    begin: int  # micro-batches before the line
    end: int  # and at its end

    def at(self, number: int) -> float:
        """Return the share in a micro-batch of the run."""
        if self.final is None:
            return self.first
        return self.first + (self.final - self.first) * min((number - self.begin) / (self.end - self.begin), 1.0)


@dataclass(frozen=True)
class TrainingPhase:
    """A phase with its options filled in, and the schedule that its batches are from."""

    number: int  # from 1
    options: PhaseOptions
    first_step: int
    schedule: Schedule
    first_batch: int  # of the schedule
    masking: MaskingLine

    @property
    def name(self) -> str:
        """What the log calls it."""
        return self.options.name or ""

    @property
    def end(self) -> int:
        """The step after its last one."""
        return self.first_step + (self.options.steps or 0)


def plan_phases(
    chunks: Chunks, examples: ExampleOptions, training: TrainingOptions, *, seed: int, per_step: int
) -> list[TrainingPhase]:
    """Plan the phases of a run, at least one.

    Where a phase has the same examples as the one before, it goes on in their order; else it begins anew.

    Args:
        chunks: of the training documents, as long as `examples.max_length` allows.
        examples: options of the run.
        training: options of the run.
        seed: of the run.
        per_step: micro-batches per step.

    Raises:
        ValueError: a micro-batch of a phase cannot hold its longest example, or a step is no whole number of them; or
            weights are of sources that there are not.
    """
    phases: list[TrainingPhase] = []
    parts, last, first_step = training.parts(), training.total_steps * per_step, 0
    if chunks.origin:  # the options do not know the sources of a prepared corpus
        check_weights(parts, {source.name: source.weight for source in chunks.sources})
    key: tuple[object, ...] = ()
    for number, options in enumerate(parts):
        length, size = options.max_length or examples.max_length, _batch_size(options, per_step)
        key_before, key = key, (length, tuple(sorted(options.weights.items())))
        goes_on = phases[-1] if phases and key == key_before and not training.stages else None
        if goes_on and goes_on.schedule.tokens_per_batch == size:
            schedule, first_batch = goes_on.schedule, _end_batch(goes_on, per_step)
        else:
            schedule = Schedule.plan(
                goes_on.schedule.chunks if goes_on else _chunks_of(chunks, options, length, examples.max_length),
                tokens_per_batch=size,
                seed=goes_on.schedule.seed if goes_on else _seed_of(seed, number, len(parts), training),
                relation=relation(examples.objectives),
            )
            blocks = -(-_end_batch(goes_on, per_step) // goes_on.schedule.batches_per_block) if goes_on else 0
            first_batch = blocks * schedule.batches_per_block
        first, end = first_step * per_step, (first_step + (options.steps or 0)) * per_step
        masking = MaskingLine(examples.masking_probability, examples.final_masking_probability, 0, last)
        if options.masking_probability is not None:
            masking = MaskingLine(options.masking_probability, options.final_masking_probability, first, end)
        phases.append(TrainingPhase(number + 1, options, first_step, schedule, first_batch, masking))
        first_step = phases[-1].end
    return phases


def phase_at(phases: Sequence[TrainingPhase], step: int) -> TrainingPhase:
    """Return the phase of a step; of those after the end, the last."""
    return phases[bisect([phase.first_step for phase in phases], step) - 1]


def find_batch(phases: Sequence[TrainingPhase], number: int, *, per_step: int) -> tuple[TrainingPhase, int]:
    """Return the phase that micro-batch `number` of the run is in, and its number in the schedule of the phase."""
    phase = phase_at(phases, number // per_step)
    return phase, phase.first_batch + number - phase.first_step * per_step


def _end_batch(phase: TrainingPhase, per_step: int) -> int:
    return phase.first_batch + (phase.options.steps or 0) * per_step


def _batch_size(options: PhaseOptions, per_step: int) -> int:
    tokens = options.tokens_per_step or 0
    if tokens % per_step:
        raise ValueError(
            f"training.tokens_per_step: got {tokens} for {per_step} micro-batches a step, expected a multiple of "
            f"{per_step}; write {tokens // per_step * per_step or per_step}"
        )
    return tokens // per_step


def _chunks_of(chunks: Chunks, options: PhaseOptions, length: int, longest: int) -> Chunks:
    """Return the chunks of a phase: as long as it says, of the sources that it takes."""
    if length < longest:
        chunks = chunks.recut(length - SPECIAL_TOKENS_PER_PAIR)
    chunks = chunks.weighted(options.weights) if options.weights else chunks
    if not any(source.weight for source in chunks.sources):
        raise ValueError(
            f"training.phases: {options.name} takes no source that has examples; give one a weight above 0"
        )
    return chunks


def _seed_of(seed: int, number: int, count: int, training: TrainingOptions) -> int:
    """Return a seed of its own for each phase, which would otherwise begin with the same samples.

    The first phase has that of the run, so that it is a run without phases. After stages, as they were before there
    were phases, the last one has it.
    """
    plain = number == count - 1 if training.stages else number == 0
    return seed if plain else int(random_bits(seed, "stage", 0, np.array([number]))[0] >> np.uint64(1))
