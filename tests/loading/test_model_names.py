"""Laws of names: what looks like a path is refused at once, and only what may be an id is asked of the Hub."""

from pathlib import Path

import pytest

from hf_embeddings.loading import model_names
from hf_embeddings.loading.model_names import check_model, check_model_or_id, is_hub_id


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    "name", ["./demo", "../demo", "/demo", "~/demo", "runs/dmeo", "runs/demo", "a/b/c", "a/b/", "model.safetensors",
             "no/model.bin", "a\\b", "a b", "", "demo.jsonl", "C:/demo", "no/demo.TXT"],
)  # fmt: skip
def test_what_looks_like_a_path_is_not_asked_of_the_hub(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_names, "fetch", lambda *arguments: pytest.fail("the Hub was asked"))
    assert not is_hub_id(name)
    with pytest.raises(ValueError):
        check_model_or_id(name, "--model")


@pytest.mark.parametrize("name", ["bert-base-uncased", "BAAI/bge-small-en-v1.5", "Qwen/Qwen2.5-0.5B", "user/a.b_c"])
def test_ids_of_the_hub_are_ids(name: str, place: Path) -> None:
    assert is_hub_id(name)


def test_what_was_exported_from_a_model_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds ONNX files only"):
        check_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    check_model(tmp_path)


def test_an_adapter_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="an adapter of PEFT, expected the directory of a model; merge it"):
        check_model(tmp_path)
