"""Laws of keyed random numbers: nothing but the key decides, bits are even, permutations are bijections."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_embeddings.randomness import permuted, random_bits, random_floats

MANY = np.arange(200_000)


def test_a_number_depends_on_its_key_and_on_nothing_else() -> None:
    whole = random_bits(7, "mask", 3, MANY)
    assert np.array_equal(whole[500:900], random_bits(7, "mask", 3, MANY[500:900]))
    for other in (random_bits(8, "mask", 3, MANY), random_bits(7, "split", 3, MANY), random_bits(7, "mask", 4, MANY)):
        assert (whole == other).sum() == 0


def test_bits_are_even_and_independent() -> None:
    bits = random_bits(0, "test", 0, MANY)
    ones = np.unpackbits(bits.view(np.uint8)).reshape(-1, 64).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / len(MANY) ** 0.5
    floats = random_floats(0, "test", 0, MANY)
    assert abs(np.corrcoef(floats[:-1], floats[1:])[0, 1]) < 5 / len(MANY) ** 0.5
    counts = np.histogram(floats, bins=100, range=(0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 175  # chi-square with 99 degrees of freedom, p = 4e-6
    assert floats.min() >= 0 and floats.max() < 1


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 3000), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 10**6))
def test_permutations_are_bijections(size: int, seed: int, epoch: int) -> None:
    result = permuted(seed, "order", epoch, np.arange(size), size)
    assert np.array_equal(np.sort(result), np.arange(size))


def test_permutations_move_things_and_need_no_neighbours() -> None:
    size = 10**9
    places = np.array([0, 1, 2, 10**9 - 1])
    result = permuted(0, "order", 5, places, size)
    assert len(set(result)) == 4 and (result < size).all()
    assert np.array_equal(result[1:2], permuted(0, "order", 5, places[1:2], size))
    order = permuted(0, "order", 0, np.arange(10_000), 10_000)
    assert (order == np.arange(10_000)).sum() < 10
    assert np.corrcoef(order, np.arange(10_000))[0, 1] == pytest.approx(0, abs=0.05)
