"""Vectors of words and texts from a model directory: contextual ones, or means of rows of the token table.

Shapes: N texts, V vocabulary, D hidden.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from hf_embeddings.corpora.word_starts import word_pieces
from hf_embeddings.evaluation.workload import texts_cost
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.loading.model_names import check_model
from hf_embeddings.search.encoder import Encoder

Source = Literal["contextual", "table"]
MOST_KEPT = 1 << 30  # bytes of vectors
GIVEN = "given"  # name of a prompt that stands before every text


@dataclass
class Vectors:
    """One way to turn text into vectors."""

    encoder: Encoder
    source: Source = "contextual"
    told: Callable[[float], None] = lambda cost: None  # of what was just encoded: see `texts_cost`
    _kept: dict[str, np.ndarray] = field(default_factory=dict)  # vectors that another measure asks for again

    @classmethod
    def load(
        cls, folder: str | Path, *, source: Source = "contextual", prompt: str | None = None, **recipe: Any
    ) -> "Vectors":
        """Load a directory that AutoModel reads; what the recipe leaves out or gives as None, the directory decides.

        Raises:
            ValueError: the directory holds no model, or the model has no such layer or pooling.
        """
        check_model(folder)
        settings = {name: value for name, value in recipe.items() if value is not None}
        # fp32 everywhere: a figure must not depend on the machine.
        with quiet_loading():  # a pooler left unused is no news here; missing weights still raise
            encoder = Encoder.load(folder, precision="fp32", **settings)
        if prompt is not None:
            encoder.recipe = replace(encoder.recipe, prompts={GIVEN: prompt}, default_prompt=GIVEN)
        return cls(encoder, source)

    @property
    def prompt(self) -> str:
        """What stands before every text: what was given, else the directory's default prompt."""
        return self.encoder.prefix(None)

    def encode(self, texts: Sequence[str], *, role: Literal["query", "document"] | None = None) -> np.ndarray:
        """Return the vectors (N, D) of texts: contextual ones, or means of rows of the table.

        Queries and documents get the prompts that the directory has for them, unless one was given for all texts.
        """
        if self.source == "table":
            return self._table_means(texts)
        prompt = None if GIVEN in self.encoder.recipe.prompts else role
        key = hashlib.sha256(repr((prompt, list(texts))).encode("utf-8", "surrogatepass")).hexdigest()
        if key not in self._kept:
            vectors = self.encoder.encode(texts, prompt=prompt, progress=self._progress(texts))
            if sum(array.nbytes for array in (vectors, *self._kept.values())) > MOST_KEPT:
                return vectors
            self._kept[key] = vectors
        return self._kept[key]

    def _progress(self, texts: Sequence[str]) -> Callable[[int], None]:
        """Return what tells the cost of so many more texts, which are encoded from the longest on."""
        costs = iter(sorted(texts_cost(texts, self.encoder.max_length), reverse=True))
        return lambda count: self.told(sum(islice(costs, count)))

    def unknown(self, texts: Sequence[str]) -> list[str]:
        """Return the texts that the vocabulary cannot spell: those with an unknown token, or with none at all."""
        return self.encoder.unknown(texts)

    def pieces_per_text(self, texts: Sequence[str]) -> float:
        """Return the mean number of tokens of a text."""
        return float(np.mean([len(ids) for ids in self.pieces(texts)]))

    @cached_property
    def table(self) -> np.ndarray:
        """The token table (V, D) in fp32."""
        embeddings = self.encoder.model.get_input_embeddings()
        assert isinstance(embeddings, torch.nn.Embedding), type(embeddings)
        return embeddings.weight.detach().float().numpy()

    @cached_property
    def tokens(self) -> list[str]:
        """The token of each row of the table; rows beyond the vocabulary have names of their own."""
        names = {index: token for token, index in self.encoder.tokenizer.get_vocab().items()}
        return [names.get(row, f"<row {row}>") for row in range(len(self.table))]

    @cached_property
    def unused(self) -> np.ndarray:
        """Rows that no text can reach: `[unused…]` tokens and rows beyond the vocabulary."""
        return np.array([row for row, token in enumerate(self.tokens) if token.startswith(("[unused", "<row "))], int)

    @torch.inference_mode()
    def layer_states(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the hidden states (tokens of all texts, D) of embeddings and layers, without special tokens."""
        tokenizer, model = self.encoder.tokenizer, self.encoder.model
        layers: list[list[np.ndarray]] = []
        for text in texts:
            batch = tokenizer(
                self.prompt + text, return_tensors="pt", truncation=True, max_length=self.encoder.max_length
            )
            special = torch.tensor(
                tokenizer.get_special_tokens_mask(batch["input_ids"][0], already_has_special_tokens=True)
            )
            states = model(batch["input_ids"], output_hidden_states=True).hidden_states
            layers = layers or [[] for _ in states]
            for parts, state in zip(layers, states, strict=True):
                parts.append(state[0][special == 0].float().numpy())
        return [np.concatenate(parts) for parts in layers]

    def pieces(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the token ids of each text, without special tokens."""
        rows = self.encoder.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [tuple(ids) for ids in rows]

    def _table_means(self, texts: Sequence[str]) -> np.ndarray:
        pieces = word_pieces(self.encoder.tokenizer, texts)  # "school" has another row inside of a word
        rows = [ids or [self.encoder.tokenizer.unk_token_id or 0] for ids in pieces]
        return np.stack([self.table[ids].mean(axis=0) for ids in rows])
