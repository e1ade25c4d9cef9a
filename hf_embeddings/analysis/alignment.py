"""Lay spaces over each other: training turns a space as a whole, and only what remains after that is change.

Shapes: N points, D width.
"""

import numpy as np


def align(vectors: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Turn and mirror (N, D) so that it lies as near as possible to `onto` (N, D); distances within stay as they are.

    Orthogonal Procrustes (Schönemann 1966), on centred vectors; the result has the mean of `onto`.
    """
    centred_vectors, target = vectors - vectors.mean(axis=0), onto - onto.mean(axis=0)
    left, _, right = np.linalg.svd(centred_vectors.T @ target)
    return centred_vectors @ (left @ right) + onto.mean(axis=0)


def shared_plane(spaces: list[np.ndarray]) -> list[np.ndarray]:
    """Return (N, 2) views of (N, D) spaces: each aligned with the next, all seen in the plane of the last one's PCA."""
    aligned_spaces = [spaces[-1]]
    for space in reversed(spaces[:-1]):
        aligned_spaces.insert(0, align(space, aligned_spaces[0]))
    centre = aligned_spaces[-1].mean(axis=0)
    plane = np.linalg.svd(aligned_spaces[-1] - centre, full_matrices=False)[2][:2]  # (2, D)
    return [(space - centre) @ plane.T for space in aligned_spaces]
