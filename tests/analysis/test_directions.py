"""Laws of bias directions: what is taken out is gone, pairs lie on both sides of what is left, as the paper has it."""

import numpy as np
import pytest

from hf_embeddings.analysis.directions import bias_directions, equalized, projection, without
from hf_embeddings.analysis.separation import group_accuracy

RANDOM = np.random.default_rng(0)
FIRST, SECOND = RANDOM.normal(size=(2, 9, 12))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_directions_are_principal_components_of_each_pair_around_its_centre() -> None:
    directions, explained = bias_directions(FIRST, SECOND, 3)
    centred = np.concatenate([side - (FIRST + SECOND) / 2 for side in (FIRST, SECOND)])  # Bolukbasi et al., section 6
    values, vectors = np.linalg.eigh(centred.T @ centred)
    for row, direction in enumerate(directions):
        assert abs(direction @ vectors[:, -1 - row]) == pytest.approx(1)
    np.testing.assert_allclose(explained, values[::-1][:3] / values.sum())
    with pytest.raises(ValueError, match="2 directions: the pairs differ in 1; ask for fewer"):
        bias_directions(FIRST[:1], SECOND[:1], 2)


def test_what_is_taken_out_is_gone_and_nothing_else() -> None:
    directions, _ = bias_directions(FIRST, SECOND, 2)
    left = without(FIRST, directions)
    np.testing.assert_allclose(left @ directions.T, 0, atol=1e-12)
    np.testing.assert_allclose(left + (FIRST @ directions.T) @ directions, FIRST)
    np.testing.assert_allclose(FIRST @ projection(directions), left)


def test_equalized_pairs_are_those_of_the_paper() -> None:
    first, second = unit(FIRST), unit(SECOND)
    directions, _ = bias_directions(first, second, 2)
    ours = equalized(first, second, directions)
    for number in range(len(first)):
        middle = (first[number] + second[number]) / 2
        inside = directions.T @ (directions @ middle)
        outside = middle - inside
        for word, result in zip((first[number], second[number]), ours, strict=True):
            part = directions.T @ (directions @ word) - inside
            expected = outside + np.sqrt(1 - outside @ outside) * part / np.linalg.norm(part)
            np.testing.assert_allclose(result[number], expected)
    np.testing.assert_allclose(np.linalg.norm(ours[0], axis=1), 1)
    neutral = without(RANDOM.normal(size=(5, 12)), directions)
    np.testing.assert_allclose(neutral @ ours[0].T, neutral @ ours[1].T, atol=1e-12)  # as near to one as to the other


def test_a_classifier_finds_groups_that_are_there_and_no_others() -> None:
    labels = np.arange(200) % 2 == 0
    rows = RANDOM.normal(size=(200, 8))
    assert 0.35 < group_accuracy(rows, labels) < 0.65
    assert group_accuracy(rows + 3 * labels[:, None], labels) > 0.95
    rings = unit(rows)  # groups that no one direction tells apart
    rings[:, 0] = np.where(labels, 2, 0.1) * np.sign(rings[:, 0])
    assert group_accuracy(rings, labels) > 0.9
