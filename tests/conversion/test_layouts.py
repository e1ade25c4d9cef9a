"""Layouts that transformers no longer runs, or never did, held to slow models with their formulas written out."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import hf_embeddings
from hf_embeddings.conversion import FAMILIES, ConversionError, convert, modeling_bert_layouts
from hf_embeddings.conversion.plan import make_plan
from hf_embeddings.conversion.weight_names import canonical_names
from tests.conversion.laws import SIZES, batch, outputs, pulled_back, score, tiny

LAYOUTS = {"bert_relative_key": "relative_key", "bert_relative_key_query": "relative_key_query", "jina_bert": "alibi"}
CASES = [(layout, head) for layout in LAYOUTS for head in FAMILIES[layout].heads]


def stored(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors as a checkpoint has them: what is tied only once."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items() if ".decoder." not in name}


def write(layout: str, head: str, folder: Path, **further: object) -> torch.nn.Module:
    kind = LAYOUTS[layout]
    torch.manual_seed(0)
    count = 2 if head == "BertForQuestionAnswering" else 3
    config = transformers.BertConfig(**SIZES, position_embedding_type=kind, num_labels=count)
    model = FAMILIES[layout].class_of(head)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    folder.mkdir()
    weights = stored(dict(model.named_parameters()))
    if layout != "jina_bert":  # transformers 4 stored a table that nothing read
        prefix = "" if head == "BertModel" else "bert."
        weights[f"{prefix}embeddings.position_embeddings.weight"] = torch.randn(40, 32)
    save_file(weights, folder / "model.safetensors")
    extra = {"feed_forward_type": "geglu", "emb_pooler": "mean"} if layout == "jina_bert" else {}
    labels = {"id2label": {i: f"L{i}" for i in range(count)}, "label2id": {f"L{i}": i for i in range(count)}}
    told = SIZES | extra | labels | {"model_type": "bert", "position_embedding_type": kind, "architectures": [head]}
    (folder / "config.json").write_text(json.dumps(told | further))
    return model


@pytest.mark.parametrize("layout, head", CASES)
def test_there_and_back(layout: str, head: str, tmp_path: Path) -> None:
    source = write(layout, head, tmp_path / "source")
    report = convert(tmp_path / "source", tmp_path / "ours")
    assert report.largest_difference <= 1e-5
    ours = getattr(hf_embeddings, report.target_class).from_pretrained(tmp_path / "ours").eval()
    inputs = batch(head, source.config)
    theirs_out, ours_out = outputs(source, inputs), outputs(ours, inputs)
    for name, tensor in theirs_out.items():
        torch.testing.assert_close(ours_out[name], tensor, atol=1e-5, rtol=0, msg=name)
    assert_gradients(layout, head, source, ours, theirs_out, ours_out)
    convert(tmp_path / "ours", tmp_path / "back", to=layout)
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("source", "back"))
    before = {name: tensor for name, tensor in before.items() if "position_embeddings" not in name}
    assert set(after) == set(before) and all(torch.equal(after[name], before[name]) for name in before)
    told = json.loads((tmp_path / "back/config.json").read_text())
    assert told["position_embedding_type"] == LAYOUTS[layout] and told["model_type"] == "bert"
    assert_loads(tmp_path / "back", FAMILIES[layout].class_name(head), source, inputs)
    assert convert(tmp_path / "back", tmp_path / "again").target_class == report.target_class


def assert_loads(folder: Path, name: str, source: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> None:
    """Run the snippet of the card: it gives the class that config.json names, and nothing random."""
    told = json.loads((folder / "config.json").read_text())
    assert told["architectures"] == [name] and any(path.endswith(f".{name}") for path in told["auto_map"].values())
    card = (folder / "README.md").read_text()
    assert "written for transformers 5" in card and "random weights" in card
    scope: dict[str, object] = {}
    exec(card.split("```python\n")[1].split("```")[0].replace("PATH_OR_ID", str(folder)), scope)
    model = scope["model"]
    assert type(model).__name__ == name
    found, expected = outputs(model.eval(), inputs), outputs(source, inputs)
    for key, tensor in expected.items():
        torch.testing.assert_close(found[key], tensor, atol=1e-5, rtol=0, msg=key)
    model.save_pretrained(folder / "saved")
    assert (folder / "saved" / Path(modeling_bert_layouts.__file__).name).exists()


def assert_gradients(layout, head, source, ours, theirs_out, ours_out) -> None:
    score(theirs_out).backward()
    score({name: ours_out[name] for name in theirs_out}).backward()
    family = FAMILIES[layout]
    plan = make_plan(family, head, ours.config)
    zero = partial(torch.zeros_like)
    theirs = {n: zero(p) if p.grad is None else p.grad for n, p in source.named_parameters()}
    theirs = stored(theirs)
    theirs = {today: theirs[name] for name, today in canonical_names(theirs, family).items()}
    mine = dict(ours.named_parameters())
    for step in plan.steps:
        expected = [theirs[name] for name in step.sources]
        for name, found, gradient in zip(step.sources, pulled_back(step, mine, ours, expected), expected, strict=True):
            torch.testing.assert_close(found, gradient, atol=1e-4, rtol=1e-4, msg=name)


def test_jina_bert_under_the_config_it_was_published_with(tmp_path: Path) -> None:
    code = "jinaai/jina-bert-implementation--modeling_bert"
    published = {
        "architectures": ["JinaBertForMaskedLM"], "attn_implementation": "torch", "model_max_length": 8192,
        "auto_map": {"AutoModel": f"{code}.JinaBertModel", "AutoModelForMaskedLM": f"{code}.JinaBertForMaskedLM"},
    }  # fmt: skip
    write("jina_bert", "BertModel", tmp_path / "source", **published)  # the weights are those of the encoder alone
    report = convert(tmp_path / "source", tmp_path / "ours")
    assert (report.source_class, report.target_class) == ("JinaBertModel", "TriEmbedModel")


def test_a_layout_that_nothing_loads_is_not_written(tmp_path: Path) -> None:
    hf_embeddings.TriEmbedModel(hf_embeddings.TriEmbedConfig(**SIZES)).save_pretrained(tmp_path / "ours")
    with pytest.raises(ConversionError, match="read, not written.*use --to nomic_bert"):
        convert(tmp_path / "ours", tmp_path / "back", to="nomic_bert_v1")


# Every key of nomic-embed-text-v1.5's config.json, with its value, but for the sizes.
NOMIC_V1 = {
    "n_embd": 32, "n_layer": 3, "n_head": 4, "n_inner": 64, "n_positions": 40, "vocab_size": 99, "type_vocab_size": 2,
    "rotary_emb_base": 500, "activation_function": "swiglu", "architectures": ["NomicBertModel"], "attn_pdrop": 0.0,
    "auto_map": {"AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel"},
    "bos_token_id": None, "causal": False, "dense_seq_output": True, "embd_pdrop": 0.0, "eos_token_id": None,
    "fused_bias_fc": True, "fused_dropout_add_ln": True, "initializer_range": 0.02, "layer_norm_epsilon": 1e-12,
    "max_trained_positions": 2048, "mlp_fc1_bias": False, "mlp_fc2_bias": False, "model_type": "nomic_bert",
    "pad_vocab_size_multiple": 64, "parallel_block": False, "parallel_block_tied_norm": False, "prenorm": False,
    "qkv_proj_bias": False, "reorder_and_upcast_attn": False, "resid_pdrop": 0.0, "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False, "rotary_emb_scale_base": None, "rotary_scaling_factor": None,
    "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True, "summary_activation": None,
    "summary_first_dropout": 0.0, "summary_proj_to_labels": True, "summary_type": "cls_index",
    "summary_use_proj": True, "torch_dtype": "float32", "transformers_version": "4.37.2", "use_cache": True,
    "use_flash_attn": True, "use_rms_norm": False, "use_xentropy": True,
}  # fmt: skip


def test_nomic_bert_under_the_config_it_was_published_with(tmp_path: Path) -> None:
    rope = {"rope_type": "default", "rope_theta": 500.0}
    source = tiny("NomicBertModel", rope_parameters=rope)
    source.save_pretrained(tmp_path / "source")
    (tmp_path / "source/config.json").write_text(json.dumps(NOMIC_V1))
    assert convert(tmp_path / "source", tmp_path / "ours").largest_difference <= 1e-5
    ours = hf_embeddings.TriEmbedModel.from_pretrained(tmp_path / "ours").eval()
    inputs = batch("NomicBertModel", source.config)
    theirs_out, ours_out = outputs(source, inputs), outputs(ours, inputs)
    for name, tensor in theirs_out.items():
        torch.testing.assert_close(ours_out[name], tensor, atol=1e-5, rtol=0, msg=name)
    convert(tmp_path / "ours", tmp_path / "back", to="nomic_bert")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("source", "back"))
    assert set(after) == set(before) and all(torch.equal(after[name], before[name]) for name in before)
    wide = json.dumps(NOMIC_V1 | {"rotary_emb_fraction": 0.5})
    (tmp_path / "source/config.json").write_text(wide)
    with pytest.raises(ConversionError, match="rotary_emb_fraction is 0.5"):
        convert(tmp_path / "source", tmp_path / "refused")


def test_the_type_matters(tmp_path: Path) -> None:
    write("bert_relative_key", "BertModel", tmp_path / "source")
    path = tmp_path / "source/config.json"
    path.write_text(path.read_text().replace('"relative_key"', '"relative_key_query"'))
    plain = modeling_bert_layouts.RelativeKeyBertModel.from_pretrained(tmp_path / "source")
    path.write_text(path.read_text().replace('"relative_key_query"', '"relative_key"'))
    other = modeling_bert_layouts.RelativeKeyBertModel.from_pretrained(tmp_path / "source")
    inputs = batch("BertModel", plain.config)
    difference = outputs(plain, inputs)["last_hidden_state0"] - outputs(other, inputs)["last_hidden_state0"]
    assert difference.abs().max() > 1e-2
