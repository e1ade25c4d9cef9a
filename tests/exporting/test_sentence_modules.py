"""Modules behind the encoder do what sentence-transformers does with them, and are refused by name where not known."""

import json
from pathlib import Path

import pytest
import torch
from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Pooling

from hf_embeddings.exporting.sentence_modules import SentenceModules, read_modules
from hf_embeddings.exporting.token_pooling import POOLINGS
from hf_embeddings.loading.pooling_files import OLD_KEYS, pooling_names, pooling_settings

MASKS = torch.tensor([[1] * 6, [1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0]])


def write(folder: Path, *kinds: str, pooling: dict | None = None, settings: dict | None = None) -> Path:
    """Write a modules.json, the pooling and its directory."""
    names = ("Transformer", "Pooling", *kinds)
    types = [f"sentence_transformers.models.{kind}" for kind in names]
    paths = ["", *(f"{number}_{kind}" for number, kind in enumerate(names) if number)]
    modules = [{"path": path, "type": kind} for path, kind in zip(paths, types, strict=True)]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling or {"pooling_mode": "cls"}))
    if settings is not None:
        (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_equals_that_of_sentence_transformers(name: str) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(4, 6, 8)
    features = {"token_embeddings": hidden, "attention_mask": MASKS}
    expected = Pooling(8, name)(features)["sentence_embedding"]
    torch.testing.assert_close(POOLINGS[name](hidden, MASKS), expected)


def test_modules_are_applied_in_their_order_and_cut_last(tmp_path) -> None:
    torch.manual_seed(0)
    folder = write(tmp_path, "Dense", "LayerNorm", "Normalize", settings={"truncate_dim": 3})
    dense, norm = Dense(8, 5, activation_function=torch.nn.GELU()), LayerNorm(5)
    for name, module in (("2_Dense", dense), ("3_LayerNorm", norm)):
        (folder / name).mkdir()
        module.save(str(folder / name))
    hidden = torch.randn(4, 6, 8)
    features = {"token_embeddings": hidden, "attention_mask": MASKS}
    for module in (Pooling(8, "cls"), dense, norm):
        features = module(features)
    expected = torch.nn.functional.normalize(features["sentence_embedding"], dim=-1)[:, :3]
    read = read_modules(folder)
    torch.testing.assert_close(read.vectors()(hidden, MASKS), expected)
    assert read.describe() == "cls -> Dense -> LayerNorm -> Normalize -> first 3 features"


@pytest.mark.parametrize("name", POOLINGS)
def test_both_forms_of_pooling_files_are_read_and_written(name: str, tmp_path) -> None:
    old = {OLD_KEYS[name]: True, "word_embedding_dimension": 8}
    for settings in (old, {"pooling_mode": name}, {"pooling_mode": [name]}):
        assert pooling_names(Path("config.json"), settings) == (name,)
    written = pooling_settings((name,), 8)
    assert list(POOLINGS) == list(OLD_KEYS) and next(key for key, on in written.items() if on is True) == OLD_KEYS[name]
    assert written["pooling_mode"] == name and [key for key in OLD_KEYS.values() if written[key]] == [OLD_KEYS[name]]
    (tmp_path / "config.json").write_text(json.dumps(written))
    assert Pooling.load(str(tmp_path)).pooling_mode == name


@pytest.mark.parametrize("names", [("cls", "mean"), ("mean", "cls")])
def test_several_poolings_keep_their_order(names: tuple[str, str], tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(pooling_settings(names, 8)))
    assert Pooling.load(str(tmp_path)).pooling_mode == names


def test_a_directory_that_says_nothing_is_told_apart() -> None:
    read = read_modules(Path("nowhere"))
    assert read.poolings == ("mean",) and "does not say" in read.describe()


def test_prompts_that_are_not_pooled_cannot_be_done_in_a_graph(tmp_path) -> None:
    pooling = {"pooling_mode": "mean", "include_prompt": False}
    assert not read_modules(write(tmp_path, pooling=pooling, settings={"prompts": {"query": "q: "}})).pools_all
    assert SentenceModules(include_prompt=False).pools_all  # there are no prompts


@pytest.mark.parametrize(
    "kinds, files, words",
    [
        (("LSTM",), {}, "expected Transformer, Pooling and then"),
        (("Dense",), {"2_Dense/config.json": {"in_features": 8}}, "no model.safetensors beside it"),
        (("Dense",), {"2_Dense/config.json": {"depth": 2}}, "unknown key 'depth'"),
        ((), {"1_Pooling/config.json": {"pooling_mode": "median"}}, "got pooling median, expected cls, max"),
        ((), {"1_Pooling/config.json": {}}, "missing or empty"),
    ],
)
def test_what_is_not_known_is_refused_by_name(kinds: tuple, files: dict, words: str, tmp_path) -> None:
    write(tmp_path, *kinds)
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=words):
        read_modules(tmp_path)


@pytest.mark.parametrize("name", ["os.system", "torch.nn.modules.activation.Missing", "torch.nn.modules.linear.Linear"])
def test_only_plain_activations_are_made(name: str, tmp_path) -> None:
    folder = write(tmp_path, "Dense")
    (folder / "2_Dense").mkdir()
    Dense(8, 5).save(str(folder / "2_Dense"))
    settings = json.loads((folder / "2_Dense/config.json").read_text()) | {"activation_function": name}
    (folder / "2_Dense/config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="activation_function"):
        read_modules(folder)
