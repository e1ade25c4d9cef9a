"""Micro-batches for a process from any step on; each is found by its number, so nothing is replayed."""

import signal
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader, Dataset

from hf_embeddings.pretraining.examples.batches import Vocabulary, make_batch, masking_probability
from hf_embeddings.pretraining.examples.stages import Stage, find_batch
from hf_embeddings.pretraining.options import ExampleOptions
from hf_embeddings.pretraining.training.stop import SIGNALS


class MicroBatches(Dataset[dict[str, torch.Tensor]]):
    """All micro-batches of a run: number `step * per_step + index` is the one of that index in that step."""

    def __init__(
        self, stages: Sequence[Stage], vocabulary: Vocabulary, examples: ExampleOptions, *, per_step: int, steps: int
    ) -> None:
        """Describe the micro-batches of a run of `steps` steps."""
        self.stages, self.vocabulary, self.examples = stages, vocabulary, examples
        self.per_step, self.last = per_step, per_step * steps

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        schedule, index = find_batch(self.stages, number, per_step=self.per_step)
        probability = masking_probability(self.examples, number / self.last)
        return make_batch(schedule, *schedule.batch(index), self.vocabulary, self.examples, probability=probability)

    def samples(self, step: int) -> dict[str, object]:
        """Return the epoch and the sample numbers of each micro-batch of a step, to look at a step that went wrong."""
        numbers = range(step * self.per_step, (step + 1) * self.per_step)
        places = [find_batch(self.stages, number, per_step=self.per_step) for number in numbers]
        batches = [schedule.batch(index) for schedule, index in places]
        return {"step": step, "epochs": [e for e, _ in batches], "samples": [p.samples.tolist() for _, p in batches]}

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
