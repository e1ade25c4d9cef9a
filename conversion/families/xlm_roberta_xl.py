"""XLM-RoBERTa XL and XXL (https://arxiv.org/abs/2105.00572): RoBERTa with the norms before the sub-layers."""

from dataclasses import replace

from hf_embeddings.conversion.families.roberta import XLM_ROBERTA
from hf_embeddings.conversion.rules import Fixed, Key, Weight

DEFAULTS = {
    "vocab_size": 250880, "hidden_size": 2560, "num_hidden_layers": 36, "num_attention_heads": 32,
    "intermediate_size": 10240, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
}  # fmt: skip
NORMS = {
    "layers.{}.attention_norm": "encoder.layer.{}.attention.self_attn_layer_norm",
    "layers.{}.feed_forward_norm": "encoder.layer.{}.LayerNorm",
}

XLM_ROBERTA_XL = replace(
    XLM_ROBERTA,
    model_type="xlm-roberta-xl",
    name="xlm-roberta-xl",
    config=(
        *(
            replace(rule, default=DEFAULTS.get(rule.source, rule.default)) if isinstance(rule, Key) else rule
            for rule in XLM_ROBERTA.config
        ),
        Fixed("norm_position", "pre"),
        Fixed("embedding_norm", False),
    ),
    encoder=(
        *(
            replace(rule, source=NORMS.get(rule.targets[0], rule.source))
            for rule in XLM_ROBERTA.encoder
            if rule.target != "embeddings.norm"
        ),
        Weight("encoder.LayerNorm", "final_norm"),
    ),
    heads={name.replace("XLMRoberta", "XLMRobertaXL"): head for name, head in XLM_ROBERTA.heads.items()},
)
