"""What a model does with one text or pair: what its input sum is made of, and what its heads attend to.

Shapes: L layers, H heads, S tokens.
"""

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Encoding
from transformers import BatchEncoding, PreTrainedTokenizerBase

import hf_embeddings  # noqa: F401  registers TriEmbed with AutoModel
from hf_embeddings.analysis.input_sum import Part, decompose
from hf_embeddings.corpora.word_starts import token_labels
from hf_embeddings.loading.saved_model import load_saved_encoder, read_tokenizer
from hf_embeddings.search.text_model import check_ids, load_text_model, longest_input, read_inputs

MOST_TOKENS = 512  # whose attention is drawn


@dataclass(frozen=True)
class ProbedText:
    """The tokens that a model read of a text, as people write them."""

    tokens: list[str]  # S of them
    is_cut: bool  # whether the text was longer


@dataclass(frozen=True)
class TextSum(ProbedText):
    """What token, position and segment contribute to each input vector."""

    parts: dict[str, Part]
    segments: list[int]  # S rows of the segment table
    note: str = ""  # what is to be known of summands that are the same everywhere, or missing


@dataclass(frozen=True)
class TextAttention(ProbedText):
    """The attention weights of all heads."""

    weights: np.ndarray  # (L, H, S, S)


def probe_sum(folder: str, text: str, pair: str | None) -> TextSum:
    """Measure the parts of the input sum of a TriEmbed model.

    Raises:
        ValueError: the directory is damaged, or its weights are not finite.
    """
    model = load_saved_encoder(folder, add_pooling_layer=False)
    tokenizer = read_tokenizer(folder)
    batch = _read(tokenizer, text, pair, model.config.max_position_embeddings)
    check_ids(model, tokenizer, batch["input_ids"])
    with torch.no_grad():
        segment_ids = batch.get("token_type_ids") if model.config.type_vocab_size else None
        parts = model.embedding_parts(batch["input_ids"], token_type_ids=segment_ids)
    arrays = {
        name: part[0].expand(batch["input_ids"].shape[1], -1).numpy()
        for name, part in parts._asdict().items()
        if part is not None
    }
    segments = batch["token_type_ids"][0].tolist() if "token_type_ids" in batch else [0] * len(_encoding(batch))
    config = model.config
    note = _note(config.position_embedding_type, config.type_vocab_size, set(segments), set(arrays), pair is not None)
    return TextSum(_labels(tokenizer, batch, text, pair), _is_cut(batch), decompose(arrays), segments, note)


def _note(position: str, segment_rows: int, segments: set[int], parts: set[str], is_pair: bool) -> str:
    """Say why a summand is missing, or the same for all tokens."""
    notes = []
    if "position" not in parts:
        why = "the model has no positions" if position == "none" else f"{position} acts in the attention"
        notes.append(f"no position in the sum: {why}")
    if "segment" not in parts:
        notes.append("no segment in the sum: the model has none")
    elif len(segments) == 1:
        if segment_rows == 1:
            why = "the model has no other"
        else:
            why = "the tokenizer marks no segments" if is_pair else "there is one text"
        notes.append(f"segment {min(segments)} for all tokens: {why}")
    return "; ".join(notes)


def probe_attention(folder: str, text: str, pair: str | None) -> TextAttention:
    """Return the attention weights of a model that AutoModel loads.

    Raises:
        ValueError: the directory is damaged, or the model returns no weights.
    """
    model = load_text_model(folder, attn_implementation="eager").eval()
    tokenizer = read_tokenizer(folder)
    batch = _read(tokenizer, text, pair, min(longest_input(model, tokenizer), MOST_TOKENS))
    check_ids(model, tokenizer, batch["input_ids"])
    with torch.no_grad():
        attentions = model(**read_inputs(model, batch), output_attentions=True).attentions
    if not attentions or any(weights is None for weights in attentions):
        raise ValueError(f"{folder}: {type(model).__name__} returns no attention weights; choose another model")
    weights = torch.stack(attentions)[:, 0].numpy()
    return TextAttention(_labels(tokenizer, batch, text, pair), _is_cut(batch), weights)


def _read(tokenizer: PreTrainedTokenizerBase, text: str, pair: str | None, longest: int) -> BatchEncoding:
    return tokenizer(text, pair, return_tensors="pt", truncation=True, max_length=longest)


def _encoding(batch: BatchEncoding) -> Encoding:
    assert batch.encodings, "by a fast tokenizer"
    return batch.encodings[0]


def _is_cut(batch: BatchEncoding) -> bool:
    return bool(_encoding(batch).overflowing)


def _labels(tokenizer: PreTrainedTokenizerBase, batch: BatchEncoding, text: str, pair: str | None) -> list[str]:
    return token_labels(tokenizer, _encoding(batch), (text, pair or ""))
