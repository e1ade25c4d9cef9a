"""A static table from an encoder: each token by itself through the teacher, PCA, and a weight by frequency.

The method is that of model2vec (https://github.com/MinishLab/model2vec): a token stands alone between the special
tokens, and is pooled as the teacher pools. PCA takes away what all tokens share. The weight a / (a + p) of a token
with frequency p, "smooth inverse frequency" (https://openreview.net/forum?id=SyK00v5xx), keeps common words from
filling the mean.

Shapes: V tokens of the vocabulary, T tokens that texts can reach, W width of the teacher, D width of the table.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from hf_embeddings.search.encoder import Encoder

SMOOTHING = 1e-3  # a in a / (a + p), as in the paper
TOKENS_PER_CALL = 512
LEVELS = 127  # of an 8-bit row: -127 to 127


@dataclass(frozen=True)
class StaticTable:
    """A table in 8 bits: the vector of token t is `rows[t] * scales[t]`."""

    rows: np.ndarray  # (V, D) int8
    scales: np.ndarray  # (V,) fp32; 0 for tokens that stand for nothing: special, unknown and unused ones
    kept_variance: float  # share of the variance of the teacher's rows that the D directions hold

    def vectors(self) -> np.ndarray:
        """Return the table (V, D) in fp32."""
        return self.rows.astype(np.float32) * self.scales[:, None]


def ordinary_ids(tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Return the ids (T,) of tokens that stand for text: all but special and `[unused...]` ones."""
    special = {*tokenizer.all_special_ids}
    vocabulary = tokenizer.get_vocab()
    return np.array(
        sorted(i for token, i in vocabulary.items() if i not in special and not token.startswith("[unused")), dtype=int
    )


def token_vectors(
    teacher: Encoder, ids: np.ndarray, progress: Callable[[float], None] = lambda done: None
) -> np.ndarray:
    """Return what the teacher makes (T, W) of each token alone between the special tokens, at its full length."""
    around = teacher.tokenizer.backend_tokenizer.encode("").ids
    half = (len(around) + 1) // 2
    parts = []
    for start in range(0, len(ids), TOKENS_PER_CALL):
        rows = [[*around[:half], int(i), *around[half:]] for i in ids[start : start + TOKENS_PER_CALL]]
        with torch.inference_mode():
            parts.append(teacher.pool(rows).cpu().numpy())
        progress(len(rows))
    return np.concatenate(parts)


def principal_directions(vectors: np.ndarray, dimension: int) -> tuple[np.ndarray, float]:
    """Return vectors (T, W) less their mean in their D directions of most variance, and the share of it in those."""
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)  # ascending
    chosen = directions[:, ::-1][:, :dimension]
    return centred @ chosen, float(variances[::-1][:dimension].sum() / max(variances.sum(), 1e-30))


def zipf_frequencies(ids: np.ndarray) -> np.ndarray:
    """Return frequencies (T,) by the place of a token in the vocabulary, which most tokenizers order by frequency."""
    inverse = 1 / (np.arange(len(ids)) + 2.0)
    return inverse / inverse.sum()


def counted_frequencies(ids: np.ndarray, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> np.ndarray:
    """Return the frequencies (T,) of tokens in texts; a token that is in none counts half of one that is in one."""
    counts = np.zeros(int(ids.max()) + 1)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    for text in texts:
        found = np.array(backend.encode(text, add_special_tokens=False).ids, dtype=int)
        np.add.at(counts, found[found < len(counts)], 1)
    chosen = np.maximum(counts[ids], 0.5)
    return chosen / chosen.sum()


def build_table(
    vectors: np.ndarray, ids: np.ndarray, frequencies: np.ndarray, *, size: int, dimension: int
) -> StaticTable:
    """Return the table of V = `size` tokens from what a teacher makes (T, W) of the tokens `ids` (T,)."""
    directed, kept = principal_directions(vectors, dimension)
    largest = np.maximum(np.abs(directed).max(axis=1), 1e-12)
    rows = np.zeros((size, directed.shape[1]), np.int8)
    scales = np.zeros(size, np.float32)
    rows[ids] = np.round(directed / largest[:, None] * LEVELS).astype(np.int8)
    scales[ids] = largest / LEVELS * SMOOTHING / (SMOOTHING + frequencies)
    return StaticTable(rows, scales, kept)
