"""Hard debiasing of a token table: neutralize all rows but those of words that name a group, equalize the pairs.

Bolukbasi et al. 2016, https://arxiv.org/abs/1607.06520. Rows keep their lengths but for what is taken out, as what
follows the table is scaled by a norm. Shapes: V vocabulary, T width of the table, K directions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from hf_embeddings.analysis.directions import bias_directions, equalized, without
from hf_embeddings.corpora.word_pairs import WordPair
from hf_embeddings.corpora.word_starts import word_pieces
from hf_embeddings.model.modeling_triembed import TriEmbedPreTrainedModel


class TableChange(NamedTuple):
    """What was done to a table."""

    directions: np.ndarray  # (K, T)
    explained: np.ndarray  # (K,)
    used: list[tuple[str, str]]
    left_out: list[str]
    neutralized: int  # rows
    kept: int  # rows
    equalized: int  # pairs
    head: str | None


def debias_table(
    model: TriEmbedPreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[WordPair],
    *,
    dimensions: int,
    specific: Sequence[str],
) -> TableChange:
    """Change the token table of a model in place.

    Args:
        model: in fp32.
        tokenizer: of the model.
        pairs: of words; a pair counts where each of its words is one token.
        dimensions: K, the number of directions to take out.
        specific: further words that keep their rows, as they mean a group (such as `pregnant`).

    Raises:
        ValueError: fewer pairs than directions can be used.
    """
    rows, left_out = _pair_rows(tokenizer, pairs)
    if not rows:
        raise ValueError(
            f"--pairs: none of {len(pairs)} pairs is two tokens of the vocabulary, expected some; give other pairs, or "
            "take --of vectors"
        )
    weight = model.base_model.embeddings.token.weight
    table = weight.detach().double().numpy()  # (V, T)
    ids = np.array(list(rows))
    first, second = table[ids[:, 0]], table[ids[:, 1]]
    directions, explained = bias_directions(first, second, dimensions)
    kept = _kept_rows(tokenizer, specific) | set(ids.ravel().tolist())
    others = np.setdiff1d(np.arange(len(table)), sorted(kept))
    new = table.copy()
    new[others] = without(table[others], directions)
    apart = _disjoint(ids)
    new[apart[:, 0]], new[apart[:, 1]] = equalized(table[apart[:, 0]], table[apart[:, 1]], directions)
    with torch.no_grad():
        weight.copy_(torch.from_numpy(new))
    return TableChange(
        directions, explained, list(dict.fromkeys(rows.values())), left_out, len(others), len(kept), len(apart),
        _head(model, weight),
    )  # fmt: skip


def _pair_rows(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[WordPair]
) -> tuple[dict[tuple[int, int], tuple[str, str]], list[str]]:
    """Return the pairs by their rows, also in capitals where these are other tokens; and those that cannot be used."""
    rows: dict[tuple[int, int], tuple[str, str]] = {}
    left_out = []
    for pair in (pair[:2] for pair in pairs if pair[0] != pair[1]):
        found = False
        for write in (str, str.capitalize, str.upper):
            first, second = word_pieces(tokenizer, [write(word) for word in pair])
            if len(first) == len(second) == 1 and first != second and tokenizer.unk_token_id not in (*first, *second):
                if (second[0], first[0]) not in rows:
                    rows.setdefault((first[0], second[0]), (pair[0], pair[1]))
                found = True
        if not found:
            left_out.append(" ".join(pair))
    return rows, left_out


def _kept_rows(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> set[int]:
    """Return the rows of special tokens and of words that are one token, however their case is written."""
    forms = [form for word in words for form in {word, word.lower(), word.capitalize(), word.upper()}]
    pieces = word_pieces(tokenizer, forms)
    return {*tokenizer.all_special_ids, *(ids[0] for ids in pieces if len(ids) == 1)}


def _disjoint(ids: np.ndarray) -> np.ndarray:
    """Return the pairs (P, 2) without those that share a row with an earlier one."""
    seen: set[int] = set()
    chosen = []
    for pair in ids.tolist():
        if seen.isdisjoint(pair):
            chosen.append(pair)
            seen.update(pair)
    return np.array(chosen)


def _head(model: TriEmbedPreTrainedModel, table: torch.Tensor) -> str | None:
    """Say what became of the scores of tokens."""
    output = model.get_output_embeddings()
    if output is None:
        return None
    if output.weight is table:
        return "tied to the table: what the model predicts for [MASK] changes too"
    return "not tied to the table: its own rows are as they were"
