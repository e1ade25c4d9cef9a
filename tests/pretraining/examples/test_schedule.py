"""Laws of packing: an epoch holds each sample once, rows are full, and any batch is found by its number alone."""

import itertools

import numpy as np
import pytest

from hf_embeddings.pretraining.examples import schedule as packing
from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR, Chunks, cut_chunks
from hf_embeddings.pretraining.examples.schedule import Schedule, deal
from tests.pretraining.numbered_corpus import numbered_corpus


@pytest.fixture(scope="module")
def chunks() -> Chunks:
    return cut_chunks(numbered_corpus(2000), max_tokens=61)


@pytest.fixture(params=[1 << 15, 1000], ids=["one block", "many blocks"])
def schedule(request, chunks: Chunks, monkeypatch) -> Schedule:
    monkeypatch.setattr(packing, "SAMPLES_PER_BLOCK", request.param)
    return Schedule.plan(chunks, tokens_per_batch=1024, seed=0, relation="nsp")


@pytest.mark.parametrize("epoch", [0, 3])
def test_an_epoch_holds_each_sample_once_in_full_rows(schedule: Schedule, chunks: Chunks, epoch: int) -> None:
    first = epoch * schedule.batches_per_epoch
    batches = [schedule.batch(first + index) for index in range(schedule.batches_per_epoch)]
    assert {number for number, _ in batches} == {epoch}
    samples = np.concatenate([pairs.samples for _, pairs in batches])
    assert np.array_equal(np.sort(samples), np.arange(len(chunks)))
    loads = [int(pairs.lengths.sum()) + SPECIAL_TOKENS_PER_PAIR * len(pairs) for _, pairs in batches]
    assert max(loads) <= 1024
    assert np.mean(loads) >= (0.98 if schedule.sampling.blocks == 1 else 0.95) * 1024


def test_a_batch_is_found_by_its_number_alone(chunks: Chunks) -> None:
    ahead, walked = (Schedule.plan(chunks, tokens_per_batch=1024, seed=0, relation="nsp") for _ in range(2))
    number = 2 * ahead.batches_per_epoch + 17
    epoch, pairs = ahead.batch(number)
    _, expected = next(itertools.islice(walked.batches(), number, None))
    assert epoch == 2 and np.array_equal(pairs.samples, expected.samples)
    assert np.array_equal(pairs.second_starts, expected.second_starts)


def test_processes_share_the_batches_out(chunks: Chunks) -> None:
    schedule = Schedule.plan(chunks, tokens_per_batch=1024, seed=0, relation="nsp")
    whole = [tuple(pairs.samples) for _, pairs in itertools.islice(schedule.batches(), 10)]
    shares = [
        [tuple(pairs.samples) for _, pairs in itertools.islice(schedule.batches(rank, 2), 5)] for rank in range(2)
    ]
    assert whole[0::2] == shares[0] and whole[1::2] == shares[1]


def test_order_and_company_change_from_epoch_to_epoch(chunks: Chunks) -> None:
    schedule = Schedule.plan(chunks, tokens_per_batch=1024, seed=0, relation="nsp")
    companies = [
        {
            frozenset(couple)
            for _, pairs in itertools.islice(schedule.batches(epoch * schedule.batches_per_epoch), 50)
            for couple in itertools.combinations(pairs.samples.tolist(), 2)
        }
        for epoch in range(2)
    ]
    assert len(companies[0] & companies[1]) < 0.02 * len(companies[0])


def test_dealing_gives_every_batch_nearly_the_same() -> None:
    lengths = np.sort(np.random.default_rng(0).integers(5, 128, size=10_000))[::-1]
    loads = np.bincount(deal(lengths, 333), weights=lengths)
    assert loads.max() - loads.min() <= 128 and loads.std() < 10


def test_a_row_that_no_pair_fits_in_is_an_error(chunks: Chunks) -> None:
    with pytest.raises(ValueError, match="tokens_per_step: leaves 63 tokens.*expected at least examples.max_length 64"):
        Schedule.plan(chunks, tokens_per_batch=63, seed=0, relation="nsp")


@pytest.mark.parametrize("size", [64, 100, 130, 300])
def test_small_rows_hold_what_they_must(chunks: Chunks, size: int) -> None:
    schedule = Schedule.plan(chunks, tokens_per_batch=size, seed=0, relation="nsp")
    batches = [schedule.batch(index)[1] for index in range(schedule.batches_per_epoch)]
    assert max(int(pairs.lengths.sum()) + SPECIAL_TOKENS_PER_PAIR * len(pairs) for pairs in batches) <= size
    assert sum(len(pairs) for pairs in batches) == len(chunks)
