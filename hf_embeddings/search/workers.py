"""Encode chunks of passages here, or in several processes, in their order and with few of them in memory."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.records import Record

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

_worker: Encoder | None = None  # of a worker process


@dataclass(frozen=True)
class EncodingJob:
    """What a process needs to know to encode as the others do."""

    model: str  # directory or Hub id
    precision: str = "auto"  # of hf_embeddings.search.precision
    overrides: dict[str, object] = field(default_factory=dict)  # fields of Recipe
    device: str = "cpu"  # several, as in "cuda:0,cuda:1", are dealt to the processes in turn

    def load(self, number: int = 0) -> Encoder:
        """Load the encoder of the process of that number."""
        devices = self.device.split(",")
        return Encoder.load(
            self.model, precision=self.precision, device=devices[number % len(devices)], **self.overrides
        )


@dataclass(frozen=True)
class Chunk:
    """What is encoded and committed at once: documents, and the passages they were cut into."""

    documents: list[Record]
    passages: list[Record]
    texts: list[str]  # what the vectors of the passages are made of


def encode_chunks(
    chunks: Iterable[Chunk],
    job: EncodingJob,
    encoder: Encoder,
    processes: int,
    progress: Callable[[float], None],
) -> Iterator[tuple[Chunk, np.ndarray]]:
    """Yield the chunks in their order with the vectors of their passages; `progress` counts documents."""
    if processes < 1:
        raise ValueError(f"processes {processes}: expected 1 or more")
    if processes > 1:
        yield from _encode_elsewhere(chunks, job, processes, progress)
        return
    for chunk in chunks:
        share = len(chunk.documents) / max(1, len(chunk.passages))
        yield chunk, _encode(encoder, chunk.texts, lambda done, share=share: progress(done * share))


def _encode_elsewhere(
    chunks: Iterable[Chunk], job: EncodingJob, processes: int, progress: Callable[[float], None]
) -> Iterator[tuple[Chunk, np.ndarray]]:
    context = multiprocessing.get_context("spawn")  # a fork would inherit the locks of torch's threads
    arguments = (job, context.Value("i", 0), max(1, torch.get_num_threads() // processes))
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=arguments)
    waiting: deque[tuple[Chunk, Future[np.ndarray]]] = deque()
    try:
        for chunk in chunks:
            waiting.append((chunk, pool.submit(_work, chunk.texts)))
            if len(waiting) > processes:  # one is ready to be taken up by whoever finishes first
                yield _next(waiting, progress)
        while waiting:
            yield _next(waiting, progress)
    finally:
        pool.shutdown(cancel_futures=True)


def _next(
    waiting: deque[tuple[Chunk, Future[np.ndarray]]], progress: Callable[[float], None]
) -> tuple[Chunk, np.ndarray]:
    chunk, future = waiting.popleft()
    vectors = future.result()
    progress(len(chunk.documents))
    return chunk, vectors


def _encode(encoder: Encoder, texts: list[str], progress: Callable[[float], None] | None = None) -> np.ndarray:
    return encoder.encode(texts, prompt="document", progress=progress)


def _start(job: EncodingJob, counter: "Synchronized[int]", threads: int) -> None:
    """Load the encoder of a worker process, and end the process with its parent, however that one ends."""
    global _worker
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    _worker = job.load(number)


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(texts: list[str]) -> np.ndarray:
    assert _worker is not None, "started by _start"
    return _encode(_worker, texts)
