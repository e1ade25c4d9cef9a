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
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput

from hf_embeddings.loading.saved_model import read_tokenizer
from hf_embeddings.loading.static_model import StaticModel
from hf_embeddings.model.modeling_triembed import TriEmbedModel
from hf_embeddings.search.batches import batches
from hf_embeddings.search.dense import read_projection
from hf_embeddings.search.pooling import POOLINGS, without_prompts
from hf_embeddings.search.precision import PRECISIONS, choose_encoding_precision, pack_weights
from hf_embeddings.search.recipe import Recipe
from hf_embeddings.search.recipe_files import dense_folders, read_recipe, recipe_folder
from hf_embeddings.search.text_model import check_ids, ignores_padding, load_text_model, longest_input, reads_mask
from hf_embeddings.search.tokenizer_rules import leave_bare, read_lowercase, refuse_segments
from hf_embeddings.search.word_cache import WordCache, cuts_at_spaces

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
        projection: nn.Module | None = None,
    ) -> None:
        """Take a loaded encoder, and perhaps a map of pooled vectors; a `precision` but fp32 changes it in place.

        The default is bf16 where the device multiplies that faster than fp32, else fp32 (`hardware.py`).

        Raises:
            ValueError: the tokenizer is no fast one, or precision, layer or length do not fit the model.
        """
        precision = choose_encoding_precision(precision, model.device).name
        if not tokenizer.is_fast:
            raise ValueError(f"{type(tokenizer).__name__} is no fast tokenizer; save it as tokenizer.json first")
        self.recipe = recipe or Recipe()
        if self.recipe.lowercase:
            read_lowercase(tokenizer)
        tokenizer.backend_tokenizer.no_padding()  # which a tokenizer.json may ask for
        refuse_segments(tokenizer)
        self.max_length = _max_length(model, tokenizer, self.recipe.max_length)
        self.packs = isinstance(model, TriEmbedModel | StaticModel)
        some = tokenizer.backend_tokenizer.encode("a b c").ids
        check_ids(model, tokenizer, torch.tensor(some))
        self.alike = not self.packs and not ignores_padding(model.eval(), some, self.max_length)
        PRECISIONS[precision](model.eval())  # in place
        self.model = model
        self.tokenizer = tokenizer
        self.precision = precision
        self.tokens_per_batch = tokens_per_batch
        self.words = None
        if isinstance(model, StaticModel) and cuts_at_spaces(tokenizer.backend_tokenizer):
            self.words = WordCache(tokenizer.backend_tokenizer, model.embeddings.weight)
        self.projection = projection
        self.width = int(model.config.hidden_size)
        if projection is not None:
            self.width = len(projection(torch.zeros(1, self.width))[0])
        self.dimension = min(self.width, self.recipe.dimension or self.width)
        self.truncated = 0  # texts that were longer than max_length so far
        layers = model.config.num_hidden_layers
        if self.recipe.layer is not None and not -layers - 1 <= self.recipe.layer <= layers:
            raise ValueError(
                f"layer {self.recipe.layer}: expected {-layers - 1} to {layers}, as the model has {layers}"
            )

    @classmethod
    def load(cls, source: str | Path, *, precision: str = "auto", device: str = "cpu", **overrides: Any) -> "Encoder":
        """Load a model directory or Hub id; `overrides` are fields of `Recipe` that beat what the directory states.

        Raises:
            ValueError: the directory states a recipe that is not known here, or holds no encoder of text.
        """
        import hf_embeddings  # noqa: F401  registers TriEmbed with AutoModel

        choose_encoding_precision(precision, device)  # a mistake shows before the work
        folder = Path(source) if Path(source).is_dir() else recipe_folder(str(source))
        recipe = Recipe() if folder is None else read_recipe(folder, dense=True)
        model: Any = load_text_model(source)  # transformers types `to` as of another class
        tokenizer = read_tokenizer(source)
        if isinstance(model, StaticModel):
            leave_bare(tokenizer)
        if recipe.max_length is not None:  # what a directory states for a table whose first rows are never used
            recipe = dataclasses.replace(recipe, max_length=min(recipe.max_length, longest_input(model, tokenizer)))
        places = [] if folder is None else dense_folders(folder)
        projection = read_projection(places, model.config.hidden_size)
        other = overrides.get("layer") is not None or overrides.get("pooling", recipe.pooling) != recipe.pooling
        if projection is not None and other:
            raise ValueError(
                f"{source}: got another layer or pooling, expected those that it states, as {places[0].name} maps the "
                "vectors that they give; leave both out"
            )
        whole = dataclasses.replace(recipe, **overrides)
        encoder = cls(model.to(device), tokenizer, whole, precision=precision, projection=projection)
        if (count := overrides.get("dimension")) and count > encoder.width:
            raise ValueError(f"dimension {count}: the vectors have {encoder.width}; ask for that or fewer")
        if encoder.precision == "fp32":  # of a model that nobody else has
            pack_weights(encoder.model)
        return encoder

    def encode(
        self, texts: Sequence[str], *, prompt: str | None = None, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Return the vectors (N, D) of texts in fp32.

        Args:
            texts: N of them.
            prompt: the name of the prompt that stands before each; None for the recipe's default one, if any.
            progress: is called with the number of texts just done.
        """
        if isinstance(texts, str):
            raise ValueError("texts: got one string, expected a list of them; write [text]")
        windows = list(self.encode_stream(texts, prompt=prompt, progress=progress))
        return np.concatenate(windows) if windows else np.empty((0, self.dimension), np.float32)

    def encode_stream(
        self, texts: Iterable[str], *, prompt: str | None = None, progress: Callable[[int], None] | None = None
    ) -> Iterator[np.ndarray]:
        """Yield the vectors of texts window by window, in their order and in bounded memory."""
        prefix, prompt_tokens = self._prompt(prompt)
        remaining = iter(texts)
        while window := [prefix + text for text in islice(remaining, TEXTS_PER_WINDOW)]:
            yield self._encode_window(window, prompt_tokens, progress)

    def tokenize(self, texts: Sequence[str], prompt: str | None = None) -> tuple[list[list[int]], int]:
        """Return the ids of texts for `encode_ids`, cut to `max_length`, and how many are those of the prompt."""
        prefix, prompt_tokens = self._prompt(prompt)
        return self._tokenize([prefix + text for text in texts]), prompt_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has before truncation, special ones included."""
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        return [len(encoding) for encoding in backend.encode_batch_fast(list(texts))]

    def special_ids(self) -> tuple[list[int], list[int]]:
        """Return the ids that the tokenizer puts before a text, and those after it."""
        backend = self.tokenizer.backend_tokenizer
        own, whole = (backend.encode("a", add_special_tokens=special).ids for special in (False, True))
        start = next(place for place in range(len(whole)) if whole[place : place + len(own)] == own)
        return whole[:start], whole[start + len(own) :]

    def unknown(self, texts: Sequence[str]) -> list[str]:
        """Return the texts that the vocabulary cannot spell: those with an unknown token, or with none at all."""
        rows = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"] if texts else []
        unk = self.tokenizer.unk_token_id
        return [text for text, ids in zip(texts, rows, strict=True) if not ids or unk in ids]

    def prefix(self, prompt: str | None) -> str:
        """Return the prompt of that name: see `Recipe.prompt`."""
        return self.recipe.prompt(prompt)

    def _prompt(self, prompt: str | None) -> tuple[str, int]:
        """Return the prompt of that name, and how many tokens, with the special ones before it, are not pooled."""
        prefix = self.prefix(prompt)
        if self.recipe.include_prompt or not prefix:
            return prefix, 0
        ids = self._tokenize([prefix])[0]
        return prefix, len(ids) - (ids[-1] in self.tokenizer.all_special_ids)

    def _encode_window(
        self, texts: list[str], prompt_tokens: int, progress: Callable[[int], None] | None
    ) -> np.ndarray:
        """Return the vectors (N, D) of texts, without pooling the first `prompt_tokens` tokens of each."""
        if self.words is not None and not prompt_tokens and self.recipe.pooling == "mean":
            known = self.words.means(texts)
            if known is not None and known[1].max(initial=0) <= self.max_length:
                if progress is not None:
                    progress(len(texts))
                return self.scale(known[0]).numpy()
        ids = self._tokenize(texts)
        return self.encode_ids(ids, [prompt_tokens] * len(ids) if prompt_tokens else None, progress=progress)

    @torch.inference_mode()
    def encode_ids(
        self,
        ids: Sequence[Sequence[int]],
        prompt_tokens: Sequence[int] | None = None,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Return the vectors (N, D) of tokenized texts in fp32.

        Args:
            ids: of N texts as the model reads them, special tokens included, none longer than `max_length`.
            prompt_tokens: how many of the first tokens of each are not pooled; None for none.
            progress: is called with the number of texts just done.
        """
        lengths = np.array([len(row) for row in ids])
        order = np.argsort(-lengths, kind="stable")  # longest first: if memory is short, it shows at once
        vectors = np.empty((len(ids), self.dimension), np.float32)
        for batch in batches(order, lengths, self.tokens_per_batch, alike=self.alike):
            left_out = None if prompt_tokens is None else torch.tensor([prompt_tokens[i] for i in batch])
            vectors[batch] = self._encode_batch([ids[i] for i in batch], left_out).cpu().numpy()
            if progress is not None:
                progress(len(batch))
        return vectors

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        backend = self.tokenizer.backend_tokenizer
        backend.no_padding()
        backend.enable_truncation(self.max_length, direction=self.tokenizer.truncation_side)
        encodings = backend.encode_batch_fast(texts)
        self.truncated += sum(bool(encoding.overflowing) for encoding in encodings)
        return [encoding.ids for encoding in encodings]

    def _encode_batch(self, ids: Sequence[Sequence[int]], prompt_tokens: torch.Tensor | None) -> torch.Tensor:
        """Return the vectors (B, D) of tokenized texts."""
        return self.scale(self.pool(ids, prompt_tokens))

    def scale(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return pooled vectors (B, W) as the directory maps, scales and cuts them: (B, D)."""
        if self.projection is not None:
            vectors = self.projection.to(vectors.device)(vectors.float())
        if self.recipe.normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        vectors = vectors[:, : self.dimension]
        return torch.nn.functional.normalize(vectors, dim=-1) if self.recipe.rescale else vectors

    def pool(self, ids: Sequence[Sequence[int]], prompt_tokens: torch.Tensor | None = None) -> torch.Tensor:
        """Return the pooled vectors (B, W) of tokenized texts at their full width, before any scaling."""
        hidden, lengths = self.hidden_states(ids)
        if prompt_tokens is not None:
            hidden, lengths = without_prompts(hidden, lengths, prompt_tokens.to(lengths.device))
        return POOLINGS[self.recipe.pooling](hidden, lengths)

    def hidden_states(self, ids: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the hidden states (T, D) of all tokens, text after text, and the lengths (B,) of the texts."""
        lengths = torch.tensor([len(row) for row in ids])
        tokens = torch.tensor([token for row in ids for token in row], dtype=torch.long)
        check_ids(self.model, self.tokenizer, tokens)
        every_layer = self.recipe.layer is not None
        run = _packed if self.packs else _padded
        output, flatten = run(self.model, tokens, lengths, output_hidden_states=every_layer)
        hidden = output.last_hidden_state
        if self.recipe.layer is not None and output.hidden_states is not None:
            hidden = output.hidden_states[self.recipe.layer]
        assert hidden is not None, "every encoder has it"
        return flatten(hidden), lengths.to(hidden.device)


def _packed(model: PreTrainedModel, tokens: torch.Tensor, lengths: torch.Tensor, **options: bool) -> Hidden:
    """Run texts one after the other in a single row, and return how to read its hidden states (1, T, D) as (T, D)."""
    if len(lengths) == 1:  # nothing to keep apart
        return model(tokens[None].to(model.device), **options), lambda hidden: hidden[0]
    boundaries = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).to(model.device, torch.int32)
    output = model(tokens[None].to(model.device), cu_seq_lens_q=boundaries, **options)
    return output, lambda hidden: hidden[0]


def _padded(model: PreTrainedModel, tokens: torch.Tensor, lengths: torch.Tensor, **options: bool) -> Hidden:
    """Run texts as rows of one length, and return how to read the hidden states (B, S, D) of real tokens as (T, D)."""
    mask = torch.arange(int(lengths.max())) < lengths[:, None]  # (B, S)
    rows = torch.full(mask.shape, model.config.pad_token_id or 0)
    rows[mask] = tokens
    mask = mask.to(model.device)
    mask_argument = {"attention_mask": mask.long()} if reads_mask(model) else {}
    output = model(rows.to(model.device), **mask_argument, **options)
    return output, lambda hidden: hidden[mask]


def _max_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, choice: int | None) -> int:
    """Return how many tokens a text may have, from model, tokenizer and what was asked for."""
    possible = longest_input(model, tokenizer)
    if choice is not None and choice > possible:
        raise ValueError(f"max_length {choice}: the model takes {possible} tokens at most; ask for that or fewer")
    return choice or possible
