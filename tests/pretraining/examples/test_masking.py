"""Laws of masking: exact shares, special tokens never, and a choice that belongs to the sample."""

import numpy as np
import pytest

from hf_embeddings.pretraining.examples.masking import LONGEST_UNIT, MEAN_SPAN, choose_masked, find_units, hide

ORDINARY = np.arange(5, 5000)
SAMPLES = np.repeat(np.random.default_rng(0).permutation(100_000)[:3000], 50)
IDS = np.full(len(SAMPLES), 4999)
IDS[::50] = IDS[25::50] = IDS[49::50] = 2
MASKABLE = IDS != 2


def choose(samples=SAMPLES, maskable=MASKABLE, probability: float = 0.15, epoch: int = 0) -> np.ndarray:
    units = find_units("token", samples, np.zeros(len(samples), dtype=bool), seed=0, epoch=epoch)
    return choose_masked(samples, maskable, units, probability=probability, seed=0, epoch=epoch)


def test_the_share_is_exact_in_each_sample_and_special_tokens_are_never_chosen() -> None:
    chosen = choose()
    assert MASKABLE[chosen].all() and (np.diff(chosen) > 0).all()
    counts = np.bincount(chosen // 50, minlength=3000)
    assert set(counts) == {7, 8}  # 0.15 x 47 = 7.05
    assert counts.mean() == pytest.approx(7.05, abs=0.02)


def test_every_place_is_as_likely() -> None:
    counts = np.bincount(choose() % 50, minlength=50)[MASKABLE[:50]]
    expected = counts.sum() / 47
    assert ((counts - expected) ** 2 / expected).sum() < 90  # 46 degrees of freedom; without replacement it is less


def test_what_is_shown_instead_is_80_10_10() -> None:
    chosen = choose()
    hidden = hide(IDS, SAMPLES, chosen, mask_token_id=4, ordinary_ids=ORDINARY, seed=0, epoch=0)
    kept = np.setdiff1d(np.arange(len(IDS)), chosen)
    assert np.array_equal(hidden[kept], IDS[kept])
    shown = hidden[chosen]
    assert (shown == 4).mean() == pytest.approx(0.8, abs=0.012)
    assert (shown == 4999).mean() == pytest.approx(0.1, abs=0.009)
    swapped = shown[(shown != 4) & (shown != 4999)]
    assert len(swapped) / len(shown) == pytest.approx(0.1, abs=0.009)
    assert np.isin(swapped, ORDINARY).all() and len(set(swapped)) > 1500


def test_the_choice_depends_on_the_sample_and_not_on_its_neighbours() -> None:
    chosen = choose()
    hidden = hide(IDS, SAMPLES, chosen, mask_token_id=4, ordinary_ids=ORDINARY, seed=0, epoch=0)
    part = slice(50 * 100, 50 * 103)
    again = choose(SAMPLES[part], MASKABLE[part])
    assert np.array_equal(again + part.start, chosen[(chosen >= part.start) & (chosen < part.stop)])
    alone = hide(IDS[part], SAMPLES[part], again, mask_token_id=4, ordinary_ids=ORDINARY, seed=0, epoch=0)
    assert np.array_equal(alone, hidden[part])
    assert not np.array_equal(choose(epoch=1), chosen)


def test_at_least_one_is_chosen_where_there_is_any() -> None:
    samples, maskable = np.repeat([3, 9, 4], 4), np.array([0, 1, 0, 0] + [0, 0, 0, 0] + [1, 1, 1, 1], dtype=bool)
    chosen = choose(samples, maskable, probability=0.01)
    assert len(chosen) == 2 and chosen[0] == 1 and chosen[1] >= 8
    assert np.array_equal(choose(samples, maskable, probability=0.999999), [1, 8, 9, 10, 11])


# Units: words and spans


CONTINUES = np.random.default_rng(1).random(len(SAMPLES)) < 0.3
CONTINUES[~MASKABLE] = False


def words() -> np.ndarray:
    """Number the words: pieces and those that continue them, never across a special token."""
    return np.cumsum(~CONTINUES | ~np.roll(MASKABLE, 1))


@pytest.mark.parametrize("unit", ["word", "span"])
def test_units_are_hidden_as_a_whole_and_the_share_stays(unit: str) -> None:
    units = find_units(unit, SAMPLES, CONTINUES, seed=0, epoch=0)
    chosen = choose_masked(SAMPLES, MASKABLE, units, probability=0.15, seed=0, epoch=0)
    hidden = np.zeros(len(SAMPLES), dtype=bool)
    hidden[chosen] = True
    assert not hidden[~MASKABLE].any()
    number = words()
    size = number.max() + 1
    whole = np.bincount(number[MASKABLE], minlength=size), np.bincount(number[chosen], minlength=size)
    assert ((whole[1] == 0) | (whole[1] == whole[0]) | (whole[0] >= LONGEST_UNIT)).all()
    assert len(chosen) / MASKABLE.sum() == pytest.approx(0.15, abs=0.006)


@pytest.mark.parametrize("unit", ["word", "span"])
@pytest.mark.parametrize("length, size", [(61, 61), (125, 30), (9, 9), (30, 5)])
def test_the_share_is_exact_however_long_words_are(unit: str, length: int, size: int) -> None:
    """Text without spaces is one word; no place in it is hidden much more often than another."""
    samples = np.repeat(np.arange(2000), length)
    maskable = np.ones(len(samples), dtype=bool)
    continues = np.arange(len(samples)) % length % size != 0
    units = find_units(unit, samples, continues, seed=0, epoch=0)
    chosen = choose_masked(samples, maskable, units, probability=0.15, seed=0, epoch=0)
    assert len(chosen) / len(samples) == pytest.approx(0.15, rel=0.02)
    per_unit = np.bincount(chosen % length // LONGEST_UNIT)
    assert per_unit.max() < 2 * np.median(per_unit)


def test_spans_are_runs_of_geometric_length() -> None:
    units = find_units("span", SAMPLES, np.zeros(len(SAMPLES), dtype=bool), seed=0, epoch=0)
    assert units.wholes.all()
    lengths = np.diff(np.flatnonzero(units.runs))
    assert lengths.mean() == pytest.approx(MEAN_SPAN, abs=0.1)
    for length in (1, 2, 3, 8):
        expected = (1 - 1 / MEAN_SPAN) ** (length - 1) / MEAN_SPAN
        assert (lengths == length).mean() == pytest.approx(expected, abs=0.01)
    chosen = choose_masked(SAMPLES, MASKABLE, units, probability=0.15, seed=0, epoch=0)
    neighbours = (np.diff(chosen) == 1).mean()
    assert neighbours > 0.5 > 3 * (np.diff(choose()) == 1).mean()


def test_a_chinese_character_is_a_word_of_its_own() -> None:
    units = find_units("word", np.zeros(4, dtype=np.int64), np.array([False] * 4), seed=0, epoch=0)
    assert units.wholes.all()  # no piece continues another
