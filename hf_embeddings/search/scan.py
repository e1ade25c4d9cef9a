"""Exact search by reading one byte a feature: 8-bit codes rule rows out, a proven bound says which may be ruled out.

A vector v is stored twice: in fp32, and as a code c of 8-bit integers times a scale s. Of a query q two 7-bit codes are
taken, the second of what the first leaves over. With r = v - s c and e = q - q', for any row

    |q.v - q'.(s c)| <= |q| |r| + |e| |s c|        (Cauchy-Schwarz)

so a row whose upper bound stays below the k-th best lower bound is not among the best k. The few others are scored from
the fp32 vectors in double precision. The scan is bound by memory, and reads a quarter of the bytes.

Shapes: N rows, D features, Q queries, K results.
"""

from dataclasses import dataclass

import numpy as np
import torch

BLOCK_ROWS = 32768  # rows multiplied at once: bounds the memory, and keeps all that follows in the caches
# Largest number in the code of a query. Processors without VNNI add two 8-bit products in 16 bits, and cut off what
# does not fit without a word. 2 * 255 * 64 fits (255: the other factor is shifted to be unsigned).
QUERY_LEVELS = 63
_ROUNDING = 1e-5  # relative: fp32 arithmetic on the approximate scores and bounds errs by less


@dataclass(frozen=True)
class Codes:
    """8-bit codes of vectors."""

    codes: np.ndarray  # (N, D) int8
    scales: np.ndarray  # (N, 3) fp32: the scale s, and the lengths |r| of what the code misses and |s c| of the rest


def quantize(vectors: np.ndarray) -> Codes:
    """Return the codes of vectors (N, D)."""
    vectors = vectors.astype(np.float32, copy=False)
    scale = np.abs(vectors).max(axis=1, initial=0.0) / 127
    codes = np.rint(vectors / np.where(scale > 0, scale, 1)[:, None]).astype(np.int8)
    decoded_vectors = codes * scale[:, None].astype(np.float64)
    errors = np.linalg.norm(vectors - decoded_vectors, axis=1)
    return Codes(codes, np.stack([scale, errors, np.linalg.norm(decoded_vectors, axis=1)], axis=1).astype(np.float32))


def exact_scores(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the dot products (Q, N) in double precision, the definition of a score here."""
    return queries.astype(np.float64) @ vectors.astype(np.float64).T


def search_exactly(
    queries: np.ndarray, vectors: np.ndarray, index_codes: Codes, k: int, is_allowed: np.ndarray | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each query (Q, D) the rows and scores of the k largest dot products, best first, ties by row.

    `is_allowed` (N,) leaves out the rows where it is False. Fewer than k rows come back only where fewer are allowed.
    """
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    scans = [_Scan(query, k) for query in queries]
    codes = torch.from_numpy(index_codes.codes)
    columns = torch.from_numpy(np.concatenate([scan.columns for scan in scans], axis=1))  # (D, 2Q)
    for start in range(0, len(codes), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        products = torch._int_mm(codes[rows], columns)  # (B, 2Q) int32, exact
        scales = torch.from_numpy(index_codes.scales[rows])
        keep = None if is_allowed is None else torch.from_numpy(is_allowed[rows])
        for number, scan in enumerate(scans):
            scan.take(start, products[:, 2 * number : 2 * number + 2], scales, keep)
    return [scan.finish(vectors) for scan in scans]


class _Scan:
    """One query on its way through the rows: the candidates so far and the k-th best lower bound."""

    def __init__(self, query: np.ndarray, k: int) -> None:
        self.query, self.k = query, k
        first, coarse = _code(query)
        second, fine = _code(query - first * coarse)
        self.columns = np.stack([first, second], axis=1)
        self.steps = (float(coarse), float(fine))
        decoded_query = first * np.float64(coarse) + second * np.float64(fine)
        self.missed, self.length = (float(np.linalg.norm(part)) for part in (query - decoded_query, query))
        self.threshold = -np.inf
        self.rows, self.lower, self.upper = np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32)

    def take(self, start: int, products: torch.Tensor, scales: torch.Tensor, keep: torch.Tensor | None) -> None:
        """Keep those of a block of rows that may still be among the best k."""
        size = products.shape[0]
        scores = (products[:, 0].float() * self.steps[0]).add_(products[:, 1].float(), alpha=self.steps[1])
        scores.mul_(scales[:, 0])
        bounds = scales[:, 1] * (self.length * (1 + _ROUNDING))
        bounds.add_(scales[:, 2], alpha=self.missed + _ROUNDING * self.length)
        upper = scores + bounds
        if keep is not None:
            upper.masked_fill_(~keep, -torch.inf)
        if not np.isfinite(self.threshold):
            lower = scores - bounds if keep is None else (scores - bounds).masked_fill_(~keep, -torch.inf)
            if size >= self.k:
                self.threshold = float(lower.topk(self.k).values[-1])
        survivors = (upper >= max(self.threshold, torch.finfo(torch.float32).min)).nonzero()[:, 0]
        self.rows = np.concatenate([self.rows, survivors.numpy() + start])
        self.upper = np.concatenate([self.upper, upper[survivors].numpy()])
        self.lower = np.concatenate([self.lower, (scores[survivors] - bounds[survivors]).numpy()])
        if len(self.rows) > self.k:
            self.threshold = max(self.threshold, float(np.partition(self.lower, -self.k)[-self.k]))
            still = self.upper >= self.threshold
            self.rows, self.upper, self.lower = self.rows[still], self.upper[still], self.lower[still]

    def finish(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Score the candidates exactly and return the best rows (K,) and their scores (K,)."""
        scores = exact_scores(self.query[None], vectors[self.rows])[0]
        best = np.lexsort((self.rows, -scores))[: self.k]
        return self.rows[best], scores[best]


def _code(vector: np.ndarray) -> tuple[np.ndarray, np.float32]:
    step = np.float32(np.abs(vector).max(initial=0.0) / QUERY_LEVELS) or np.float32(1)
    return np.rint(vector / step).astype(np.int8), step
