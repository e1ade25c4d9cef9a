"""Batches: results go to whom they belong, short requests pass long ones, the queue is bounded, a fault is of one."""

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from hf_embeddings.serving.batcher import Batcher, Full, Job


class Model:
    """Doubles numbers; it waits for its gate, keeps what it was given, and fails at 13."""

    def __init__(self) -> None:
        self.gate, self.batches, self.entered = threading.Event(), [], threading.Event()

    def __call__(self, rows: list[int]) -> np.ndarray:
        self.batches.append(rows)
        self.entered.set()
        assert self.gate.wait(60)
        if 13 in rows:
            raise RuntimeError("13")
        return np.array([[2.0 * row] for row in rows])


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def batcher(model: Model) -> Iterator[Batcher[int]]:
    batcher: Batcher[int] = Batcher(model, batch_tokens=10, waiting_tokens=100)
    yield batcher
    model.gate.set()
    batcher.close()


def submit(batcher: Batcher[int], rows: list[int], length: int = 1) -> Job[int]:
    return batcher.submit(rows, [length] * len(rows), asyncio.get_running_loop().create_future())


async def entered(model: Model) -> None:
    """Wait until the model has its first batch: what comes now waits."""
    await asyncio.to_thread(model.entered.wait, 60)


def test_each_request_gets_its_own_results(batcher: Batcher[int], model: Model) -> None:
    async def ask() -> list[np.ndarray]:
        model.gate.set()
        return await asyncio.gather(*(submit(batcher, list(range(20 + n, 20 + 2 * n))).future for n in range(1, 13)))

    for n, results in zip(range(1, 13), asyncio.run(ask()), strict=True):
        assert results[:, 0].tolist() == [2.0 * row for row in range(20 + n, 20 + 2 * n)]
    assert batcher.waiting == 0


def test_what_waits_shares_the_next_batch(batcher: Batcher[int], model: Model) -> None:
    async def ask() -> None:
        first = submit(batcher, [0])
        await entered(model)
        rest = [submit(batcher, [number]) for number in range(1, 9)]
        model.gate.set()
        await asyncio.gather(first.future, *(job.future for job in rest))

    asyncio.run(ask())
    assert model.batches == [[0], list(range(1, 9))]


def test_no_batch_is_larger_than_its_tokens_but_of_one_text(batcher: Batcher[int], model: Model) -> None:
    async def ask() -> None:
        model.gate.set()
        jobs = [submit(batcher, [1], 8), submit(batcher, [2] * 5, 3), submit(batcher, [3], 40), submit(batcher, [4], 9)]
        await asyncio.gather(*(job.future for job in jobs))

    asyncio.run(ask())
    lengths = {1: 8, 2: 3, 3: 40, 4: 9}
    for batch in model.batches:
        assert len(batch) == 1 or sum(lengths[row] for row in batch) <= 10


def test_a_short_request_does_not_wait_for_a_long_one(batcher: Batcher[int], model: Model) -> None:
    async def ask() -> None:
        first = submit(batcher, [0])
        await entered(model)
        long, short = submit(batcher, [1] * 50), submit(batcher, [2])
        model.gate.set()
        await asyncio.gather(first.future, long.future, short.future)

    asyncio.run(ask())
    assert 2 in model.batches[1]


def test_the_queue_is_bounded_but_takes_any_request_when_it_is_empty(batcher: Batcher[int], model: Model) -> None:
    async def ask() -> None:
        first = submit(batcher, [0])
        await entered(model)
        large = submit(batcher, [1] * 150)
        with pytest.raises(Full) as full:
            submit(batcher, [2])
        assert full.value.seconds >= 1
        model.gate.set()
        await asyncio.gather(first.future, large.future)
        await submit(batcher, [2]).future

    asyncio.run(ask())


def test_who_leaves_is_forgotten(batcher: Batcher[int], model: Model) -> None:
    async def ask() -> None:
        first = submit(batcher, [0])
        await entered(model)
        left, other = submit(batcher, [1] * 30), submit(batcher, [2])
        left.future.cancel()
        batcher.drop(left)
        assert batcher.waiting == 1
        model.gate.set()
        await asyncio.gather(first.future, other.future)

    asyncio.run(ask())
    assert model.batches == [[0], [2]]


def test_a_request_that_the_model_fails_at_fails_alone(batcher: Batcher[int], model: Model) -> None:
    async def ask() -> list[object]:
        first = submit(batcher, [0])
        await entered(model)
        jobs = [submit(batcher, [number]) for number in (12, 13, 14)]
        model.gate.set()
        return await asyncio.gather(first.future, *(job.future for job in jobs), return_exceptions=True)

    _, before, at, after = asyncio.run(ask())
    assert isinstance(at, RuntimeError) and before.item() == 24 and after.item() == 28
    assert batcher.waiting == 0
