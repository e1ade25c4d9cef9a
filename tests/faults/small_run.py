"""Whole runs of `pretrain` in processes of their own, which take a fraction of a second each to start.

A server process imports everything and prepares a corpus once; each run is forked from it. What a run does is all of
`pretrain` but reading the corpus: checkpoints, signals, ranks and exit codes are those of a user's run.
"""

import contextlib
import faulthandler
import json
import multiprocessing
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import psutil

from hf_embeddings.corpora.tokenized_corpus import encode_sentences
from hf_embeddings.corpora.tokenizer_training import train_tokenizer
from hf_embeddings.files.manifest import sha256
from hf_embeddings.pretraining import run
from hf_embeddings.pretraining.examples.chunks import cut_chunks
from hf_embeddings.pretraining.examples.health import examine
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.pretraining.training.held_out import evaluation_batches
from hf_embeddings.pretraining.training.loop import TrainingFailed
from hf_embeddings.pretraining.training.stop import PREEMPTED, leave_on_signals
from hf_embeddings.pretraining.training.training_data import TrainingData, build_config

ROOT = Path(__file__).parents[2]
BASE = ROOT / "configs/model/tiny.json"
SETTINGS = {
    "corpus.source": "unused",
    "model.base": str(BASE),
    "model.hidden_size": 16,
    "model.num_hidden_layers": 1,
    "model.num_attention_heads": 2,
    "model.intermediate_size": 32,
    "model.hidden_dropout_prob": 0.1,
    "model.attention_probs_dropout_prob": 0.0,
    "examples.max_length": 32,
    "tokenizer.vocab_size": 128,
    "training.max_steps": 24,
    "training.tokens_per_step": 256,
    "training.micro_batches": 4,
    "training.learning_rate": 0.01,
    "training.tensorboard": "false",
    "training.evaluation_examples": 8,
    "checkpoints.save_steps": 1,
}
STEPS_PER_EPOCH = 11
# A run takes a second by itself. On a machine with much to do, at a low priority, it may not get a core for minutes:
# looks at a run that waits for a core or for the disk do not count.
IDLE = 60  # looks, a second apart, after which a run that did nothing hangs
PATIENCE = 600  # looks after which one that does something, and does not end, hangs too
BUSY = 0.05  # seconds of a processor that are something


def settings(folder: Path, rank: object = "", **changed: object) -> PretrainingOptions:
    """Return the options of a small run; `training__max_steps=3` changes `training.max_steps`."""
    values = SETTINGS | {name.replace("__", "."): value for name, value in changed.items()}
    values["output_dir"] = str(folder)
    file = folder.parent / f"{folder.name}{rank}.yaml"
    file.write_text("{}", encoding="utf-8")
    given = [f"{name}={'null' if value is None else value}" for name, value in values.items()]
    try:
        return load_options(file, given)
    finally:
        file.unlink()


@lru_cache(maxsize=1)
def _documents() -> tuple[list[str], list[str]]:
    words = [a + b for a in ("ba", "ke", "li", "mo", "nu") for b in ("ra", "se", "ti", "vo", "za")]
    documents = [
        " ".join(
            " ".join(words[(d * 7 + s * 3 + w * (d % 5 + 1)) % 25] for w in range(3 + d % 7)) + "." for s in range(6)
        )
        for d in range(48)
    ]
    return documents[4:], documents[:4]


@lru_cache(maxsize=1)
def _tokenized():
    training, held_out = _documents()
    tokenizer = train_tokenizer(training, vocab_size=128, lowercase=True, min_frequency=1, max_length=32)
    return tokenizer, encode_sentences(tokenizer, training), encode_sentences(tokenizer, held_out)


def data(options: PretrainingOptions, *_: object, **__: object) -> TrainingData:
    """Return what `prepare` would, from text made here."""
    tokenizer, training, held_out = _tokenized()
    vocabulary = run_vocabulary(tokenizer)
    chunks, other = (cut_chunks(corpus, max_tokens=options.examples.max_length - 3) for corpus in (training, held_out))
    config = build_config(options, BASE, vocab_size=128)
    config.pad_token_id = tokenizer.pad_token_id
    batches = evaluation_batches(
        other, vocabulary, options.examples, seed=options.seed, count=options.training.evaluation_examples
    )
    health = examine(
        None,
        chunks,
        sources=[],
        sentences_per_document=2.0,
        frequencies=np.ones(128),
        vocabulary=vocabulary,
        examples=options.examples,
        seed=options.seed,
    )
    return TrainingData(
        tokenizer, vocabulary, chunks, other, batches, config, {}, 4.8, np.full(128, -4.8), BASE, health
    )


def run_vocabulary(tokenizer):
    """Return the ids of a tokenizer."""
    from hf_embeddings.pretraining.examples.batches import Vocabulary

    return Vocabulary.of(tokenizer)


def child(options: PretrainingOptions, log: Path, before: Callable | None, given: dict, **environment: str) -> None:
    """Run `pretrain` as the command does, with its exit codes; `environment` is what a launcher sets."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    faulthandler.enable(sys.stderr)
    os.environ |= environment
    multiprocessing.set_start_method(None, force=True)  # workers start as in a user's run, not as this process did
    leave_on_signals()
    run.load_training_data = data
    if before:
        before(int(os.environ.get("RANK", "0")))
    try:
        outcome = run.pretrain(options, base_config=BASE, **given)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        os._exit(2)
    except TrainingFailed as error:
        print(f"error: {error}", file=sys.stderr)
        os._exit(1)
    os._exit(PREEMPTED if outcome.state == "preempted" else 0)


def launched(rank: int, ranks: int, port: int) -> dict[str, str]:
    """Return what a launcher of several processes tells one of them."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "MASTER_PORT": port}
    return {name: str(number) for name, number in numbers.items()} | {"MASTER_ADDR": "127.0.0.1"}


@lru_cache(maxsize=1)
def _server():
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.preloaded"])
    return context


class Run:
    """A run in one process or several."""

    def __init__(
        self, options: PretrainingOptions, *, ranks: int = 1, before: Callable | None = None, **given: object
    ) -> None:
        """Start it; `before` is called in each process first, with its rank; `given` goes to `pretrain`."""
        self.folder = Path(options.output_dir)
        self.log = self.folder.parent / f"{self.folder.name}.log"
        port = _free_port() if ranks > 1 else 0
        self.processes: list[BaseProcess] = [
            _server().Process(
                target=child,
                args=(options, self.log, before, given),
                kwargs=launched(rank, ranks, port) if ranks > 1 else {},
            )
            for rank in range(ranks)
        ]
        for process in self.processes:
            process.start()

    def signal(self, number: int, rank: int = 0) -> None:
        """Send a signal, if the process is still there."""
        if self.processes[rank].is_alive():
            os.kill(self.processes[rank].pid, number)

    def wait(self, patience: int = PATIENCE) -> int:
        """Return the exit code: that of the process that ended worst."""
        self.until(lambda: False, patience)
        return max((process.exitcode for process in self.processes), key=abs)

    def until(self, happened: Callable[[], bool], patience: int = PATIENCE) -> None:
        """Return when something has happened, or the last process is gone.

        Raises:
            TimeoutError: they hang, and were killed.
        """
        looks = idle = 0
        used, next_look = self._processor_seconds(), time.monotonic() + 1
        while (there := [process for process in self.processes if process.is_alive()]) and not happened():
            time.sleep(0.002)
            if time.monotonic() < next_look:
                continue
            next_look = time.monotonic() + 1
            if (now := self._processor_seconds()) <= used + BUSY and any(map(is_kept_waiting, self._all())):
                continue
            looks, idle = looks + 1, idle + 1
            if now > used + BUSY:
                used, idle = now, 0
            if idle > IDLE or looks > patience:
                for process in there:
                    os.kill(process.pid, signal.SIGABRT)  # it says where each of its threads stands
                    process.join(10)
                    process.kill()
                seconds = f"{idle} s without work" if idle > IDLE else f"{looks} s"
                raise TimeoutError(f"{len(there)} processes still there after {seconds}: {self.said()[-6000:]}")

    def _processor_seconds(self) -> float:
        """Return what all its processes, and those that they started, have used."""
        total = 0.0
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                total += sum(process.cpu_times()[:4])
        return total

    def _all(self) -> Iterator[psutil.Process]:
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                first = psutil.Process(process.pid)
                yield from (first, *first.children(recursive=True))

    def said(self) -> str:
        """Return everything it printed."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""


def is_kept_waiting(process: psutil.Process) -> bool:
    """Tell whether a thread of a process runs, or would if it had a core or the disk; on Linux, else never."""
    states = set()
    for thread in Path(f"/proc/{process.pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            states.add(thread.read_text(errors="replace").rpartition(") ")[2][:1])
    return bool(states & {"R", "D"})


def finish(options: PretrainingOptions, **given: object) -> int:
    """Run to the end, whatever that is, and return the exit code."""
    return Run(options, **given).wait()


def chain_of_stops(steps: int, count: int) -> list[int]:
    """Return steps to stop after: the ends of the epochs, and others at random, several in an epoch."""
    ends = list(range(STEPS_PER_EPOCH, steps, STEPS_PER_EPOCH))
    others = [step for step in range(1, steps) if step not in ends]
    return sorted(ends + random.Random(0).sample(others, count - len(ends)))


def weights(folder: Path) -> str:
    """Return the hash of a finished model's weights."""
    return sha256(folder / "model.safetensors")


def state(folder: Path) -> dict[str, object]:
    """Return the state file of the newest checkpoint."""
    newest = max((folder / "checkpoints").glob("step-*"))
    return json.loads((newest / "state.json").read_text(encoding="utf-8"))


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]
