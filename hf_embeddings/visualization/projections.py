"""From many dimensions to two or three: PCA, t-SNE, UMAP, PaCMAP, each by its well-kept library.

Shapes: N points, D width, P 2 or 3.
"""

import logging
from collections.abc import Callable

import numpy as np

from hf_embeddings.printable import counted

Projection = Callable[[np.ndarray, int, int], np.ndarray]


def pca(vectors: np.ndarray, dimensions: int, seed: int) -> np.ndarray:
    """Keep the directions of greatest variance: fast, faithful to large distances."""
    from sklearn.decomposition import PCA

    return PCA(dimensions, random_state=seed).fit_transform(vectors)


def tsne(vectors: np.ndarray, dimensions: int, seed: int) -> np.ndarray:
    """Keep neighbourhoods by openTSNE (https://arxiv.org/abs/1712.09005); distances between groups mean little."""
    from openTSNE import TSNE

    few = len(vectors) < 500
    model = TSNE(
        dimensions, perplexity=min(30, (len(vectors) - 1) / 3), metric="cosine", random_state=seed,
        neighbors="exact" if few else "approx", negative_gradient_method="bh" if few or dimensions > 2 else "fft",
    )  # fmt: skip
    return np.asarray(model.fit(vectors))


def umap(vectors: np.ndarray, dimensions: int, seed: int) -> np.ndarray:
    """Keep neighbourhoods and some of the whole by UMAP (https://arxiv.org/abs/1802.03426); seeded, so one thread."""
    from umap import UMAP

    few = len(vectors) <= 4 * dimensions
    neighbours = min(15, len(vectors) - 1)
    model = UMAP(
        neighbours, n_components=dimensions, metric="cosine", random_state=seed, n_jobs=1,
        init="random" if few else "spectral",
    )  # fmt: skip
    return model.fit_transform(vectors)


def pacmap(vectors: np.ndarray, dimensions: int, seed: int) -> np.ndarray:
    """Keep near, middle and far relations by PaCMAP (https://arxiv.org/abs/2012.04456)."""
    from pacmap import PaCMAP

    logging.getLogger("pacmap").setLevel(logging.ERROR)  # it warns of every seed
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return PaCMAP(dimensions, n_neighbors=min(10, len(vectors) // 3), random_state=seed).fit_transform(unit)


NAMES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP", "pacmap": "PaCMAP"}  # as people write them
PROJECTIONS: dict[str, tuple[Projection, int]] = {
    "pca": (pca, 3),
    "tsne": (tsne, 5),
    "umap": (umap, 5),
    "pacmap": (pacmap, 12),
}


def project(vectors: np.ndarray, method: str, *, dimensions: int = 2, seed: int = 0) -> np.ndarray:
    """Return the points (N, P) of vectors (N, D).

    Raises:
        ValueError: an unknown method, too few points for it, or vectors that are equal or no numbers.
    """
    if method not in PROJECTIONS:
        raise ValueError(f"method: got {method!r}, expected one of {', '.join(PROJECTIONS)}")
    if dimensions not in (2, 3):
        raise ValueError(f"dimensions: got {dimensions}, expected 2 or 3")
    function, least = PROJECTIONS[method]
    if len(vectors) <= max(least, dimensions):
        enough = next((name for name, (_, n) in PROJECTIONS.items() if len(vectors) > max(n, dimensions)), None)
        cure = f"use {enough}" if enough else "give more words"
        points = counted(len(vectors), "point")
        raise ValueError(f"{method}: got {points}, expected more than {max(least, dimensions)}; {cure}")
    if not np.isfinite(vectors).all():
        raise ValueError(
            f"{method}: got vectors with NaN or infinity, expected numbers; check the weights of the model"
        )
    if (vectors == vectors[0]).all():
        raise ValueError(f"{method}: got {len(vectors)} equal vectors, expected different ones; give other words")
    return np.asarray(function(np.ascontiguousarray(vectors, dtype=np.float32), dimensions, seed), dtype=np.float32)
