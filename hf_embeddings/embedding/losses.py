"""The losses of sentence-transformers by their names in the options, and the columns that each of them reads."""

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses
from torch import nn
from transformers import BertConfig, BertLMHeadModel

from hf_embeddings.embedding.options import UNLABELLED, EmbeddingOptions, LossName, LossOptions
from hf_embeddings.embedding.rows import Row
from hf_embeddings.embedding.sentence_model import encoder_of
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.randomness import random_floats

ANCHOR, POSITIVE, NEGATIVE, SCORE = "anchor", "positive", "negative", "score"  # columns of the dataset
BOTH_WAYS = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}


def build_loss(options: LossOptions, model: SentenceTransformer) -> nn.Module:
    """Return the loss of a model.

    Raises:
        ValueError: the model is narrower than a Matryoshka width.
    """
    width = int(encoder_of(model).config.hidden_size)
    if (widest := max(options.matryoshka, default=0)) > width:
        raise ValueError(f"loss.matryoshka: got {widest}, the vectors have {width}; lower it")
    loss = LOSSES[options.name](options, model)
    widths = sorted({width, *options.matryoshka}, reverse=True)  # without the full width, that would go untrained
    return losses.MatryoshkaLoss(model, loss, widths) if options.matryoshka else loss


def _multiple_negatives(options: LossOptions, model: SentenceTransformer) -> nn.Module:
    ways: dict[str, Any] = BOTH_WAYS if options.symmetric else {}
    return losses.MultipleNegativesRankingLoss(model, scale=options.scale, **ways)


def _cached(options: LossOptions, model: SentenceTransformer) -> nn.Module:
    return losses.CachedMultipleNegativesRankingLoss(
        model, scale=options.scale, mini_batch_size=options.mini_batch_size
    )


def _cosent(options: LossOptions, model: SentenceTransformer) -> nn.Module:
    return losses.CoSENTLoss(model, scale=options.scale)


def _denoising(options: LossOptions, model: SentenceTransformer) -> nn.Module:
    """Return TSDAE (https://arxiv.org/abs/2104.06979) in its untied form.

    The tied decoder would be the encoder with a causal mask and attention to the vector, which TriEmbed has not. This
    one is a small BERT of the same width; it begins with the encoder's token table, else at random.
    """
    encoder = encoder_of(model)
    width = int(encoder.config.hidden_size)
    config = BertConfig(
        vocab_size=encoder.config.vocab_size,
        hidden_size=width,
        num_hidden_layers=options.decoder_layers,
        num_attention_heads=encoder.config.num_attention_heads,
        intermediate_size=encoder.config.intermediate_size,
        max_position_embeddings=max(512, model.max_seq_length or 0),
        pad_token_id=model.tokenizer.pad_token_id,
        is_decoder=True,
        add_cross_attention=True,
    )
    decoder = BertLMHeadModel(config)
    table: Any = encoder.get_input_embeddings()
    own: Any = decoder.get_input_embeddings()
    if own.weight.shape == table.weight.shape:
        with torch.no_grad():
            own.weight.copy_(table.weight)
    with tempfile.TemporaryDirectory() as folder, quiet_loading():  # the loss takes its decoder from a directory only
        decoder.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        loss = losses.DenoisingAutoEncoderLoss(model, decoder_name_or_path=folder, tie_encoder_decoder=False)
    loss.need_retokenization = False  # it is the encoder's tokenizer, whatever class it was read back as
    return loss


LOSSES: dict[LossName, Callable[[LossOptions, SentenceTransformer], nn.Module]] = {
    "multiple_negatives": _multiple_negatives,
    "cached_multiple_negatives": _cached,
    "cosent": _cosent,
    "simcse": _multiple_negatives,
    "tsdae": _denoising,
}


def make_dataset(options: EmbeddingOptions, rows: Sequence[Row], passes: int) -> Dataset:
    """Return what the trainer of sentence-transformers reads; of `tsdae`, `passes` copies with other noise in each."""
    name = options.loss.name
    if name in UNLABELLED:
        texts = list(dict.fromkeys(text for row in rows for text in row.texts))
        if name == "simcse":
            return Dataset.from_dict({ANCHOR: texts, POSITIVE: texts})
        noisy = [damaged(text, options.loss.noise, options.seed, n) for n in range(passes) for text in texts]
        return Dataset.from_dict({"noisy": noisy, "text": texts * passes})
    columns: dict[str, list[Any]] = {
        _column(number): [row.texts[number] for row in rows] for number in range(len(rows[0].texts))
    }
    if name == "cosent":
        columns[SCORE] = [row.score for row in rows]
    return Dataset.from_dict(columns)


def damaged(text: str, share: float, seed: int, number: int) -> str:
    """Return a text without about this share of its words, the same in every call; one word at least is left."""
    words = text.split()
    floats = random_floats(seed, f"noise {text}", number, np.arange(len(words)))
    kept = [word for word, draw in zip(words, floats, strict=True) if draw >= share]
    return " ".join(kept or [words[int(floats[0] * len(words))]])


def prompts_by_column(options: EmbeddingOptions, columns: Sequence[str]) -> dict[str, str]:
    """Return what stands before the texts of each column."""
    first, rest = options.prompts.query, options.prompts.document
    given = {column: first if column == ANCHOR else rest for column in columns if column != SCORE}
    if options.loss.name in UNLABELLED:
        given = dict.fromkeys(given, rest)
    return {column: prompt for column, prompt in given.items() if prompt}


def _column(number: int) -> str:
    return (ANCHOR, POSITIVE)[number] if number < 2 else f"{NEGATIVE}_{number - 1}"
