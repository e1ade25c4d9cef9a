"""Laws of selection: the first of equal documents stays, and of alike ones, whatever their number."""

import numpy as np
import pytest

from hf_embeddings.corpora import selection
from hf_embeddings.corpora.near_duplicates import SHINGLE_WORDS, bands, signatures
from hf_embeddings.corpora.selection import DROPPED, HELD_OUT, TRAINING, digests, select

random = np.random.default_rng(0)
WORDS = [f"w{number}" for number in range(500)] + [chr(0x4E00 + number) for number in range(200)]


def shingles(text: str) -> set[str]:
    words = text.replace("。", " ").split()
    return {" ".join(words[first : first + SHINGLE_WORDS]) for first in range(max(1, len(words) - SHINGLE_WORDS + 1))}


def jaccard(first: str, second: str) -> float:
    a, b = shingles(first), shingles(second)
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("per_pass", [7, 1 << 23])
def test_the_first_of_equal_documents_stays(monkeypatch: pytest.MonkeyPatch, per_pass: int) -> None:
    monkeypatch.setattr(selection, "KEYS_PER_PASS", per_pass)
    monkeypatch.setattr(selection, "ROWS_PER_READ", 5)
    texts = [f"text  {number % 13}" if number % 3 else f"text {number % 17} \n" for number in range(60)]
    roles = np.empty(len(texts), dtype=np.uint8)
    found = select(digests(texts), roles, fraction=0.2, place="x")
    seen: set[str] = set()
    for text, role in zip(texts, roles, strict=True):
        assert (role == DROPPED) == (" ".join(text.split()) in seen)
        seen.add(" ".join(text.split()))
    assert found == {"duplicates": 60 - len(seen)}


def test_alike_documents_are_found_and_others_are_kept() -> None:
    texts = [" ".join(random.choice(WORDS, 60)) for _ in range(150)]
    edited = []
    for text in texts[:100]:
        words = text.split()
        for place in random.choice(60, random.integers(0, 4), replace=False):
            words[place] = "changed"
        edited.append(" ".join(words) + " end")
    every = [*texts, *edited]
    roles = np.empty(len(every), dtype=np.uint8)
    found = select(digests(every), roles, fraction=0.1, signatures=signatures(every), threshold=0.8, place="x")
    assert (roles[:150] != DROPPED).all()
    true = np.array([jaccard(first, second) for first, second in zip(texts[:100], edited, strict=True)])
    dropped = roles[150:] == DROPPED
    assert dropped[true > 0.93].all() and not dropped[true < 0.65].any()
    assert (true > 0.93).sum() > 10 and (true < 0.65).sum() > 10
    assert found["near_duplicates"] == dropped.sum()


def test_bands_find_what_is_at_the_threshold() -> None:
    for threshold in (0.5, 0.7, 0.8, 0.9, 1.0):
        cut = bands(threshold)
        rows = cut[0].stop
        assert all(band.stop - band.start == rows for band in cut) and cut[-1].stop <= 128
        assert 1 - (1 - threshold**rows) ** len(cut) > 0.95


def test_sides_do_not_depend_on_order_or_company() -> None:
    texts = [f"a text of number {number}" for number in range(400)]
    sides = {}
    for some in (texts, texts[::-1], texts[:200]):
        roles = np.empty(len(some), dtype=np.uint8)
        select(digests(some), roles, fraction=0.1, place="x")
        assert set(roles) == {TRAINING, HELD_OUT}
        for text, role in zip(some, roles, strict=True):
            assert sides.setdefault(text, role) == role
