"""Which samples stand in which batch: every batch a flat row of the same number of tokens, nearly all of them real.

An epoch is a random permutation of the samples, cut into blocks. A block is planned at once: its pairs are made, and
dealt to a number of batches that is known beforehand, the longest pairs first, each round to the batches in the order
of the room they have left. All batches of a block so have nearly the same number of tokens and the same mixture of
lengths, and step t is found without planning any step before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hf_embeddings.pretraining.pairs import Chunks, Pairs, make_pairs
from hf_embeddings.pretraining.randomness import permuted, random_bits

SPECIAL_TOKENS_PER_PAIR = 3  # [CLS] A [SEP] B [SEP]
SAMPLES_PER_BLOCK = 1 << 15  # planned in some 30 ms, and so many that blocks have nearly the same number of tokens


@dataclass(frozen=True)
class Schedule:
    """The endless sequence of batches of one run; each is found by its number alone."""

    chunks: Chunks
    tokens_per_batch: int
    seed: int
    relation: str | None  # of the two segments of a pair: see pairs.py
    batches_per_block: int  # of a whole block
    batches_per_last_block: int  # of what is left over; equal to the above where nothing is

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
                f"examples.max_length {longest}; raise it, or lower training.gradient_accumulation_steps"
            )
        lengths = chunks.ends - chunks.starts + SPECIAL_TOKENS_PER_PAIR
        whole, rest = divmod(len(chunks), SAMPLES_PER_BLOCK)
        sizes = [size for size, count in ((SAMPLES_PER_BLOCK, whole), (rest, 1)) if size and count]
        numbers = [_batches_needed(lengths, size, tokens_per_batch, seed) for size in sizes]
        return cls(chunks, tokens_per_batch, seed, relation, numbers[0], numbers[-1])

    @property
    def blocks_per_epoch(self) -> int:
        """Blocks of an epoch, the shorter last one included."""
        return -(-len(self.chunks) // SAMPLES_PER_BLOCK)

    @property
    def batches_per_epoch(self) -> int:
        """Batches of an epoch."""
        return (self.blocks_per_epoch - 1) * self.batches_per_block + self.batches_per_last_block

    def batch(self, number: int) -> tuple[int, Pairs]:
        """Return the epoch and the pairs of a batch."""
        epoch, index = divmod(number, self.batches_per_epoch)
        block = min(index // self.batches_per_block, self.blocks_per_epoch - 1)
        pairs, bounds = _plan_block(self, epoch, block)
        index -= block * self.batches_per_block
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
    chunks, seed = schedule.chunks, schedule.seed
    begin = block * SAMPLES_PER_BLOCK
    positions = np.arange(begin, min(begin + SAMPLES_PER_BLOCK, len(chunks)))
    samples = permuted(seed, "order", epoch, positions, len(chunks))
    pairs = make_pairs(chunks, samples, seed=seed, epoch=epoch, relation=schedule.relation)
    last = block == schedule.blocks_per_epoch - 1
    count = schedule.batches_per_last_block if last else schedule.batches_per_block
    order = np.lexsort((random_bits(seed, "deal", epoch, samples), -pairs.lengths))
    pairs = pairs[order]
    batch_of = deal(pairs.lengths + SPECIAL_TOKENS_PER_PAIR, count)
    # Among the batches of a block the order is random too: neighbours in the deal are alike.
    batch_of = random_bits(seed, "shuffle", epoch, begin + np.arange(count)).argsort().argsort()[batch_of]
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


def _batches_needed(lengths: np.ndarray, size: int, capacity: int, seed: int) -> int:
    """Return the least number of batches into which blocks of `size` samples surely fit.

    Exchanged seconds change the lengths a little, and where there are many blocks they differ in their sums: that is
    what the margin is for. What should not fit all the same is cut by the tokens that are too many (batches.py).
    """
    sample = permuted(seed, "order", 0, np.arange(size), len(lengths))
    drawn = np.sort(lengths[sample])[::-1]
    spread = 4 * float(np.std(lengths)) * size**0.5 if size < len(lengths) else 0.0
    count = max(1, int((drawn.sum() + spread) / capacity))
    while np.bincount(deal(drawn, count), weights=drawn).max() + spread / count + 2 > capacity and count < size:
        count += 1 + count // 1000
    return count
