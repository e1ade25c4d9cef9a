"""Random numbers that depend on nothing but their key: seed, purpose, epoch and a counter.

No state is carried along, so a batch is the same whatever was made before it, by whichever process. The mixing function
is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195).
"""

from hashlib import blake2b

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FEISTEL_ROUNDS = 6


def random_bits(seed: int, purpose: str, epoch: int, counters: np.ndarray) -> np.ndarray:
    """Return 64 random bits for each counter, (N,) uint64."""
    return mixed(_key(seed, purpose, epoch) + counters.astype(np.uint64) * GOLDEN)


def random_floats(seed: int, purpose: str, epoch: int, counters: np.ndarray) -> np.ndarray:
    """Return a number in [0, 1) for each counter, (N,) float64."""
    return (random_bits(seed, purpose, epoch, counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permuted(
    seed: int, purpose: str, epoch: int, positions: np.ndarray, size: int, *, streams: np.ndarray | None = None
) -> np.ndarray:
    """Return where a random permutation of `range(size)` sends the given positions, without building the whole of it.

    A Feistel network permutes the next power of four; what falls outside `size` goes through it again until it falls
    inside (cycle walking, Black and Rogaway 2002). `streams` numbers the permutation of each position, where they are
    to be different ones.
    """
    half = np.uint64(max(1, (max(size - 1, 1).bit_length() + 1) // 2))
    keys, mask = np.broadcast_to(_key(seed, purpose, epoch), len(positions)), (np.uint64(1) << half) - np.uint64(1)
    if streams is not None:
        keys = mixed(keys + streams.astype(np.uint64) * GOLDEN)
    result = positions.astype(np.uint64)
    outside = np.ones(len(result), dtype=bool)
    while outside.any():
        left, right = result[outside] >> half, result[outside] & mask
        for number in range(FEISTEL_ROUNDS):
            left, right = right, left ^ (mixed(keys[outside] + right * GOLDEN + np.uint64(number)) & mask)
        result[outside] = (left << half) | right
        outside[outside] = result[outside] >= size
    return result.astype(np.int64)


def _key(seed: int, purpose: str, epoch: int) -> np.ndarray:
    digest = blake2b(f"{seed} {purpose} {epoch}".encode(), digest_size=8).digest()
    return np.frombuffer(digest, dtype=np.uint64)  # (1,): arrays wrap around in silence, as intended here


def mixed(bits: np.ndarray) -> np.ndarray:
    """Return 64 bits that look random, each a function of 64 given ones."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
