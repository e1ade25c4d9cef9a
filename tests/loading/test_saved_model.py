"""A model directory: what its config asks for is bounded by its weights, and damage is one line that names the file."""

import json
from pathlib import Path

import pytest
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel

from hf_embeddings import TriEmbedConfig, TriEmbedModel
from hf_embeddings.loading.saved_model import check_tokenizer_file, read_config, read_tokenizer
from hf_embeddings.loading.stored_weights import stored_shapes

SIZES = {"vocab_size": 32, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
MODELS = {
    "triembed": lambda: TriEmbedModel(TriEmbedConfig(num_hidden_layers=1, **SIZES)),
    "bert": lambda: BertModel(BertConfig(num_hidden_layers=1, **SIZES), add_pooling_layer=False),
    "albert": lambda: AlbertModel(AlbertConfig(num_hidden_layers=12, embedding_size=8, **SIZES)),  # of one layer
}
WRONG = {
    "num_hidden_layers": (10**9, "1", None),
    "num_labels": (10**12,),
    "hidden_size": (32, 10**6, 10**30, -1),
    "intermediate_size": (10**7,),
    "vocab_size": (2**40, []),
    "id2label": (3,),
    "dtype": ("x",),
}


def change(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize("kind", MODELS)
def test_what_was_saved_is_read(kind: str, tmp_path: Path) -> None:
    MODELS[kind]().save_pretrained(tmp_path)
    assert read_config(tmp_path).model_type == kind


@pytest.mark.parametrize("kind", ["triembed", "bert"])
@pytest.mark.parametrize("field, value", [(field, value) for field, values in WRONG.items() for value in values])
def test_a_field_of_a_wrong_type_or_size_is_one_line(kind: str, field: str, value: object, tmp_path: Path) -> None:
    MODELS[kind]().save_pretrained(tmp_path)
    change(tmp_path, **{field: value})
    with pytest.raises(ValueError, match="config.json") as refused:
        read_config(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"word_embedding_dimension": 8}, r"got no model_type, .*; give {whole}, of which this is a part"),
        ({"model_type": "unheard_of"}, r"got the model_type 'unheard_of', .*; update transformers"),
    ],
)
def test_a_config_of_no_model_is_one_line_with_its_cure(fields: dict[str, object], words: str, tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[]")
    part = tmp_path / "1_Pooling"
    part.mkdir()
    (part / "config.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=words.format(whole=tmp_path)) as refused:
        read_config(part)
    assert "\n" not in str(refused.value)


def test_code_beside_a_model_is_never_asked_for(tmp_path: Path, monkeypatch) -> None:
    MODELS["bert"]().save_pretrained(tmp_path)
    change(tmp_path, model_type="unheard_of", auto_map={"AutoConfig": "code.Config"})
    (tmp_path / "code.py").write_text("raise SystemExit('foreign code ran')")
    monkeypatch.setattr("builtins.input", lambda *words: pytest.fail("a question"))
    with pytest.raises(ValueError, match="its model is code of its own"):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ['{"version": "99.0"}', "[]", "", '{"model": 3}'])
def test_a_damaged_tokenizer_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    for read in (read_tokenizer, check_tokenizer_file):
        with pytest.raises(ValueError, match="the tokenizer: |tokenizer.json: ") as refused:
            read(tmp_path)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["[]", '{"weight_map": 3}', "x"])
def test_a_damaged_index_of_weights_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ValueError, match="model.safetensors.index.json: .*(JSON|no index of weights)"):
        stored_shapes(tmp_path)


def test_a_directory_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(ValueError, match="no tokenizer in it; save one there with tokenizer.save_pretrained"):
        read_tokenizer(tmp_path)
