"""The names, shapes and config keys of published checkpoints, and twins of them: the same with small random weights.

A line of a layout is `NAME SHAPE`: `D,D+` is a matrix (D, D) and a bias (D), `D+` a norm, `V,D` a table; `!` before a
name stands for a parameter that is no `.weight`; `=NAME` repeats another one. `{}` is the number of a layer.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

SIZES = {"V": 99, "D": 32, "P": 40, "R": 42, "T": 2, "F": 64, "E": 16, "L": 3, "3D": 96, "2F": 128, "1": 1, "2": 2,
         "16": 16, "6": 6, "80": 80}  # fmt: skip
LAYERS = 2

LAYER = """
encoder.layer.{}.attention.self.query D,D+
encoder.layer.{}.attention.self.key D,D+
encoder.layer.{}.attention.self.value D,D+
encoder.layer.{}.attention.output.dense D,D+
encoder.layer.{}.attention.output.LayerNorm D+
encoder.layer.{}.intermediate.dense F,D+
encoder.layer.{}.output.dense D,F+
encoder.layer.{}.output.LayerNorm D+
"""
BERT = f"""
embeddings.word_embeddings V,D
embeddings.position_embeddings P,D
embeddings.token_type_embeddings T,D
embeddings.LayerNorm D+
{LAYER}"""
ROBERTA = BERT.replace(" P,D", " R,D").replace(" T,D", " 1,D")
POOLER = "pooler.dense D,D+\n"
MLM = "cls.predictions.transform.dense D,D+\ncls.predictions.transform.LayerNorm D+\n!cls.predictions.bias V\n"
NSP = "cls.seq_relationship 2,D+\n"
LM_HEAD = "lm_head.dense D,D+\nlm_head.layer_norm D+\n!lm_head.bias V\n"
NEOBERT = """
model.encoder V,D
model.transformer_encoder.{}.qkv 3D,D
model.transformer_encoder.{}.wo D,D
model.transformer_encoder.{}.attention_norm D
model.transformer_encoder.{}.ffn_norm D
model.transformer_encoder.{}.ffn.w12 2F,D
model.transformer_encoder.{}.ffn.w3 D,F
model.layer_norm D
decoder V,D+
"""
MPNET = """
embeddings.word_embeddings V,D
embeddings.position_embeddings R,D
embeddings.LayerNorm D+
encoder.relative_attention_bias 32,H
encoder.layer.{}.attention.attn.q D,D+
encoder.layer.{}.attention.attn.k D,D+
encoder.layer.{}.attention.attn.v D,D+
encoder.layer.{}.attention.attn.o D,D+
encoder.layer.{}.attention.LayerNorm D+
encoder.layer.{}.intermediate.dense F,D+
encoder.layer.{}.output.dense D,F+
encoder.layer.{}.output.LayerNorm D+
""".replace("32,H", "32,4")
DISTILBERT = """
embeddings.word_embeddings V,D
embeddings.position_embeddings P,D
embeddings.LayerNorm D+
transformer.layer.{}.attention.q_lin D,D+
transformer.layer.{}.attention.k_lin D,D+
transformer.layer.{}.attention.v_lin D,D+
transformer.layer.{}.attention.out_lin D,D+
transformer.layer.{}.sa_layer_norm D+
transformer.layer.{}.ffn.lin1 F,D+
transformer.layer.{}.ffn.lin2 D,F+
transformer.layer.{}.output_layer_norm D+
"""
DEBERTA_V3 = """
embeddings.word_embeddings V,D
embeddings.LayerNorm D+
encoder.rel_embeddings 16,D
encoder.LayerNorm D+
encoder.layer.{}.attention.self.query_proj D,D+
encoder.layer.{}.attention.self.key_proj D,D+
encoder.layer.{}.attention.self.value_proj D,D+
""" + "\n".join(LAYER.splitlines()[4:])  # fmt: skip
DEBERTA_REST = """
deberta.embeddings.position_embeddings P,D
lm_predictions.lm_head.dense D,D+
lm_predictions.lm_head.LayerNorm D+
!lm_predictions.lm_head.bias V
"""
DEBERTA_V3_REST = (
    DEBERTA_REST
    + """
mask_predictions.dense D,D+
mask_predictions.LayerNorm D+
mask_predictions.classifier 1,D+
"""
)
DEBERTA = """
embeddings.word_embeddings V,D
embeddings.LayerNorm D+
encoder.rel_embeddings 80,D
!encoder.layer.{}.attention.self.in_proj.weight 3D,D
!encoder.layer.{}.attention.self.q_bias D
!encoder.layer.{}.attention.self.v_bias D
encoder.layer.{}.attention.self.pos_proj D,D
encoder.layer.{}.attention.self.pos_q_proj D,D+
""" + "\n".join(LAYER.splitlines()[4:])  # fmt: skip
MODERNBERT = """
embeddings.tok_embeddings V,D
embeddings.norm D
layers.{}.attn.Wqkv 3D,D
layers.{}.attn.Wo D,D
layers.1.attn_norm D
layers.{}.mlp.Wi 2F,D
layers.{}.mlp.Wo D,F
layers.{}.mlp_norm D
final_norm D
"""
NOMIC = """
embeddings.word_embeddings V,D
embeddings.token_type_embeddings T,D
emb_ln D+
encoder.layers.{}.attn.Wqkv 3D,D
encoder.layers.{}.attn.out_proj D,D
encoder.layers.{}.norm1 D+
encoder.layers.{}.mlp.fc11 F,D
encoder.layers.{}.mlp.fc12 F,D
encoder.layers.{}.mlp.fc2 D,F
encoder.layers.{}.norm2 D+
"""
NEW = """
embeddings.word_embeddings V,D
embeddings.LayerNorm D+
encoder.layer.{}.attention.qkv_proj 3D,D+
encoder.layer.{}.attention.o_proj D,D+
encoder.layer.{}.attn_ln D+
encoder.layer.{}.mlp.up_gate_proj 2F,D
encoder.layer.{}.mlp.down_proj D,F+
encoder.layer.{}.mlp_ln D+
"""
JINA_V2 = """
embeddings.word_embeddings V,D
embeddings.token_type_embeddings T,D
embeddings.LayerNorm D+
encoder.layer.{}.attention.self.query D,D+
encoder.layer.{}.attention.self.key D,D+
encoder.layer.{}.attention.self.value D,D+
encoder.layer.{}.attention.output.dense D,D+
encoder.layer.{}.attention.output.LayerNorm D+
encoder.layer.{}.mlp.gated_layers 2F,D
encoder.layer.{}.mlp.wo D,F+
encoder.layer.{}.mlp.layernorm D+
pooler.dense D,D+
"""
JINA_V2_QK = JINA_V2.replace("mlp.gated_layers", "mlp.up_gated_layer").replace("mlp.wo", "mlp.down_layer").replace(
    "encoder.layer.{}.mlp.layernorm D+",
    "encoder.layer.{}.attention.self.layer_norm_q D+\nencoder.layer.{}.attention.self.layer_norm_k D+\n"
    "encoder.layer.{}.layer_norm_1 D+\nencoder.layer.{}.layer_norm_2 D+",
)  # fmt: skip
JINA_V3 = """
embeddings.word_embeddings V,D
embeddings.token_type_embeddings 1,D
emb_ln D+
encoder.layers.{}.mixer.Wqkv 3D,D+
encoder.layers.{}.mixer.out_proj D,D+
encoder.layers.{}.norm1 D+
encoder.layers.{}.mlp.fc1 F,D+
encoder.layers.{}.mlp.fc2 D,F+
encoder.layers.{}.norm2 D+
pooler.dense D,D+
"""
ALBERT = """
embeddings.word_embeddings V,E
embeddings.position_embeddings P,E
embeddings.token_type_embeddings T,E
embeddings.LayerNorm E+
encoder.embedding_hidden_mapping_in D,E+
encoder.albert_layer_groups.0.albert_layers.0.full_layer_layer_norm D+
encoder.albert_layer_groups.0.albert_layers.0.attention.query D,D+
encoder.albert_layer_groups.0.albert_layers.0.attention.key D,D+
encoder.albert_layer_groups.0.albert_layers.0.attention.value D,D+
encoder.albert_layer_groups.0.albert_layers.0.attention.dense D,D+
encoder.albert_layer_groups.0.albert_layers.0.attention.LayerNorm D+
encoder.albert_layer_groups.0.albert_layers.0.ffn F,D+
encoder.albert_layer_groups.0.albert_layers.0.ffn_output D,F+
pooler D,D+
"""
ALBERT_MLM = "predictions.dense E,D+\npredictions.LayerNorm E+\n!predictions.bias V\n" + (
    "!predictions.decoder.weight =albert.embeddings.word_embeddings.weight\n"
)
EUROBERT = """
embed_tokens V,D
layers.{}.self_attn.q_proj D,D
layers.{}.self_attn.k_proj D,D
layers.{}.self_attn.v_proj D,D
layers.{}.self_attn.o_proj D,D
layers.{}.input_layernorm D
layers.{}.mlp.gate_proj F,D
layers.{}.mlp.up_proj F,D
layers.{}.mlp.down_proj D,F
layers.{}.post_attention_layernorm D
norm D
"""
XLM_R_XL = ROBERTA.replace("embeddings.LayerNorm D+", "encoder.LayerNorm D+").replace(
    "attention.output.LayerNorm", "attention.self_attn_layer_norm"
).replace("{}.output.LayerNorm", "{}.LayerNorm")  # fmt: skip
ELECTRA_HEAD = "discriminator_predictions.dense D,D+\ndiscriminator_predictions.dense_prediction 1,D+\n"


def adapted(layout: str) -> str:
    """Put adapters for two tasks, of rank 4, beside each matrix and each table of a layout."""
    lines = []
    for line in layout.splitlines():
        name, _, shape = line.partition(" ")
        rows, _, width = shape.rstrip("+").partition(",")
        if not width:
            lines.append(line)
            continue
        sizes = (f"2,{rows},4", f"2,4,{width}") if "_embeddings" in name else (f"2,4,{width}", f"2,{rows},4")
        start = f"!{name}.parametrizations.weight"
        lines += [f"{start}.original {rows},{width}", f"{start}.0.lora_A {sizes[0]}", f"{start}.0.lora_B {sizes[1]}"]
        lines += [f"!{name}.bias {rows}"] if shape.endswith("+") else []
    return "\n".join(lines)


def under(prefix: str, layout: str) -> str:
    """Put a prefix before every name of a layout."""
    lines = [line for line in layout.splitlines() if line.strip()]
    return "".join(f"!{prefix}{line[1:]}\n" if line[0] == "!" else f"{prefix}{line}\n" for line in lines)


def tensors(layout: str) -> dict[str, torch.Tensor]:
    """Return random tensors under the names of a layout, large enough that each shows in the outputs."""
    generator = torch.Generator().manual_seed(0)
    made: dict[str, torch.Tensor] = {}
    for line in layout.splitlines():
        if not line.strip():
            continue
        name, shape = line.split()
        if shape[0] == "=":
            made[name[1:]] = made[shape[1:]].clone()
            continue
        sizes = [SIZES.get(letter) or int(letter) for letter in shape.rstrip("+").split(",")]
        for number in range(LAYERS) if "{}" in name else [0]:
            place = name.replace("{}", str(number))
            weight = 0.2 * torch.randn(*sizes, generator=generator) + (len(sizes) == 1 and "bias" not in place)
            made[place[1:] if place[0] == "!" else f"{place}.weight"] = weight
            if shape.endswith("+"):
                made[f"{place}.bias"] = 0.2 * torch.randn(sizes[0], generator=generator)
    return made


def write_twin(folder: Path, layout: str, config: dict[str, object]) -> None:
    """Write a checkpoint of a layout under a config."""
    folder.mkdir(parents=True)
    save_file(tensors(layout), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
