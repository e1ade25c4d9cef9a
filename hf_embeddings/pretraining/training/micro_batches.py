"""Micro-batches for a process from any step on; each is found by its number, so nothing is replayed."""

import signal
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader, Dataset

from hf_embeddings.pretraining.examples.batches import Vocabulary, make_batch
from hf_embeddings.pretraining.examples.training_phases import TrainingPhase, find_batch
from hf_embeddings.pretraining.options import ExampleOptions
from hf_embeddings.pretraining.training.stop import SIGNALS


class MicroBatches(Dataset[dict[str, torch.Tensor]]):
    """All micro-batches of a run: number `step * per_step + index` is the one of that index in that step."""

    def __init__(
        self, phases: Sequence[TrainingPhase], vocabulary: Vocabulary, examples: ExampleOptions, *, per_step: int
    ) -> None:
        """Describe the micro-batches of a run, `per_step` of them in each step."""
        self.phases, self.vocabulary, self.examples, self.per_step = phases, vocabulary, examples, per_step

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        phase, index = find_batch(self.phases, number, per_step=self.per_step)
        schedule, probability = phase.schedule, phase.masking.at(number)
        return make_batch(schedule, *schedule.batch(index), self.vocabulary, self.examples, probability=probability)

    def samples(self, step: int) -> dict[str, object]:
        """Return the epoch and the sample numbers of each micro-batch of a step, to look at a step that went wrong."""
        numbers = range(step * self.per_step, (step + 1) * self.per_step)
        places = [find_batch(self.phases, number, per_step=self.per_step) for number in numbers]
        batches = [phase.schedule.batch(index) for phase, index in places]
        return {
            "step": step,
            "phase": places[0][0].name,
            "epochs": [epoch for epoch, _ in batches],
            "samples": [pairs.samples.tolist() for _, pairs in batches],
        }

    def steps(
        self, first: int, *, process: int, processes: int, workers: int
    ) -> Iterator[list[dict[str, torch.Tensor]]]:
        """Yield the share of a process of the steps `first`, `first + 1`, ... without end.

        Args:
            first: the step to begin with.
            process: rank of this process, which takes the indices `process`, `process + processes`, ... of each step.
            processes: number of processes.
            workers: processes that make batches ahead; 0 makes them here.
        """
        numbers = _Numbers(first * self.per_step + process, processes)
        loader = iter(
            DataLoader(
                self, batch_size=None, num_workers=workers, sampler=numbers, worker_init_fn=leave_signals_to_parent
            )
        )
        while True:
            yield [next(loader) for _ in range(self.per_step // processes)]


def leave_signals_to_parent(worker: int) -> None:
    """Ignore what asks a run to stop, in a worker that a launcher signals too: the run needs it to finish its step."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class _Numbers:
    """The numbers `start`, `start + stride`, ... without end. A step has a multiple of `stride` numbers."""

    def __init__(self, start: int, stride: int) -> None:
        self.start, self.stride = start, stride

    def __iter__(self) -> Iterator[int]:
        number = self.start
        while True:
            yield number
            number += self.stride
