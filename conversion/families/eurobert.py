"""EuroBERT (https://arxiv.org/abs/2503.05500): pre-norm, RMS norms, RoPE and a SiLU gate, without biases.

Heads that several queries share become one for each query: the outputs are the same. Its language modeling head, one
linear layer without a transform, has no counterpart; the encoder of such a checkpoint is converted with --head Model.
"""

from collections.abc import Mapping
from typing import Any

import torch

from hf_embeddings.conversion.families.bert import CLASSIFIER
from hf_embeddings.conversion.families.rope import rope
from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import (
    Choice,
    Config,
    ConversionError,
    Fixed,
    Key,
    Only,
    Operation,
    Tensors,
    Unread,
    Weight,
    copy,
)

BOS = {"bos": "cls", "mean": "mean"}


def _pooling(config: Config) -> Config:
    pooling = config.get("classifier_pooling", "late")
    if pooling not in BOS:
        raise ConversionError(
            f"config: classifier_pooling is {pooling!r}, and TriEmbed can hold 'bos' or 'mean' only; 'late' takes the "
            "mean of the logits"
        )
    return {"classifier_pooling": BOS[pooling]}


def _to_each(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Repeat the rows of each shared head for each query head that reads it."""
    shared = tensors[0]
    width = config["hidden_size"] // config["num_attention_heads"]
    heads = shared.view(-1, width, *shared.shape[1:])
    repeats = config["num_attention_heads"] // heads.shape[0]
    return [heads.repeat_interleave(repeats, dim=0).flatten(0, 1)]


GROUPED = Operation(_to_each, copy)

EUROBERT = Family(
    model_type="eurobert",
    prefix="model",
    tokenizer_class="PreTrainedTokenizerFast",
    config=(
        Key("vocab_size", 128256),
        Key("hidden_size", 768),
        Key("num_hidden_layers", 12),
        Key("num_attention_heads", 12),
        Key("intermediate_size", 3072),
        Key("hidden_act", "silu"),
        Key("attention_dropout", 0.0, "attention_probs_dropout_prob"),
        Key("max_position_embeddings", 8192),
        Key("initializer_range", 0.02),
        Key("rms_norm_eps", 1e-5, "layer_norm_eps"),
        Key("attention_bias", False),
        Key("mlp_bias", False),
        Key("bos_token_id", 128000),
        Key("eos_token_id", 128001),
        Key("pad_token_id", 128001),
        Key("tie_word_embeddings", False),
        rope(10_000.0),
        Choice(
            ("num_key_value_heads",),
            (),
            lambda config: {},
            lambda config: {"num_key_value_heads": config["num_attention_heads"]},
        ),
        Fixed("position_embedding_type", "rope"),
        Fixed("type_vocab_size", 0),
        Fixed("norm_position", "pre"),
        Fixed("norm_type", "rms"),
        Fixed("norm_bias", False),
        Fixed("embedding_norm", False),
        Fixed("feed_forward_type", "gated"),
        Fixed("hidden_dropout_prob", 0.0),
        Unread((
            "mask_token_id", "pretraining_tp", "clf_pooling", "classifier_pooling", "head_dim", "bos_token",
            "eos_token", "pad_token", "mask_token",
        )),
        Only("hidden_dropout", (0.0,)),
    ),
    encoder=(
        Weight("embed_tokens", "embeddings.token"),
        Weight("layers.{}.self_attn.q_proj", "layers.{}.attention.query"),
        Weight("layers.{}.self_attn.k_proj", "layers.{}.attention.key", GROUPED),
        Weight("layers.{}.self_attn.v_proj", "layers.{}.attention.value", GROUPED),
        Weight("layers.{}.self_attn.o_proj", "layers.{}.attention.out"),
        Weight("layers.{}.input_layernorm", "layers.{}.attention_norm"),
        Weight("layers.{}.mlp.gate_proj", "layers.{}.feed_forward.gate"),
        Weight("layers.{}.mlp.up_proj", "layers.{}.feed_forward.up"),
        Weight("layers.{}.mlp.down_proj", "layers.{}.feed_forward.down"),
        Weight("layers.{}.post_attention_layernorm", "layers.{}.feed_forward_norm"),
        Weight("norm", "final_norm"),
    ),
    heads={
        "EuroBertModel": Head("TriEmbedModel"),
        "EuroBertForSequenceClassification": Head(
            "TriEmbedForSequenceClassification",
            (Weight("dense", "triembed.pooler.dense"), *CLASSIFIER),
            config=(
                Fixed("pooler_act", "gelu"),
                Choice(
                    ("classifier_pooling",),
                    ("classifier_pooling",),
                    _pooling,
                    lambda config: {"classifier_pooling": {"cls": "bos", "mean": "mean"}[config["classifier_pooling"]]},
                ),
            ),
        ),
        "EuroBertForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
    },
)  # fmt: skip
