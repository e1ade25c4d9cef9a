"""Which samples an epoch takes, and which of them are planned together: found by number, for a corpus of any size.

Samples that follow each other in the corpus form a page, which is read from the disk at once. The pages of a source,
the longest first, are cut into rows of as many as an epoch has blocks; a block takes one page of each row, drawn by a
keyed permutation. All blocks so have nearly the same number of tokens, whatever they hold, and none depends on another.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hf_embeddings.randomness import permuted

LARGEST_PAGE = 128  # samples
MIN_PAGES = 1 << 12  # a page is shorter where there would be fewer, down to one sample


@dataclass(frozen=True)
class SampleSource:
    """Consecutive samples of one origin, the longest pages first."""

    name: str
    weight: float  # how often an epoch takes each sample; 0: never
    first: int  # sample
    count: int  # samples
    tokens: int  # in them
    pages: np.ndarray  # (P,) page numbers within the source, by falling number of tokens


def page_size(samples: int) -> int:
    """Return the samples of a page, a power of two, in a corpus of so many."""
    return min(LARGEST_PAGE, 1 << max(0, (samples // MIN_PAGES).bit_length() - 1))


def order_pages(lengths: Iterable[np.ndarray], size: int) -> np.ndarray:
    """Return the numbers of the pages by falling number of tokens, (P,) int32, from pieces of the lengths."""
    totals, rest = [np.empty(0, dtype=np.int64)], np.empty(0, dtype=np.int64)
    for piece in lengths:
        rest = np.concatenate((rest, piece))
        whole = len(rest) // size * size
        totals.append(rest[:whole].reshape(-1, size).sum(axis=1))
        rest = rest[whole:]
    if len(rest):
        totals.append(rest.sum(keepdims=True))
    return np.argsort(-np.concatenate(totals), kind="stable").astype(np.int32)


@dataclass(frozen=True)
class Sampling:
    """The samples of every block of every epoch.

    The same sample taken again in an epoch, by a weight above 1, has a number of its own, so that other tokens of it
    are masked: its number in the corpus plus a multiple of `samples`.
    """

    sources: tuple[SampleSource, ...]
    seed: int
    blocks: int  # of an epoch

    @classmethod
    def plan(cls, sources: tuple[SampleSource, ...], *, seed: int, samples_per_block: int) -> "Sampling":
        """Find out how many blocks an epoch has."""
        total = sum(source.weight * source.count for source in sources)
        return cls(sources, seed, max(1, round(total / samples_per_block)))

    @property
    def samples(self) -> int:
        """Samples of the corpus."""
        return sum(source.count for source in self.sources)

    def block(self, epoch: int, block: int) -> np.ndarray:
        """Return the numbers of the samples of a block, (N,)."""
        return np.concatenate([self._from(source, epoch, block) for source in self.sources if source.weight])

    def _from(self, source: SampleSource, epoch: int, block: int) -> np.ndarray:
        pages, size = len(source.pages), page_size(self.samples)
        slots = max(1, round(source.weight * pages))  # pages that an epoch takes
        rows = np.arange(-(-slots // self.blocks))
        columns = permuted(
            self.seed, f"pages of {source.name}", epoch, np.full(len(rows), block), self.blocks, streams=rows
        )
        slot = rows * self.blocks + columns
        slot = slot[slot < slots]
        # Evenly spaced; over the epochs the phase makes a page that a fraction leaves out take its turn.
        phase = epoch * source.weight % 1
        rank = np.minimum(((slot + phase) / source.weight).astype(np.int64), pages - 1)
        first = np.ceil(rank * source.weight - phase)  # the slot in which the page stands first
        again = np.maximum(slot - first, 0).astype(np.int64)
        samples = source.pages[rank].astype(np.int64)[:, None] * size + np.arange(size)
        inside = samples < source.count
        return (source.first + samples + (again * self.samples)[:, None])[inside]
