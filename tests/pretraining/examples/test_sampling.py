"""Laws of sampling: an epoch takes each sample as often as its source's weight says, in blocks that weigh the same."""

from collections import Counter

import numpy as np
import pytest

from hf_embeddings.pretraining.examples.sampling import SampleSource, Sampling, order_pages, page_size
from hf_embeddings.pretraining.examples.schedule import SAMPLES_PER_BLOCK

LENGTHS = np.random.default_rng(0).integers(4, 126, size=1 << 19)
LENGTHS[: 1 << 18] = np.sort(LENGTHS[: 1 << 18])  # neighbours are alike, as the parts of a long document are


def sources(*parts: tuple[int, float]) -> tuple[SampleSource, ...]:
    """Return sources of so many samples and such weights, one after the other."""
    size, first, made = page_size(sum(count for count, _ in parts)), 0, []
    for number, (count, weight) in enumerate(parts):
        lengths = LENGTHS[first : first + count]
        pages = order_pages(np.array_split(lengths, 3), size)
        made.append(SampleSource(f"source {number}", weight, first, count, int(lengths.sum()), pages))
        first += count
    return tuple(made)


def epoch_of(sampling: Sampling, epoch: int) -> np.ndarray:
    return np.concatenate([sampling.block(epoch, block) for block in range(sampling.blocks)])


@pytest.mark.parametrize("count", [1, 5, 1000, 8191, 8192, 100_001])
@pytest.mark.parametrize("epoch", [0, 3])
def test_an_epoch_takes_each_sample_once(count: int, epoch: int) -> None:
    for per_block in (1000, SAMPLES_PER_BLOCK):
        sampling = Sampling.plan(sources((count, 1.0)), seed=5, samples_per_block=per_block)
        assert np.array_equal(np.sort(epoch_of(sampling, epoch)), np.arange(count))


@pytest.mark.parametrize("weight", [2.0, 3.0, 2.5, 0.5, 0.25, 1.75])
def test_four_epochs_take_each_sample_as_often_as_the_weight_says(weight: float) -> None:
    plain = 6400  # with a page of one sample each
    sampling = Sampling.plan(sources((plain, 1.0), (1600, weight)), seed=5, samples_per_block=1000)
    times: Counter[int] = Counter()
    for epoch in range(4):
        taken = epoch_of(sampling, epoch)
        assert len(np.unique(taken)) == len(taken)  # taken again, a sample has another number
        times.update((taken % sampling.samples).tolist())
    assert {times[sample] for sample in range(plain)} == {4}
    assert {times[sample] for sample in range(plain, plain + 1600)} == {int(4 * weight)}


def test_blocks_have_nearly_the_same_number_of_tokens_and_of_each_source() -> None:
    sampling = Sampling.plan(sources((1 << 18, 1.0), (100_000, 0.5)), seed=0, samples_per_block=SAMPLES_PER_BLOCK)
    totals, shares = [], []
    for block in range(sampling.blocks):
        samples = sampling.block(1, block)
        totals.append(LENGTHS[samples % sampling.samples].sum())
        shares.append(np.mean(samples % sampling.samples < 1 << 18))
    assert sampling.blocks > 10
    assert np.ptp(totals) < 0.01 * np.mean(totals) and np.ptp(shares) < 0.01


def test_a_block_is_drawn_from_everywhere_and_anew_in_each_epoch() -> None:
    sampling = Sampling.plan(sources((1 << 18, 1.0)), seed=0, samples_per_block=SAMPLES_PER_BLOCK)
    first, again, later, other = (
        set((Sampling(sampling.sources, seed, sampling.blocks).block(epoch, 3) // 64).tolist())
        for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    assert first == again and len(first) == SAMPLES_PER_BLOCK // 64
    for different in (later, other):
        assert len(first & different) < 0.2 * len(first)  # 1 in 32 by chance
    quarters = np.bincount(np.array(sorted(first)) // 1024, minlength=4)
    assert quarters.min() > 30


def test_pages_grow_with_the_corpus() -> None:
    assert [page_size(count) for count in (1, 4096, 8191, 8192, 16384, 10**6, 10**9)] == [1, 1, 1, 2, 4, 128, 128]
