"""Batches out of the requests of many clients: whoever waits shares the next batch, and nobody waits for a full one.

While the model works on a batch, what arrives waits. The next batch takes from the waiting requests in turn, so that a
short one does not wait for all texts of a long one. The number of tokens that may wait is bounded.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

Row = TypeVar("Row")


class Full(Exception):  # noqa: N818  no fault: the client may come again
    """Too many tokens wait already; `seconds` is how long they will take."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many requests wait; try again in {seconds:.0f} s")
        self.seconds = seconds


@dataclass(eq=False)
class Job(Generic[Row]):
    """The texts of one request."""

    rows: Sequence[Row]
    lengths: Sequence[int]  # in tokens
    future: "asyncio.Future[np.ndarray]"
    order: deque[int] = field(init=False)  # rows that wait, the longest first, so that neighbours are of near length
    results: list[np.ndarray | None] = field(init=False)
    left: int = field(init=False)  # rows without a result

    def __post_init__(self) -> None:
        self.order = deque(sorted(range(len(self.rows)), key=self.lengths.__getitem__, reverse=True))
        self.results = [None] * len(self.rows)
        self.left = len(self.rows)


@dataclass
class Counts:
    """What a batcher has done."""

    batches: int = 0
    texts: int = 0
    tokens: int = 0
    seconds: float = 0.0  # that the model took


Batch = list[tuple["Job[Row]", int]]  # of each text the job and the number of the row


class Batcher(Generic[Row]):
    """Runs a model in a thread of its own."""

    def __init__(
        self, run: Callable[[list[Row]], np.ndarray], *, batch_tokens: int, waiting_tokens: int, name: str = "model"
    ) -> None:
        """Start the thread.

        Args:
            run: the model: N rows to results (N, ...).
            batch_tokens: that it is given at once; one text is given whatever its length.
            waiting_tokens: that may wait; a request that is longer is taken where nothing else waits.
            name: of the thread.
        """
        self.waiting = 0  # tokens
        self.counts = Counts()
        self._run, self._batch_tokens, self._most = run, batch_tokens, waiting_tokens
        self._jobs: deque[Job[Row]] = deque()
        self._changing = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, rows: Sequence[Row], lengths: Sequence[int], future: "asyncio.Future[np.ndarray]") -> "Job[Row]":
        """Put texts into the queue, from any thread; the future will hold their results (N, ...).

        Raises:
            Full: too many tokens wait.
        """
        job = Job(rows, lengths, future)
        tokens = sum(lengths)
        with self._changing:
            if self.waiting and self.waiting + tokens > self._most:
                raise Full(self._seconds_ahead())
            self.waiting += tokens
            self._jobs.append(job)
            self._changing.notify()
        return job

    def close(self) -> None:
        """End the thread after the batch that it is at; what waits is forgotten."""
        with self._changing:
            self._is_closed = True
            self._jobs.clear()
            self._changing.notify_all()
        self._thread.join()

    def _seconds_ahead(self) -> float:
        """Return how long the model will take for what waits, at its speed so far; 1 s where that is unknown."""
        speed = self.counts.tokens / self.counts.seconds if self.counts.seconds else self.waiting
        return max(1.0, self.waiting / speed)

    def drop(self, job: "Job[Row]") -> None:
        """Forget the texts of a client that has left; what the model is working on goes nowhere."""
        with self._changing:
            self.waiting -= sum(job.lengths[number] for number in job.order)
            job.order.clear()
            if job in self._jobs:
                self._jobs.remove(job)

    def _work(self) -> None:
        while batch := self._take():
            began = time.perf_counter()
            self._serve(batch)
            self.counts.seconds += time.perf_counter() - began
            self.counts.batches += 1
            self.counts.texts += len(batch)
            self.counts.tokens += sum(job.lengths[number] for job, number in batch)

    def _take(self) -> "Batch[Row]":
        """Wait for texts, and return those of the next batch; none where the batcher was closed."""
        with self._changing:
            while not self._jobs and not self._is_closed:
                self._changing.wait()
            batch: Batch[Row] = []
            room = self._batch_tokens
            while self._jobs and (room > 0 or not batch):
                share = max(1, room // len(self._jobs))
                for _ in range(len(self._jobs)):
                    job = self._jobs.popleft()
                    taken = 0
                    while job.order and (taken < share) and (room > 0 or not batch):
                        length = job.lengths[job.order[0]]
                        if batch and length > room:
                            room = 0
                            break
                        batch.append((job, job.order.popleft()))
                        taken += length
                        room -= length
                        self.waiting -= length
                    if job.order:
                        self._jobs.append(job)
            return batch

    def _serve(self, batch: "Batch[Row]") -> None:
        """Run the model on a batch; where it fails, on each request by itself, so that only one can be at fault."""
        try:
            results = self._run([job.rows[number] for job, number in batch])
        except Exception as error:  # of whatever kind: the model is somebody's, and the server must live
            jobs = list(dict.fromkeys(job for job, _ in batch))
            if len(jobs) == 1:
                self._tell(jobs, error)
                return
            for job in jobs:
                self._serve([(owner, number) for owner, number in batch if owner is job])
            return
        done = []
        for (job, number), result in zip(batch, results, strict=True):
            job.results[number] = result
            job.left -= 1
            if not job.left:
                done.append(job)
        self._tell(done)

    def _tell(self, jobs: "list[Job[Row]]", error: Exception | None = None) -> None:
        if error is not None:
            for job in jobs:
                self.drop(job)
        for loop in {job.future.get_loop() for job in jobs}:
            own = [job for job in jobs if job.future.get_loop() is loop]
            try:
                loop.call_soon_threadsafe(_deliver, own, error)
            except RuntimeError:  # the loop was closed: nobody waits
                continue


def _deliver(jobs: "list[Job[Row]]", error: Exception | None) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(np.stack([result for result in job.results if result is not None]))
