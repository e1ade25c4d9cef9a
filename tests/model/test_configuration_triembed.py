"""Laws of the config: contradictions and unknown keys are refused in one line, and it survives a round trip."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM

from hf_embeddings import TriEmbedConfig, TriEmbedForMaskedLM
from hf_embeddings.model import configuration_triembed
from hf_embeddings.model.configuration_triembed import Upgrade

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "model").glob("*.json"))

BAD = [
    ({"hidden_size": 30, "num_attention_heads": 4}, "does not divide hidden_size 30"),
    ({"num_hidden_layers": -1}, "num_hidden_layers: got -1, expected at least 0"),
    ({"layer_norm_eps": 0}, "layer_norm_eps"),
    ({"layer_norm_eps": float("nan")}, "layer_norm_eps"),
    ({"num_hiden_layers": 2}, "did you mean 'num_hidden_layers'"),
    ({"position_embedding_type": "relative"}, "expected one of learned, sinusoidal"),
    ({"position_embedding_type": "none+rope"}, "'none' only alone"),
    ({"position_embedding_type": "rope", "hidden_size": 12, "num_attention_heads": 4}, "odd"),
    ({"max_position_embeddings": 0}, "max_position_embeddings: got 0"),
    ({"vocab_size": 10**12}, "bytes"),
    ({"pad_token_id": 30522}, "below vocab_size"),
    ({"hidden_act": "gelo"}, "did you mean 'gelu'"),
    ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob"),
    ({"initializer_range": -1.0}, "initializer_range"),
    ({"layer_types": ["full_attention"]}, "layer_types: got 1 entries"),
    ({"layer_types": ["sliding_attention"] * 12}, "sliding_window: missing"),
    ({"rope_theta": 10000.0}, "rope_theta: given, but position_embedding_type"),
    ({"model_type": "bert"}, "must be converted"),
    ({"norm_type": "rms"}, "whose norms have no biases"),
    ({"factorised_embeddings": "token"}, "embedding_size: missing"),
    ({"skip_first_norm": True}, "where no norm comes first"),
    ({"pooler_act": "tahn"}, "did you mean 'tanh'"),
    ({"embedding_size": 7, "position_embedding_type": "sinusoidal"}, "embedding_size"),
    ({"position_parameters": {"learned": {"offset": -1}}}, "learned.offset: got -1"),
]


@pytest.mark.parametrize("arguments, message", BAD)
def test_refused_in_one_line(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError) as error:
        TriEmbedConfig(**arguments)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_load_and_survive_a_round_trip(path: Path, tmp_path) -> None:
    config = TriEmbedConfig.from_json_file(path)
    config.save_pretrained(tmp_path)
    assert TriEmbedConfig.from_pretrained(tmp_path).to_diff_dict() == config.to_diff_dict()


def test_configs_are_there() -> None:
    assert {path.stem for path in CONFIGS} == {"tiny", "mini", "small", "base", "base-modern"}


def test_keys_of_other_tools_are_carried_along_and_misspelt_fields_are_not(tmp_path) -> None:
    TriEmbedConfig().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"matryoshka_dimensions": [8, 16]}))
    TriEmbedConfig.from_pretrained(tmp_path).save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again/config.json").read_text())["matryoshka_dimensions"] == [8, 16]
    for misspelt in ("num_hiden_layers", "postion_embedding_type"):
        path.write_text(json.dumps(told | {misspelt: 1}))
        with pytest.raises(ValueError, match=f"{misspelt}: not a field of TriEmbedConfig"):
            TriEmbedConfig.from_pretrained(tmp_path)


def test_what_other_models_call_our_fields_may_stand_beside_them_where_it_says_the_same(tmp_path) -> None:
    config = TriEmbedConfig()
    for name in ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"):  # as transformers' own tests set them
        setattr(config, name, 1.0)
    config.save_pretrained(tmp_path)
    again = TriEmbedConfig.from_pretrained(tmp_path)
    assert again.layer_norm_eps == again.layer_norm_epsilon == again.norm_epsilon == 1.0
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"layer_norm_epsilon": 2.0}))
    with pytest.raises(ValueError, match="layer_norm_epsilon: not a field of TriEmbedConfig"):
        TriEmbedConfig.from_pretrained(tmp_path)


def test_a_newer_format_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="format_version: got 2, expected 1; .* install the newest"):
        TriEmbedConfig.from_dict({"model_type": "triembed", "format_version": 2})


FIRST = (  # what the first release wrote: fewer fields, and no version
    "architectures attention_probs_dropout_prob dtype hidden_act hidden_dropout_prob hidden_size initializer_range "
    "intermediate_size layer_norm_eps max_position_embeddings model_type norm_position num_attention_heads "
    "num_hidden_layers pad_token_id position_embedding_type tie_word_embeddings type_vocab_size vocab_size"
).split()


@pytest.fixture
def first_release(tmp_path) -> TriEmbedForMaskedLM:
    """Save a checkpoint, and take from its config what the first release did not write."""
    sizes = dict(vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    model = TriEmbedForMaskedLM(TriEmbedConfig(**sizes))
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({name: told[name] for name in FIRST}))
    return model


def same_weights(folder: Path, expected: TriEmbedForMaskedLM) -> None:
    for load in (TriEmbedForMaskedLM.from_pretrained, AutoModelForMaskedLM.from_pretrained):
        state = load(folder).state_dict()
        assert state.keys() == expected.state_dict().keys()
        assert all(torch.equal(state[name], weight) for name, weight in expected.state_dict().items())


def test_a_checkpoint_without_a_version_is_of_the_first(first_release, tmp_path) -> None:
    same_weights(tmp_path, first_release)


def test_older_formats_are_upgraded_step_by_step_when_they_are_read(first_release, tmp_path, monkeypatch) -> None:
    """Two later formats renamed a field and weights: what they wrote before still loads, bit by bit."""

    def rename(old: str, new: str):
        return lambda fields: {new if name == old else name: value for name, value in fields.items()}

    path, weights = tmp_path / "config.json", tmp_path / "model.safetensors"
    path.write_text(json.dumps(rename("hidden_size", "width")(json.loads(path.read_text()))))
    old = {name.replace(".attention.query.", ".attention.q."): weight for name, weight in load_file(weights).items()}
    assert any(".attention.q." in name for name in old)
    save_file(old, weights, metadata={"format": "pt"})
    steps = {
        1: Upgrade(rename("width", "size"), {r"\.attention\.q\.": ".attention.query."}),
        2: Upgrade(rename("size", "hidden_size")),
    }
    monkeypatch.setattr(configuration_triembed, "FORMAT_VERSION", 3)
    configuration_triembed.UPGRADES.update(steps)
    try:
        same_weights(tmp_path, first_release)
    finally:
        configuration_triembed.UPGRADES.clear()
