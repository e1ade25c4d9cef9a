"""What storing vectors smaller does to them."""

import numpy as np
import pytest

from hf_embeddings.analysis.compression import compare_sizes, compressed, to_binary, to_int8, widths
from hf_embeddings.analysis.similarity import pair_cosines

CLOUD = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)


def test_eight_bits_are_within_half_a_step() -> None:
    step = np.ptp(CLOUD, axis=0) / 255
    assert (np.abs(to_int8(CLOUD) - CLOUD) <= step / 2 + 1e-6).all()
    assert len(np.unique(to_int8(CLOUD)[:, 0])) <= 256
    outside = to_int8(CLOUD * 9, ranges=np.stack([CLOUD.min(axis=0), CLOUD.max(axis=0)]))
    assert outside.max() <= CLOUD.max() + 1e-5  # values beyond the calibrated range are clipped, as an int8 index does
    np.testing.assert_array_equal(to_int8(np.ones((3, 2))), np.ones((3, 2)))


def test_the_cosine_of_signs_counts_differing_bits() -> None:
    first, second = to_binary(CLOUD[:100]), to_binary(CLOUD[100:])
    hamming = ((CLOUD[:100] > 0) != (CLOUD[100:] > 0)).sum(axis=1)
    np.testing.assert_allclose(pair_cosines(first, second), 1 - 2 * hamming / 64, atol=1e-6)


def test_sizes_fall_and_so_does_what_they_keep() -> None:
    assert widths(64) == [64, 32, 16] and widths(20) == [20]
    sizes = {(size.width, size.precision): size for size in compare_sizes(CLOUD)}
    assert [size.bytes_per_vector for size in compare_sizes(CLOUD)] == [256, 64, 8, 128, 32, 4, 64, 16, 2]
    assert sizes[64, "fp32"].neighbours_kept == 1.0
    kept = [sizes[width, "fp32"].neighbours_kept for width in (64, 32, 16)]
    assert kept == sorted(kept, reverse=True) and sizes[64, "int8"].neighbours_kept > 0.95
    assert sizes[64, "int8"].neighbours_kept > sizes[64, "binary"].neighbours_kept > 0.2
    np.testing.assert_array_equal(compressed(CLOUD, 16, "fp32"), CLOUD[:, :16])
    assert compressed(CLOUD, 16, "int8", ranges=np.stack([CLOUD.min(0), CLOUD.max(0)])).shape == (200, 16)


@pytest.mark.parametrize("precision", ["fp32", "int8", "binary"])
def test_compression_keeps_the_dtype(precision: str) -> None:
    assert compressed(CLOUD, 32, precision).dtype == np.float32
