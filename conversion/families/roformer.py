"""RoFormer (https://arxiv.org/abs/2104.09864): BERT with RoPE, which turns neighbours where TriEmbed turns halves."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from hf_embeddings.conversion.families.bert import CLASSIFIER, LAYER, PREDICTIONS, QUESTION
from hf_embeddings.conversion.families.electra import factorised
from hf_embeddings.conversion.families.roberta import POOLED
from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import Choice, Computed, Fixed, Key, Only, Operation, Tensors, Weight


def _to_halves(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Move row 2i of each head to i and row 2i + 1 to i + K/2; scores do not depend on the order of dimensions."""
    return [
        _by_head(tensor, config, lambda heads: torch.cat((heads[:, 0::2], heads[:, 1::2]), dim=1)) for tensor in tensors
    ]


def _to_neighbours(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    return [
        _by_head(tensor, config, lambda heads: torch.stack(heads.chunk(2, dim=1), dim=2).flatten(1, 2))
        for tensor in tensors
    ]


def _by_head(
    tensor: torch.Tensor, config: Mapping[str, Any], change: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    heads = tensor.view(config["num_attention_heads"], -1, *tensor.shape[1:])  # (H, K, ...)
    return change(heads).reshape(tensor.shape)


def _sinusoids(config: Mapping[str, Any]) -> torch.Tensor:
    """Angles p / 10000^(2i/K), sines before cosines: the table from which RoFormer takes its rotations."""
    width = config["hidden_size"] // config["num_attention_heads"]
    exponents = 2 * torch.arange(width // 2, dtype=torch.float64) / width
    positions = torch.arange(config["max_position_embeddings"], dtype=torch.float64)
    angles = positions[:, None] / torch.pow(torch.tensor(10_000.0, dtype=torch.float64), exponents)
    return torch.cat((angles.sin(), angles.cos()), dim=1).float()


TURNED = Operation(_to_halves, _to_neighbours)

ROFORMER = Family(
    model_type="roformer",
    prefix="roformer",
    tokenizer_class="RoFormerTokenizer",
    config=(
        Key("vocab_size", 50000),
        Key("hidden_size", 768),
        factorised(None),
        Key("num_hidden_layers", 12),
        Key("num_attention_heads", 12),
        Key("intermediate_size", 3072),
        Key("hidden_act", "gelu"),
        Key("hidden_dropout_prob", 0.1),
        Key("attention_probs_dropout_prob", 0.1),
        Key("max_position_embeddings", 1536),
        Key("type_vocab_size", 2),
        Key("initializer_range", 0.02),
        Key("layer_norm_eps", 1e-12),
        Key("pad_token_id", 0),
        Key("bos_token_id", None),
        Key("eos_token_id", None),
        Key("tie_word_embeddings", True),
        Fixed("position_embedding_type", "rope"),
        Fixed("rope_parameters", {"rope_type": "default", "rope_theta": 10_000.0}),
        Only("rotary_value", (False,)),
        Only("is_decoder", (False,)),
        Only("add_cross_attention", (False,)),
        Only("pruned_heads", ({},)),
    ),
    encoder=(
        Weight("embeddings.word_embeddings", "embeddings.token"),
        Weight("embeddings.token_type_embeddings", "embeddings.segment"),
        Weight("embeddings.LayerNorm", "embeddings.norm"),
        Weight("embeddings_project", "embeddings.projection"),
        Weight("encoder.layer.{}.attention.self.query", "layers.{}.attention.query", TURNED),
        Weight("encoder.layer.{}.attention.self.key", "layers.{}.attention.key", TURNED),
        *LAYER[2:],
    ),
    heads={
        "RoFormerModel": Head("TriEmbedModel"),
        "RoFormerForMaskedLM": Head(
            "TriEmbedForMaskedLM",
            PREDICTIONS,
            {
                "cls.predictions.decoder.weight": "roformer.embeddings.word_embeddings.weight",
                "cls.predictions.decoder.bias": "cls.predictions.bias",
            },
        ),
        "RoFormerForSequenceClassification": Head(
            "TriEmbedForSequenceClassification",
            POOLED,
            config=(
                Choice(
                    ("hidden_act",),
                    ("hidden_act", "pooler_act"),
                    lambda config: dict.fromkeys(("hidden_act", "pooler_act"), config.get("hidden_act", "gelu")),
                    lambda config: {"hidden_act": config["hidden_act"]},
                ),
            ),
        ),
        "RoFormerForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
        "RoFormerForQuestionAnswering": Head("TriEmbedForQuestionAnswering", QUESTION),
    },
    computed=(Computed("encoder.embed_positions.weight", _sinusoids),),
)
