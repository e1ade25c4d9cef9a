"""Alibaba's own code of GTE (gte v1.5, gte-multilingual): the weights of `gte` under an older config."""

from dataclasses import replace
from typing import Any

from hf_embeddings.conversion.families.gte import GTE
from hf_embeddings.conversion.rules import Choice, Config, ConversionError, Only, Unread


def _rope(config: Config) -> Config:
    """Read the angles: fixed NTK scaling (https://kexue.fm/archives/9706) is a larger base and a linear factor."""
    theta, scaling = float(config.get("rope_theta", 10_000.0)), config.get("rope_scaling")
    if scaling is None:
        return {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}
    kind, factor = scaling.get("type", scaling.get("rope_type")), float(scaling.get("factor", 1.0))
    if kind != "ntk" or scaling.get("mixed_b") is not None:
        raise ConversionError(f"config: rope_scaling is {scaling!r}, and this table is for type 'ntk' without mixed_b")
    width = config["hidden_size"] // config["num_attention_heads"]
    linear: dict[str, Any] = {"rope_type": "linear", "rope_theta": theta * factor, "factor": factor ** (2 / width)}
    return {"rope_parameters": linear}


NEW = replace(
    GTE,
    model_type="new",
    name="new",
    tokenizer_class="PreTrainedTokenizerFast",
    config=(
        *(rule for rule in GTE.config if "rope_parameters" not in rule.targets),
        Choice(("rope_theta", "rope_scaling"), ("rope_parameters",), _rope, lambda config: {}),
        Only("position_embedding_type", ("rope",)),
        Only("layer_norm_type", ("layer_norm",)),
        Only("logn_attention_scale", (False,)),
        Unread((
            "pack_qkv", "unpad_inputs", "use_memory_efficient_attention", "logn_attention_clip1",
        )),
    ),
    today_as=GTE,
)  # fmt: skip
