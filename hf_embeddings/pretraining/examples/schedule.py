"""Which samples stand in which batch: every batch a flat row of the same number of tokens, nearly all of them real.

An epoch is cut into blocks of samples (sampling.py). A block is planned at once: its pairs are made, and dealt to a
number of batches that is known beforehand, the longest pairs first, each round to the batches in the order of the room
they have left. All batches of a block so have nearly the same number of tokens and the same mixture of lengths, and a
step is found without planning any step before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR, Chunks
from hf_embeddings.pretraining.examples.pairs import Pairs, make_pairs
from hf_embeddings.pretraining.examples.sampling import Sampling
from hf_embeddings.randomness import random_bits

SAMPLES_PER_BLOCK = 1 << 13  # planned in some 15 ms, and so many that the last tokens of its batches do not count
BLOCKS_PROBED = 8


@dataclass(frozen=True)
class Schedule:
    """The endless sequence of batches of one run; each is found by its number alone."""

    chunks: Chunks
    tokens_per_batch: int
    seed: int
    relation: str | None  # of the two segments of a pair: see pairs.py
    sampling: Sampling
    batches_per_block: int

    @classmethod
    def plan(cls, chunks: Chunks, *, tokens_per_batch: int, seed: int, relation: str | None) -> "Schedule":
        """Find out how many batches a block needs.

        Raises:
            ValueError: a batch cannot hold the longest pair.
        """
        longest = chunks.max_tokens + SPECIAL_TOKENS_PER_PAIR
        if tokens_per_batch < longest:
            raise ValueError(
                f"training.tokens_per_step: leaves {tokens_per_batch} tokens a micro-batch, expected at least "
                f"examples.max_length {longest}; raise it, or lower training.micro_batches"
            )
        sampling = Sampling.plan(chunks.sources, seed=seed, samples_per_block=SAMPLES_PER_BLOCK)
        count = _batches_needed(chunks, sampling, tokens_per_batch)
        return cls(chunks, tokens_per_batch, seed, relation, sampling, count)

    @property
    def batches_per_epoch(self) -> int:
        """Batches of an epoch."""
        return self.sampling.blocks * self.batches_per_block

    def batch(self, number: int) -> tuple[int, Pairs]:
        """Return the epoch and the pairs of a batch."""
        epoch, index = divmod(number, self.batches_per_epoch)
        block, index = divmod(index, self.batches_per_block)
        pairs, bounds = _plan_block(self, epoch, block)
        return epoch, pairs[slice(bounds[index], bounds[index + 1])]

    def batches(self, start: int = 0, stride: int = 1) -> Iterator[tuple[int, Pairs]]:
        """Yield epoch and pairs of the batches `start`, `start + stride`, ... without end."""
        while True:
            yield self.batch(start)
            start += stride

    __hash__ = object.__hash__  # a key of the cache below: by identity, for arrays have no hash


@lru_cache(maxsize=2)
def _plan_block(schedule: Schedule, epoch: int, block: int) -> tuple[Pairs, np.ndarray]:
    """Return the pairs of a block in the order of their batches, and where each batch begins, and the end."""
    chunks, seed, count = schedule.chunks, schedule.seed, schedule.batches_per_block
    samples = schedule.sampling.block(epoch, block)
    pairs = make_pairs(chunks, samples, seed=seed, epoch=epoch, relation=schedule.relation)
    order = np.lexsort((random_bits(seed, "deal", epoch, samples), -pairs.lengths))
    pairs = pairs[order]
    batch_of = deal(pairs.lengths + SPECIAL_TOKENS_PER_PAIR, count)
    # Among the batches of a block the order is random too: neighbours in the deal are alike.
    shuffle_keys = random_bits(seed, "shuffle", epoch, block * count + np.arange(count))
    batch_of = shuffle_keys.argsort().argsort()[batch_of]
    order = np.argsort(batch_of, kind="stable")
    return pairs[order], np.concatenate(([0], np.cumsum(np.bincount(batch_of, minlength=count))))


def deal(lengths: np.ndarray, count: int) -> np.ndarray:
    """Deal items (N,), the longest first, to `count` batches; return the batch of each."""
    batch_of = np.empty(len(lengths), dtype=np.int64)
    loads = np.zeros(count, dtype=np.int64)
    for begin in range(0, len(lengths), count):
        hand = lengths[begin : begin + count]
        emptiest = np.argsort(loads, kind="stable")[: len(hand)]
        batch_of[begin : begin + count] = emptiest
        loads[emptiest] += hand
    return batch_of


def _batches_needed(chunks: Chunks, sampling: Sampling, capacity: int) -> int:
    """Return the least number of batches into which blocks surely fit.

    Some blocks are looked at. The margin is for the others, and for exchanged seconds, which change the lengths a
    little. What should not fit all the same is cut by the tokens that are too many (batches.py).
    """
    block_lengths = []
    for block in np.unique(np.linspace(0, sampling.blocks - 1, BLOCKS_PROBED).astype(int)):
        spans = chunks[sampling.block(0, int(block)) % len(chunks)]
        block_lengths.append(np.sort(spans.ends - spans.starts + SPECIAL_TOKENS_PER_PAIR)[::-1])
    totals = [int(lengths.sum()) for lengths in block_lengths]
    fullest = block_lengths[int(np.argmax(totals))]
    spread = 4 * float(np.std(totals)) if sampling.blocks > len(block_lengths) else 0.0
    count = max(1, int((max(totals) + spread) / capacity))
    while _fullest_load(fullest, count) + spread / count + 2 > capacity and count < len(fullest):
        count += 1 + count // 1000
    return count


def _fullest_load(lengths: np.ndarray, count: int) -> float:
    return float(np.bincount(deal(lengths, count), weights=lengths).max())
