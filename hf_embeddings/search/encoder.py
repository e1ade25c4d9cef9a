"""Texts to vectors: a model, its tokenizer and its recipe, run on batches of texts of near length.

Shapes: N texts, B texts of one batch, S tokens of the longest of them, T tokens of all of them, D hidden.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput

from hf_embeddings.model.modeling_triembed import TriEmbedModel
from hf_embeddings.search.pooling import POOLINGS
from hf_embeddings.search.precision import PRECISIONS, choose_precision
from hf_embeddings.search.recipe import Recipe, read_recipe
from hf_embeddings.stored_weights import check_finite

TOKENS_PER_BATCH = 4096  # enough to keep the matrix units busy, and small enough that activations stay in the caches
TEXTS_PER_WINDOW = 16384  # texts are sorted by length within a window: 16k leave 1 % of padding, and bound the memory

# Outputs of a model, and the function that reads their hidden states as (T, D).
Hidden = tuple[BaseModelOutput, Callable[[torch.Tensor], torch.Tensor]]


class Encoder:
    """Turn texts into vectors with a model directory; the same text gives the same vector whatever stands beside it.

    (Up to rounding: the last bits of a sum depend on the shape of the batch.)
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        recipe: Recipe | None = None,
        *,
        precision: str = "auto",
        tokens_per_batch: int = TOKENS_PER_BATCH,
    ) -> None:
        """Take a loaded encoder; a `precision` other than fp32 changes it in place.

        The default is bf16 where the device multiplies that faster than fp32, else fp32 (`hardware.py`).

        Raises:
            ValueError: the tokenizer is no fast one, or precision, layer or length do not fit the model.
        """
        precision = choose_precision(precision, model.device).name
        if not tokenizer.is_fast:
            raise ValueError(f"{type(tokenizer).__name__} is no fast tokenizer; save it as tokenizer.json first")
        self.recipe = recipe or Recipe()
        PRECISIONS[precision](model.eval())  # in place
        self.model = model
        self.tokenizer = tokenizer
        self.precision = precision
        self.tokens_per_batch = tokens_per_batch
        self.max_length = _max_length(model, tokenizer, self.recipe.max_length)
        self.dimension = model.config.hidden_size
        self.truncated = 0  # texts that were longer than max_length so far
        layers = model.config.num_hidden_layers
        if self.recipe.layer is not None and not -layers - 1 <= self.recipe.layer <= layers:
            raise ValueError(
                f"layer {self.recipe.layer}: expected {-layers - 1} to {layers}, as the model has {layers}"
            )

    @classmethod
    def load(cls, source: str | Path, *, precision: str = "auto", device: str = "cpu", **overrides: Any) -> "Encoder":
        """Load a model directory or Hub id; `overrides` are fields of `Recipe` that beat what the directory states."""
        import hf_embeddings  # noqa: F401  registers TriEmbed with AutoModel

        choose_precision(precision, device)  # a mistake shows before the work
        folder = Path(source)
        recipe = read_recipe(folder) if folder.is_dir() else Recipe()
        tokenizer = AutoTokenizer.from_pretrained(source)
        # Attention weights are not needed, and a pooler would be computed for nothing.
        model = AutoModel.from_pretrained(source, dtype=torch.float32, add_pooling_layer=False).to(device)
        check_finite(model.named_parameters(), source)
        return cls(model, tokenizer, dataclasses.replace(recipe, **overrides), precision=precision)

    def encode(
        self, texts: Sequence[str], *, prompt: str | None = None, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Return the vectors (N, D) of texts in fp32; `progress` is called with the number of texts just done."""
        if isinstance(texts, str):
            raise ValueError("texts: got one string, expected a list of them; write [text]")
        windows = list(self.encode_stream(texts, prompt=prompt, progress=progress))
        return np.concatenate(windows) if windows else np.empty((0, self.dimension), np.float32)

    def encode_stream(
        self, texts: Iterable[str], *, prompt: str | None = None, progress: Callable[[int], None] | None = None
    ) -> Iterator[np.ndarray]:
        """Yield the vectors of texts window by window, in their order and in bounded memory."""
        prefix = self.prefix(prompt)
        remaining = iter(texts)
        while window := [prefix + text for text in islice(remaining, TEXTS_PER_WINDOW)]:
            yield self._encode_window(window, progress)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has before truncation, special ones included."""
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        return [len(encoding) for encoding in backend.encode_batch_fast(list(texts))]

    def prefix(self, prompt: str | None) -> str:
        """Return the prompt of that name, or nothing where the model has no prompts for queries and documents."""
        prompts = self.recipe.prompts
        if prompt is None or (prompt in ("query", "document") and prompt not in prompts):
            return ""
        if prompt not in prompts:
            raise ValueError(
                f"prompt {prompt!r}: expected one of {', '.join(prompts) or 'none, as the model has none'}"
            )
        return prompts[prompt]

    @torch.inference_mode()
    def _encode_window(self, texts: list[str], progress: Callable[[int], None] | None) -> np.ndarray:
        ids = self._tokenize(texts)
        lengths = np.array([len(row) for row in ids])
        order = np.argsort(-lengths, kind="stable")  # longest first: if memory is short, it shows at once
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for batch in _batches(order, lengths, self.tokens_per_batch):
            vectors[batch] = self._encode_batch([ids[i] for i in batch]).cpu().numpy()
            if progress is not None:
                progress(len(batch))
        return vectors

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        backend = self.tokenizer.backend_tokenizer
        backend.no_padding()
        backend.enable_truncation(self.max_length)
        encodings = backend.encode_batch_fast(texts)
        self.truncated += sum(bool(encoding.overflowing) for encoding in encodings)
        return [encoding.ids for encoding in encodings]

    def _encode_batch(self, ids: list[list[int]]) -> torch.Tensor:
        """Return the vectors (B, D) of tokenized texts."""
        hidden, lengths = self._hidden_states(ids)
        vectors = POOLINGS[self.recipe.pooling](hidden, lengths)
        return torch.nn.functional.normalize(vectors, dim=-1) if self.recipe.normalize else vectors

    def _hidden_states(self, ids: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the hidden states (T, D) of all tokens, text after text, and the lengths (B,) of the texts."""
        lengths = torch.tensor([len(row) for row in ids])
        tokens = torch.tensor([token for row in ids for token in row])
        every_layer = self.recipe.layer is not None
        run = _packed if isinstance(self.model, TriEmbedModel) else _padded
        output, flatten = run(self.model, tokens, lengths, output_hidden_states=every_layer)
        hidden = output.last_hidden_state
        if self.recipe.layer is not None and output.hidden_states is not None:
            hidden = output.hidden_states[self.recipe.layer]
        assert hidden is not None, "every encoder has it"
        return flatten(hidden), lengths.to(hidden.device)


def _packed(model: PreTrainedModel, tokens: torch.Tensor, lengths: torch.Tensor, **options: bool) -> Hidden:
    """Run texts one after the other in a single row, and return how to read its hidden states (1, T, D) as (T, D)."""
    boundaries = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).to(model.device, torch.int32)
    output = model(tokens[None].to(model.device), cu_seq_lens_q=boundaries, **options)
    return output, lambda hidden: hidden[0]


def _padded(model: PreTrainedModel, tokens: torch.Tensor, lengths: torch.Tensor, **options: bool) -> Hidden:
    """Run texts as rows of one length, and return how to read the hidden states (B, S, D) of real tokens as (T, D)."""
    mask = torch.arange(int(lengths.max())) < lengths[:, None]  # (B, S)
    padded = torch.full(mask.shape, model.config.pad_token_id or 0)
    padded[mask] = tokens
    mask = mask.to(model.device)
    output = model(padded.to(model.device), attention_mask=mask.long(), **options)
    return output, lambda hidden: hidden[mask]


def _batches(order: np.ndarray, lengths: np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    """Cut texts sorted by falling length into batches of at most `tokens` tokens, padding counted, or of one text."""
    start = 0
    while start < len(order):
        size = max(1, tokens // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size


def _max_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asked: int | None) -> int:
    """Return how many tokens a text may have, from model, tokenizer and what was asked for."""
    limits = [getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length]
    possible = min(limit for limit in limits if limit)
    if asked is not None and asked > possible:
        raise ValueError(f"max_length {asked}: the model takes {possible} tokens at most; ask for that or fewer")
    return int(asked or min(possible, 8192))
