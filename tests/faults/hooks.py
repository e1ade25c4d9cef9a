"""Faults to plant in a run: functions for `Run(before=...)`, called in each of its processes with its rank."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from hf_embeddings.pretraining import checkpoints, feeding, gradients, hub, loop, manifest, run
from hf_embeddings.pretraining.progress import Progress
from hf_embeddings.pretraining.stages import find_batch

WATCHED = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.listdir", "os.scandir"}


def together(*hooks):
    """Return several hooks as one."""
    return _Together(hooks)


class _Together:
    def __init__(self, hooks) -> None:
        self.hooks = hooks

    def __call__(self, rank: int) -> None:
        for hook in self.hooks:
            hook(rank)


EXPORT = 10**6  # in place of the number of a save


class DieAt:
    """Kill the process at one of the calls to the system that a save or the export makes.

    With `place` None it counts them all.
    """

    def __init__(self, folder: Path, save: int, place: int | None) -> None:
        """Look at what happens below `folder` during save number `save`, from 0, or during EXPORT."""
        self.folder, self.save, self.place = str(folder), save, place

    def __call__(self, rank: int) -> None:
        saves, seen = -1, 0
        real_save, real_settle, real_sync = checkpoints.Checkpoints.save, checkpoints.Checkpoints.settle, os.fsync

        def passed(name: str) -> None:
            nonlocal seen
            if saves != self.save:
                return
            if seen == self.place:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

        def audit(event: str, arguments: tuple) -> None:
            if event in WATCHED and any(self.folder in str(argument) for argument in arguments[:2]):
                passed(event)

        def sync(handle: int) -> None:
            passed("before fsync")
            real_sync(handle)
            passed("after fsync")

        def end(name: str) -> None:
            passed(name)
            if self.place is None and saves == self.save:
                print(f"calls {seen}", file=sys.stderr)

        def save(own, *arguments):
            nonlocal saves
            own.settle()
            saves += 1
            done = real_save(own, *arguments)
            real_settle(own)
            end("after the save")
            return done

        def export(*arguments, **given):
            nonlocal saves
            saves = EXPORT
            real_export(*arguments, **given)
            end("after the export")

        real_export, run.export = run.export, export
        checkpoints.Checkpoints.save = save
        manifest.os.fsync = sync
        sys.addaudithook(audit)


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


class Record:
    """Write what each step computes from what, one line each: step, losses, norm, samples of this process."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, rank: int) -> None:
        samples: dict[int, list] = {}
        real_get, real_gradients = feeding.MicroBatches.__getitem__, loop.compute_gradients

        def get(own, number: int):
            schedule, index = find_batch(own.stages, number, per_step=own.per_step)
            samples.setdefault(number // own.per_step, []).extend(schedule.batch(index)[1].samples.tolist())
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
    """A Hub on which three uploads of ten fail, one of ten hangs, and the others take their time."""

    def __init__(self, arrived: Path) -> None:
        self.arrived = arrived

    def __call__(self, rank: int) -> None:
        choice = random.Random(0)

        def upload(*, commit_message: str, **_: object) -> None:
            fate = choice.random()
            time.sleep(5.0 if fate > 0.9 else 0.2)
            if fate < 0.3:
                raise ConnectionError("the network is down")
            with self.arrived.open("a") as file:
                file.write(commit_message + "\n")

        hub._uploader = lambda options: upload
