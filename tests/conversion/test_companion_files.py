"""What travels beside the weights is as true after a conversion as before: tokenizer, recipe, activation of scores."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoModel, AutoTokenizer, BertTokenizer

from hf_embeddings.conversion import FAMILIES, ConversionError, companion_files, convert
from hf_embeddings.conversion.configs import to_triembed
from hf_embeddings.conversion.tokenizer_check import compare_tokenizers
from hf_embeddings.loading.sentence_models import OF_A_RERANKER
from hf_embeddings.model.configuration_triembed import LIBRARY_KEYS
from hf_embeddings.publishing.card import write_card
from tests.conversion.laws import tiny
from tests.conversion.test_families import STOCK, changes

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "##s", "今", "日", "は", "今日"]
PAIRS = [("the cat", "the dogs"), ("cat dog", "the the")]


def checkpoint(folder: Path, head: str, **changes: object) -> Path:
    """Write a tiny model with the tokenizer of BERT, which returns segments."""
    model, words = tiny(head, **changes), list(WORDS)
    model.save_pretrained(folder)
    words.insert(model.config.pad_token_id, words.pop(0))  # where some families start to number positions
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def edit(path: Path, **changes: object) -> None:
    told = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(told | changes))


def has_segments(family: str) -> bool:
    config = tiny(f"{next(iter(FAMILIES[family].heads))}", **changes(family, "")).config.to_dict()
    return to_triembed(config, FAMILIES[family], next(iter(FAMILIES[family].heads.values()))).type_vocab_size > 0


def test_a_tokenizer_class_that_only_config_json_names_is_kept(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "source", "BertModel")
    (source / "tokenizer.json").unlink()
    settings = {"do_lower_case": False, "word_tokenizer_type": "basic", "subword_tokenizer_type": "character"}
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    edit(source / "config.json", tokenizer_class="BertJapaneseTokenizer")
    report = convert(source, tmp_path / "ours")
    assert "BertJapaneseTokenizer" in report.tokenizer
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (source, tmp_path / "ours"))
    assert before("今日は")["input_ids"] == after("今日は")["input_ids"] != [2, 1, 3]


@pytest.mark.parametrize(
    "file, change, message",
    [
        ("tokenizer_config.json", {"model_max_length": 9}, "model_max_length is 9 after conversion"),
        ("tokenizer_config.json", {"padding_side": "left"}, "padding_side is left"),
        ("tokenizer_config.json", {"model_input_names": ["input_ids"]}, "input names of"),
        ("tokenizer_config.json", {"mask_token": "[PAD]"}, "special tokens is"),
        ("tokenizer.json", {"model": None}, "does not load once it is copied"),
    ],
)
def test_a_difference_between_the_tokenizers_is_an_error(file: str, change: dict, message: str, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "source", "BertModel")
    convert(source, tmp_path / "ours")
    edit(tmp_path / "ours" / file, **change)
    with pytest.raises(ConversionError, match=message) as error:
        compare_tokenizers(source, tmp_path / "ours", segments=True)
    assert "\n" not in str(error.value)


def test_a_conversion_whose_tokenizer_differs_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    source = checkpoint(tmp_path / "source", "BertModel")
    monkeypatch.setattr(companion_files, "TOKENIZER_FILES", ("vocab.txt",))  # its class and settings stay behind
    edit(source / "tokenizer_config.json", do_lower_case=False, model_max_length=20)
    with pytest.raises(ConversionError, match="after conversion"):
        convert(source, tmp_path / "ours")
    assert not list(tmp_path.glob("*ours*"))


def test_a_tokenizer_is_compared_or_loaded_once_or_refused(tmp_path: Path) -> None:
    tiny("BertModel").save_pretrained(tmp_path / "source")
    assert convert(tmp_path / "source", tmp_path / "none").tokenizer == "none beside the weights"
    (tmp_path / "source/tokenizer.json").write_text("{}")
    for check in (True, False):
        with pytest.raises(ConversionError, match="its tokenizer does not load once it is copied") as error:
            convert(tmp_path / "source", tmp_path / "broken", check=check)
        assert "\n" not in str(error.value) and not list(tmp_path.glob("*broken*"))
    checkpoint(tmp_path / "whole", "BertModel")
    assert convert(tmp_path / "whole", tmp_path / "unchecked", check=False).tokenizer == "not compared"


# For XLM-RoBERTa XL, transformers takes a plain tokenizer, whatever class is named.
@pytest.mark.parametrize("family", [family for family in STOCK if family != "xlm-roberta-xl"])
def test_a_converted_model_takes_what_its_own_tokenizer_returns(family: str, tmp_path: Path) -> None:
    head = next(iter(FAMILIES[family].heads))
    source = checkpoint(tmp_path / "source", head, **changes(family, head))
    convert(source, tmp_path / "ours")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "ours")
    inputs = tokenizer("the cat", return_tensors="pt")
    found = AutoModel.from_pretrained(tmp_path / "ours").eval()(**inputs).last_hidden_state
    plain = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    expected = AutoModel.from_pretrained(source).eval()(**plain).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert ("token_type_ids" in inputs) == has_segments(family)


ACTIVATIONS = {
    "sentence-transformers 5": {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
    "sentence-transformers 3": {"sbert_ce_default_activation_function": "torch.nn.modules.activation.Tanh"},
}


@pytest.mark.parametrize("version", ACTIVATIONS)
@pytest.mark.parametrize(
    "head", ["BertForSequenceClassification", "RobertaForSequenceClassification", "ElectraForSequenceClassification"]
)
def test_scores_of_a_reranker_stay_there_and_back(version: str, head: str, tmp_path: Path) -> None:
    family = head.removesuffix("ForSequenceClassification").lower()
    source = checkpoint(tmp_path / "source", head, num_labels=1, **changes(family, ""))
    plain = CrossEncoder(str(source)).predict(PAIRS)
    edit(source / "config.json", **ACTIVATIONS[version])
    expected = CrossEncoder(str(source)).predict(PAIRS)
    assert np.abs(expected - plain).max() > 1e-2
    convert(source, tmp_path / "ours")
    convert(tmp_path / "ours", tmp_path / "back", to=family)
    for folder in ("ours", "back"):
        np.testing.assert_allclose(CrossEncoder(str(tmp_path / folder)).predict(PAIRS), expected, atol=1e-5)


def test_every_setting_of_a_saved_reranker_stays(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "source", "BertForSequenceClassification", num_labels=1)
    given = {"activation_fn": torch.nn.Tanh(), "prompts": {"q": "dog "}, "default_prompt_name": "q", "max_length": 7}
    CrossEncoder(str(source), **given).save_pretrained(str(tmp_path / "saved"))
    expected = CrossEncoder(str(tmp_path / "saved"))
    convert(tmp_path / "saved", tmp_path / "ours")
    found = CrossEncoder(str(tmp_path / "ours"))
    assert (found.prompts, found.default_prompt_name, found.max_seq_length) == (given["prompts"], "q", 7)
    np.testing.assert_allclose(found.predict(PAIRS), expected.predict(PAIRS), atol=1e-5)
    write_card(tmp_path / "ours")
    card = (tmp_path / "ours/README.md").read_text()
    assert "pipeline_tag: text-ranking" in card
    exec(card.split("```python\n")[1].split("```")[0].replace("PATH_OR_ID", str(tmp_path / "ours")), {})
    edit(tmp_path / "saved/config_sentence_transformers.json", keep_in_fp32_modules=["0.model.classifier"])
    with pytest.raises(ConversionError, match="keep_in_fp32_modules names"):
        convert(tmp_path / "saved", tmp_path / "refused")


def test_the_config_takes_the_keys_of_a_reranker() -> None:
    assert set(OF_A_RERANKER) <= LIBRARY_KEYS  # the published code must spell them out


@pytest.mark.parametrize("check", [True, False])
def test_code_of_a_tokenizer_is_neither_run_nor_pointed_to(check: bool, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "source", "BertModel")
    (source / "own.py").write_text(f"open({str(tmp_path / 'RAN')!r}, 'w')\n")
    edit(source / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "own.Own"]})
    convert(source, tmp_path / "known", check=check)  # its class is one of transformers
    assert "auto_map" not in (tmp_path / "known/tokenizer_config.json").read_text()
    edit(source / "tokenizer_config.json", tokenizer_class="Own")
    with pytest.raises(ValueError, match="its tokenizer Own is code of its own"):
        convert(source, tmp_path / "own", check=check)
    assert not (tmp_path / "own").exists() and not (tmp_path / "RAN").exists()


def test_a_link_out_of_the_source_is_refused_by_name(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "source", "BertModel")
    (tmp_path / "notes").write_text("private")
    (source / "merges.txt").symlink_to(tmp_path / "notes")
    with pytest.raises(ValueError, match="merges.txt: a link to"):
        convert(source, tmp_path / "ours")
    assert not list(tmp_path.glob("*ours*"))
