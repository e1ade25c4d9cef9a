"""Code that lies beside a model is never run, whoever loads the model, and nobody is asked to."""

import ast
import json
from pathlib import Path

import pytest
from transformers import BertConfig, BertModel, BertTokenizer

from hf_embeddings.corpora.tokenizer import load_tokenizer
from hf_embeddings.loading.auto_classes import OwnCode, open_tokenizer
from hf_embeddings.search.encoder import Encoder
from tests.structure import MODULES

ROOM = "hf_embeddings.loading.auto_classes"
SIZES = {"vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A tiny BERT with a file of code that leaves a trace when it runs."""
    folder = tmp_path / "model"
    BertModel(BertConfig(**SIZES)).save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "the"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    (folder / "own.py").write_text(f"open({str(tmp_path / 'RAN')!r}, 'w')\n", encoding="utf-8")
    return folder


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("load", [open_tokenizer, load_tokenizer, Encoder.load])
def test_a_tokenizer_of_own_code_is_refused(load, model: Path, tmp_path: Path) -> None:
    """transformers would take a plain class in its place, without a word."""
    edit(model / "tokenizer_config.json", tokenizer_class="Own", auto_map={"AutoTokenizer": [None, "own.Own"]})
    with pytest.raises(ValueError, match="its tokenizer Own is code of its own") as error:
        load(model)
    assert "\n" not in str(error.value) and not (tmp_path / "RAN").exists()


def test_a_model_of_own_code_is_refused(model: Path, tmp_path: Path) -> None:
    edit(model / "config.json", model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModel": "own.Model"})
    with pytest.raises(OwnCode, match="its model is code of its own") as error:
        Encoder.load(model)
    assert "\n" not in str(error.value) and not (tmp_path / "RAN").exists()


def test_classes_of_transformers_are_taken_in_place_of_code(model: Path, tmp_path: Path) -> None:
    edit(model / "config.json", auto_map={"AutoConfig": "own.Config", "AutoModel": "own.Model"})
    edit(model / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "own.Own"]})
    assert Encoder.load(model).encode(["the cat"]).shape == (1, 8)
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_only_one_room_calls_the_auto_classes(module: str) -> None:
    if module == ROOM:
        return
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in ("from_pretrained", "from_config"):
            assert not ast.unparse(node.value).split(".")[-1].startswith("Auto"), f"{module}:{node.lineno}: use {ROOM}"
