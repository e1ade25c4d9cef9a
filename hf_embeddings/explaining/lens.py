"""Which words a hidden state is nearest to: what the MLM head makes of it, or the nearest rows of the token table.

Shapes: N states, D width, V vocabulary, K words.
"""

from functools import cached_property
from typing import Literal

import torch

from hf_embeddings.explaining.encoder import LoadedEncoder
from hf_embeddings.explaining.explanation import Word
from hf_embeddings.explaining.vocabulary import Vocabulary

ROWS = 128  # states that are compared with the vocabulary at once


class Lens:
    """The words of states, by one of two ways."""

    def __init__(self, loaded: LoadedEncoder, vocabulary: Vocabulary) -> None:
        self.loaded, self.vocabulary = loaded, vocabulary

    @property
    def kind(self) -> Literal["head", "table"]:
        """What gives the words."""
        return "table" if self.loaded.head is None else "head"

    @torch.no_grad()
    def scores(self, states: torch.Tensor) -> torch.Tensor:
        """Return what finished states (N, D) say of the vocabulary (N, V).

        Probabilities of the MLM head; without one, cosines with the rows of the token table.
        """
        if self.loaded.head is not None:
            scores: torch.Tensor = self.loaded.head(states)
            return scores.softmax(dim=-1)
        return torch.nn.functional.normalize(states, dim=-1) @ self._unit_table.T

    def words(self, states: torch.Tensor, count: int) -> list[list[Word]]:
        """Return the words with the highest scores for states (N, D), the best first."""
        return [words for part in states.split(ROWS) for words in self.best(self.scores(part), count)]

    def best(self, scores: torch.Tensor, count: int) -> list[list[Word]]:
        """Return the words with the highest of scores (N, V), the best first."""
        known = scores[:, : len(self.vocabulary)]  # tables may have rows beyond the tokenizer's
        best = known.topk(min(count, known.shape[1]), dim=-1)
        return [
            [(self.vocabulary.label(row), value) for row, value in zip(rows, values, strict=True)]
            for rows, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    @cached_property
    def _unit_table(self) -> torch.Tensor:
        embeddings = self.loaded.encoder.embeddings
        rows = embeddings.token.weight
        if rows.shape[1] != self.loaded.encoder.config.hidden_size:
            rows = embeddings.projection(rows)
        return torch.nn.functional.normalize(rows, dim=-1)
