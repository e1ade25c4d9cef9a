"""Projections keep what they promise: PCA variance, the others neighbourhoods; the same seed gives the same picture."""

import numpy as np
import pytest

from hf_embeddings.visualization.projections import PROJECTIONS, project

RANDOM = np.random.default_rng(0)
CENTRES = np.repeat(RANDOM.normal(size=(3, 20)) * 4, 30, axis=0)
BLOBS = (CENTRES + RANDOM.normal(size=CENTRES.shape)).astype(np.float32)
LABELS = np.repeat(np.arange(3), 30)
QUICK = ["pca", "tsne"]
COMPILED = [pytest.param(name, marks=pytest.mark.slow) for name in ("umap", "pacmap")]  # numba: a minute at first


def test_pca_is_the_singular_value_decomposition() -> None:
    centred = BLOBS - BLOBS.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(project(BLOBS, "pca")), np.abs(left[:, :2] * values[:2]), atol=1e-3)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("method", [*QUICK, *COMPILED])
def test_groups_stay_together(method: str, dimensions: int) -> None:
    points = project(BLOBS, method, dimensions=dimensions, seed=1)
    assert points.shape == (90, dimensions) and np.isfinite(points).all()
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argsort(axis=1)[:, :5]
    assert (LABELS[nearest] == LABELS[:, None]).mean() > 0.9


@pytest.mark.parametrize("method", [*QUICK, *COMPILED])
def test_the_same_seed_gives_the_same_picture(method: str) -> None:
    np.testing.assert_array_equal(project(BLOBS, method, seed=3), project(BLOBS, method, seed=3))


@pytest.mark.parametrize("method", [*QUICK, *COMPILED])
def test_a_handful_of_words_works(method: str) -> None:
    assert project(BLOBS[:16], method).shape == (16, 2)


def test_too_few_points_and_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="use pca"):
        project(BLOBS[:4], "tsne")
    with pytest.raises(ValueError, match="give more words"):
        project(BLOBS[:2], "pca")
    with pytest.raises(ValueError, match=", ".join(PROJECTIONS)):
        project(BLOBS, "mds")
    with pytest.raises(ValueError, match="expected 2 or 3"):
        project(BLOBS, "pca", dimensions=4)


@pytest.mark.parametrize("method", PROJECTIONS)
def test_vectors_that_cannot_be_told_apart_or_are_no_numbers_are_refused(method: str) -> None:
    with pytest.raises(ValueError, match="got 20 equal vectors"):
        project(np.ones((20, 4)), method)
    with pytest.raises(ValueError, match="NaN or infinity"):
        project(np.where(np.eye(20, 4), np.inf, BLOBS[:20, :4]), method)
