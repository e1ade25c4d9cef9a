"""Encode chunks of passages here, or in several processes, in their order and with few of them in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.late_chunking import Text, encode_passages
from hf_embeddings.search.records import Record
from hf_embeddings.worker_pool import WorkerPool

AHEAD = 2  # chunks per process: one is ready to be taken up by whoever finishes first
_worker: Encoder | None = None  # of a worker process


@dataclass(frozen=True)
class EncodingJob:
    """What a process needs to know to encode as the others do."""

    model: str  # directory or Hub id
    precision: str = "auto"  # of hf_embeddings.search.precision
    overrides: dict[str, Any] = field(default_factory=dict)  # fields of Recipe
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
    texts: list[Text]  # what the vectors of the passages are made of


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
        yield chunk, encode_passages(encoder, chunk.texts, partial(_advance, progress, share))


def _advance(progress: Callable[[float], None], share: float, texts: int) -> None:
    progress(texts * share)


def _encode_elsewhere(
    chunks: Iterable[Chunk], job: EncodingJob, processes: int, progress: Callable[[float], None]
) -> Iterator[tuple[Chunk, np.ndarray]]:
    begin = partial(_start, job, max(1, torch.get_num_threads() // processes))
    waiting: deque[Chunk] = deque()

    def texts() -> Iterator[list[Text]]:
        for chunk in chunks:
            waiting.append(chunk)
            yield chunk.texts

    with WorkerPool(processes, preload=__name__, begin=begin, ahead=AHEAD) as pool:
        for vectors in pool.map(_work, texts()):
            chunk = waiting.popleft()
            progress(len(chunk.documents))
            yield chunk, vectors


def _start(job: EncodingJob, threads: int, number: int) -> None:
    """Load the encoder of a worker process."""
    global _worker
    torch.set_num_threads(threads)
    _worker = job.load(number)


def _work(texts: list[Text]) -> np.ndarray:
    assert _worker is not None, "loaded by _start"
    return encode_passages(_worker, texts)
