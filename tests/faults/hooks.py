"""Faults to plant in a run: functions for `Run(before=...)`, called in each of its processes with its rank."""

import json
import os
import random
import time
from pathlib import Path

import torch

from hf_embeddings.file_names import WEIGHTS
from hf_embeddings.files import manifest
from hf_embeddings.pretraining.checkpoints import push
from hf_embeddings.pretraining.examples.training_phases import find_batch
from hf_embeddings.pretraining.training import gradients, loop
from hf_embeddings.pretraining.training import micro_batches as feeding
from hf_embeddings.pretraining.training.progress import Progress


def together(*hooks):
    """Return several hooks as one."""
    return _Together(hooks)


class _Together:
    def __init__(self, hooks) -> None:
        self.hooks = hooks

    def __call__(self, rank: int) -> None:
        for hook in self.hooks:
            hook(rank)


class SignalAt:
    """Send signals to the process itself at the end of a step."""

    def __init__(self, step: int, *numbers: int, rank: int = 0) -> None:
        self.step, self.numbers, self.rank = step, numbers, rank

    def __call__(self, rank: int) -> None:
        if rank != self.rank:
            return
        real = Progress.add

        def add(own, *arguments, **given):
            real(own, *arguments, **given)
            if own.step == self.step:
                for number in self.numbers:
                    os.kill(os.getpid(), number)

        Progress.add = add


class StepLog:
    """Write what each step computes from what, one line each: step, losses, norm, samples of this process."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, rank: int) -> None:
        samples: dict[int, list] = {}
        real_get, real_gradients = feeding.MicroBatches.__getitem__, loop.compute_gradients

        def get(own, number: int):
            phase, index = find_batch(own.phases, number, per_step=own.per_step)
            samples.setdefault(number // own.per_step, []).extend(phase.schedule.batch(index)[1].samples.tolist())
            return real_get(own, number)

        def compute(*arguments, step: int, **given):
            figures = real_gradients(*arguments, step=step, **given)
            line = {"step": step, "losses": figures.losses, "norm": figures.norm, "samples": samples.pop(step)}
            with self.file.open("a") as file:
                file.write(json.dumps(line) + "\n")
            return figures

        feeding.MicroBatches.__getitem__ = get
        loop.compute_gradients = compute


class Spoil:
    """Make a loss, a gradient or the weights not finite in some steps, in one rank."""

    def __init__(self, what: str, steps: range, rank: int = 0) -> None:
        self.what, self.steps, self.rank = what, steps, rank

    def __call__(self, rank: int) -> None:
        if rank != self.rank:
            return
        real_gradients, real_loss, step_now = loop.compute_gradients, gradients.summed_loss, -1

        def loss(name: str, outputs, batch):
            value = real_loss(name, outputs, batch)
            if step_now not in self.steps:
                return value
            if self.what == "loss":
                return value * torch.nan
            if self.what == "gradient":
                value.register_hook(lambda gradient: gradient * torch.inf)
            return value

        def compute(model, *arguments, step: int, **given):
            nonlocal step_now
            step_now = step
            if self.what == "weights" and step in self.steps:
                next(model.parameters()).data.fill_(torch.nan)
            return real_gradients(model, *arguments, step=step, **given)

        gradients.summed_loss, loop.compute_gradients = loss, compute


class Uneven:
    """Take nearly all labels out of every micro-batch but one of each four."""

    def __call__(self, rank: int) -> None:
        real = feeding.MicroBatches.__getitem__

        def get(own, number: int):
            batch = real(own, number)
            if number % 4:
                batch["labels"][1 + number % 3 :] = -100
                batch["next_sentence_label"][1:] = -100
            return batch

        feeding.MicroBatches.__getitem__ = get


class MeanOfMeans:
    """The mistake: each process divides by its own number of labels."""

    def __call__(self, rank: int) -> None:
        real = gradients._global_counts

        def own_counts(micro_batches, objectives, accelerator):
            counts = real(micro_batches, objectives, accelerator)
            own = [sum(gradients.label_count(name, batch) for batch in micro_batches) for name in objectives]
            return [count * accelerator.num_processes for count in own] + counts[-1:]

        gradients._global_counts = own_counts


class BadHub:
    """A Hub on which three uploads of ten fail, one of ten hangs, and the others take their time.

    It writes down what arrives, one line each: the words of the commit, the step, and the sum of the weights.
    """

    def __init__(self, arrived: Path) -> None:
        self.arrived = arrived

    def __call__(self, rank: int) -> None:
        choice = random.Random(0)

        def upload(*, files: dict[str, Path | bytes], commit_message: str, **_: object) -> None:
            fate = choice.random()
            time.sleep(5.0 if fate > 0.9 else 0.2)
            if fate < 0.3:
                raise ConnectionError("the network is down")
            (weights,) = (held for path, held in files.items() if Path(path).name == WEIGHTS)
            sealed = json.loads((weights.parent / manifest.MANIFEST).read_text())
            line = {"commit": commit_message, "step": sealed["step"]}
            with self.arrived.open("a") as file:
                file.write(json.dumps(line | {"weights": sealed["files"][WEIGHTS]["sha256"]}) + "\n")

        push._uploader = lambda options: upload
        push.PAUSES = (0.1,) * 20


class Clock:
    """Write what training took into a file: seconds, seconds of the processor, the longest step, the longest save."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, rank: int) -> None:
        real_train, real_step, steps = loop.Trainer.train, loop.Trainer._step, [0.0]

        def step(own, *arguments):
            began = time.monotonic()
            real_step(own, *arguments)
            steps.append(time.monotonic() - began)

        def train(own, *arguments):
            began, used = time.monotonic(), time.process_time()
            ended = real_train(own, *arguments)
            taken = {"seconds": time.monotonic() - began, "processor": time.process_time() - used}
            self.file.write_text(json.dumps(taken | {"step": max(steps), "save": own.checkpoints.seconds}))
            return ended

        loop.Trainer.train, loop.Trainer._step = train, step
