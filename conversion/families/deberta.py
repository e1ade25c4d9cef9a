"""The first DeBERTa (https://arxiv.org/abs/2006.03654): one fused projection, and biases of query and value apart."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from hf_embeddings.conversion.families.deberta_v2 import DEBERTA_V2, DISENTANGLED
from hf_embeddings.conversion.rules import (
    Choice,
    Config,
    ConversionError,
    Key,
    Only,
    Operation,
    Tensors,
    Unread,
    Weight,
)

Fields = Mapping[str, Any]
PROJECTIONS = tuple(f"layers.{{}}.attention.{name}" for name in ("query", "key", "value"))
POSITIONS = ("layers.{}.attention.position.disentangled.key", "layers.{}.attention.position.disentangled.query")
KEYS = ("relative_attention", "position_biased_input", "pos_att_type", "max_relative_positions")


def _split_heads(tensors: Tensors, config: Fields, count: int) -> list[torch.Tensor]:
    """Cut rows that stand by head, and in a head by query, key and value."""
    fused = tensors[0]
    by_head = fused.view(config["num_attention_heads"], count, -1, fused.shape[1])  # (H, 3, K, D)
    return [part.reshape(-1, fused.shape[1]) for part in by_head.unbind(dim=1)]


def _join_heads(tensors: Tensors, config: Fields, count: int) -> list[torch.Tensor]:
    heads, width = config["num_attention_heads"], tensors[0].shape[1]
    return [torch.stack([tensor.view(heads, -1, width) for tensor in tensors], dim=1).reshape(-1, width)]


def _with_zeros(tensors: Tensors, config: Fields, count: int) -> list[torch.Tensor]:
    """Give projections that have no bias one of zeros: those of the keys, of tokens and of distances."""
    return [tensors[0], *(torch.zeros_like(tensors[0]) for _ in range(count - 1))]


def _without_zeros(tensors: Tensors, config: Fields, count: int) -> list[torch.Tensor]:
    first, *zeros = tensors
    if any(not zero.is_meta and bool(zero.any()) for zero in zeros):
        raise ConversionError("a bias of a key is not zero, and this family has none")
    return [first]


def _back(config: Config) -> Config:
    switches = DISENTANGLED.backward(config)
    needed = {"position_buckets": -1, "share_att_key": False, "norm_rel_ebd": "none"}
    if "c2p" not in switches["pos_att_type"]:
        raise ConversionError("position_parameters: disentangled.pos_att_type lacks 'c2p'; this table has it always")
    for key, value in needed.items():
        if switches[key] != value:
            raise ConversionError(f"position_parameters: disentangled.{key} is {switches[key]!r}; this family has none")
    return {key: switches[key] for key in KEYS}


DEFAULTS = {
    "vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072,
}  # fmt: skip

DEBERTA = replace(
    DEBERTA_V2,
    model_type="deberta",
    name="deberta",
    tokenizer_class="DebertaTokenizer",
    config=(
        *(
            replace(rule, default=DEFAULTS.get(rule.source, rule.default)) if isinstance(rule, Key) else rule
            for rule in DEBERTA_V2.config
            if not set(rule.sources) & {*KEYS, "conv_kernel_size"}
        ),
        Choice(
            KEYS,
            ("position_embedding_type", "position_parameters"),
            lambda config: DISENTANGLED.forward(config | {"position_buckets": -1, "norm_rel_ebd": "none"}),
            _back,
        ),
        Only("talking_head", (False,)),
        Unread(("position_buckets", "padding_idx")),
    ),
    encoder=(
        *(rule for rule in DEBERTA_V2.encoder if "self" not in rule.sources[0] and rule.source != "encoder.LayerNorm"),
        Weight(
            "encoder.layer.{}.attention.self.in_proj.weight",
            tuple(f"{name}.weight" for name in PROJECTIONS),
            Operation(_split_heads, _join_heads),
        ),
        Weight(
            "encoder.layer.{}.attention.self.q_bias",
            tuple(f"{name}.bias" for name in (*PROJECTIONS[:2], POSITIONS[0])),
            Operation(_with_zeros, _without_zeros),
        ),
        Weight("encoder.layer.{}.attention.self.v_bias", f"{PROJECTIONS[2]}.bias"),
        Weight("encoder.layer.{}.attention.self.pos_proj.weight", f"{POSITIONS[0]}.weight"),
        Weight("encoder.layer.{}.attention.self.pos_q_proj", POSITIONS[1]),
    ),
    heads={
        name.replace("V2", ""): head for name, head in DEBERTA_V2.heads.items() if not name.endswith("MultipleChoice")
    },
)
