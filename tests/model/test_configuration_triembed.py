"""Laws of the config: contradictions and unknown keys are refused in one line, and it survives a round trip."""

import json
from pathlib import Path

import pytest

from hf_embeddings import TriEmbedConfig

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


def test_a_newer_format_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="format_version: got 2, expected 1; .* install the newest"):
        TriEmbedConfig.from_dict({"model_type": "triembed", "format_version": 2})


def test_an_older_format_is_upgraded_step_by_step(tmp_path, monkeypatch) -> None:
    TriEmbedConfig(hidden_size=24).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    old = json.loads(path.read_text())
    assert old["format_version"] == 1
    old |= {"format_version": -1, "width": old.pop("hidden_size")}
    path.write_text(json.dumps(old))
    steps = {
        -1: lambda fields: {("size" if name == "width" else name): value for name, value in fields.items()},
        0: lambda fields: {("hidden_size" if name == "size" else name): value for name, value in fields.items()},
    }
    monkeypatch.setattr("hf_embeddings.model.configuration_triembed.UPGRADES", steps)
    assert TriEmbedConfig.from_pretrained(tmp_path).hidden_size == 24
