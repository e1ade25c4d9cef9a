"""Alignment undoes what is no change, and the parts of a sum add up to it."""

import numpy as np
from scipy.linalg import orthogonal_procrustes

from hf_embeddings.analysis.alignment import align, shared_plane
from hf_embeddings.analysis.input_sum import decompose

RANDOM = np.random.default_rng(0)


def test_a_turned_space_is_no_change() -> None:
    space = RANDOM.normal(size=(12, 6))
    turn = np.linalg.qr(RANDOM.normal(size=(6, 6)))[0]
    np.testing.assert_allclose(align(space @ turn + 3, space), space, atol=1e-10)


def test_alignment_is_scipys_procrustes_and_keeps_distances() -> None:
    first, second = RANDOM.normal(size=(9, 5)), RANDOM.normal(size=(9, 5))
    centred, target = first - first.mean(0), second - second.mean(0)
    np.testing.assert_allclose(
        align(first, second), centred @ orthogonal_procrustes(centred, target)[0] + second.mean(0), atol=1e-10
    )
    before, after = (np.linalg.norm(s[:, None] - s[None], axis=-1) for s in (first, align(first, second)))
    np.testing.assert_allclose(before, after, atol=1e-10)


def test_stages_are_seen_in_one_plane() -> None:
    last = RANDOM.normal(size=(10, 6)) * np.array([5, 3, 0.1, 0.1, 0.1, 0.1])
    turn = np.linalg.qr(RANDOM.normal(size=(6, 6)))[0]
    views = shared_plane([last @ turn, last @ turn.T, last])
    for view in views[:2]:
        np.testing.assert_allclose(view, views[2], atol=1e-8)
    assert views[2].shape == (10, 2) and views[2].var(axis=0)[0] > views[2].var(axis=0)[1]


def test_shares_of_the_sum_add_up_to_one() -> None:
    parts = {name: RANDOM.normal(size=(7, 16)) for name in ("token", "position", "segment")}
    measured = decompose(parts)
    np.testing.assert_allclose(sum(part.share for part in measured.values()), 1.0)
    total = sum(parts.values())
    for name, part in measured.items():
        for row in range(7):
            cosine = parts[name][row] @ total[row] / np.linalg.norm(parts[name][row]) / np.linalg.norm(total[row])
            assert np.isclose(part.cosine[row], cosine) and np.isclose(part.norm[row], np.linalg.norm(parts[name][row]))
