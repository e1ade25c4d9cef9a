"""Laws of tokenizers from directories: none is ever completed or repaired in silence."""

import json
import os
from pathlib import Path

import pytest

from hf_embeddings.corpora.tokenized_corpus import encode_sentences
from hf_embeddings.corpora.tokenizer import TokenizerError, load_tokenizer
from hf_embeddings.corpora.tokenizer_training import SPECIAL_TOKENS
from tests.corpora.mixed_documents import train


def refused(path: object) -> str:
    with pytest.raises(TokenizerError) as error:
        load_tokenizer(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    train().save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def test_missing_directories_and_vocabularies_are_refused(tmp_path: Path, saved: Path) -> None:
    assert "no such directory" in refused(tmp_path / "absent")
    assert "got no vocabulary" in refused(tmp_path)
    (saved / "tokenizer.json").unlink()  # transformers makes up a vocabulary of five tokens
    assert "got no vocabulary" in refused(saved)


def change(saved: Path, edit: object) -> Path:
    content = json.loads((saved / "tokenizer.json").read_text())
    edit(content)
    (saved / "tokenizer.json").write_text(json.dumps(content))
    return saved


def remove(content: dict, token: str) -> None:
    content["added_tokens"] = [added for added in content["added_tokens"] if added["content"] != token]
    del content["model"]["vocab"][token]


def test_missing_special_tokens_are_named(saved: Path) -> None:
    change(saved, lambda content: remove(content, "[MASK]"))
    assert "lacks mask_token [MASK], expected all of pad_token, cls_token" in refused(saved)
    (saved / "tokenizer_config.json").unlink()
    assert "lacks pad_token, cls_token, sep_token, mask_token" in refused(saved)


def test_duplicates_are_refused(saved: Path) -> None:
    text = (saved / "tokenizer.json").read_text()
    change(saved, lambda content: content["model"]["vocab"].update(the=7))
    assert "got 7 twice" in refused(saved)
    (saved / "tokenizer.json").write_text(text.replace('"vocab": {', '"vocab": {"the": 900,', 1))
    assert "got 'the' twice" in refused(saved)
    (saved / "tokenizer.json").write_text(text)
    change(saved, lambda content: content["added_tokens"][4].update(id=9))
    assert "got ids 4 and 9 for '[MASK]'" in refused(saved)


def test_old_vocabularies_are_checked_too(saved: Path) -> None:
    (saved / "tokenizer.json").unlink()
    (saved / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    (saved / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, "a", "b"]))
    assert load_tokenizer(saved).get_vocab()["b"] == 6
    (saved / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, "a", "a"]))
    assert "got 'a' twice" in refused(saved)
    (saved / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS[:4], "a", "b"]))
    assert "lacks mask_token [MASK]" in refused(saved)
    (saved / "vocab.txt").write_text("\r".join([*SPECIAL_TOKENS, "a", "b"]))  # one token to the library
    assert "cannot be loaded" in refused(saved)
    (saved / "vocab.txt").write_bytes("\r\n".join([*SPECIAL_TOKENS, "a", "b"]).encode())
    assert load_tokenizer(saved)("a b")["input_ids"][1:-1] == [5, 6]


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_broken_json_is_refused(saved: Path, name: str) -> None:
    content = (saved / name).read_text()
    (saved / name).write_text(content[: len(content) // 2])
    assert f"{name}: got broken JSON" in refused(saved)
    (saved / name).write_text("[" * 200_000)
    assert f"{name}: got more than 64 nested brackets" in refused(saved)
    (saved / name).write_text('"' + '\\"' * 200_000)
    assert f"{name}: got broken JSON" in refused(saved)
    with (saved / name).open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert f"{name}: got 67108865 bytes, expected at most 67108864" in refused(saved)
    (saved / name).unlink()
    os.mkfifo(saved / name)
    assert f"{name}: not a file" in refused(saved)


@pytest.mark.parametrize("content", ["[]", "{}", '{"model": {"vocab": 5}, "added_tokens": []}', "null"])
def test_other_json_is_refused(saved: Path, content: str) -> None:
    (saved / "tokenizer.json").write_text(content)
    assert "got no `model.vocab` or `added_tokens`" in refused(saved)


def test_what_the_tokenizers_library_refuses_is_one_line(saved: Path) -> None:
    change(saved, lambda content: content["model"].update(type="Unheard"))
    assert "cannot be loaded" in refused(saved)


def test_a_pattern_that_takes_forever_is_an_error(saved: Path) -> None:
    split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    change(saved, lambda content: content.update(pre_tokenizer=split))
    settings = json.loads((saved / "tokenizer_config.json").read_text())
    settings["tokenizer_class"] = (
        "PreTrainedTokenizerFast"  # reads the file as it is; BertTokenizer has its own pattern
    )
    (saved / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(TokenizerError, match="cannot encode the corpus .*expected patterns that need few steps"):
        encode_sentences(load_tokenizer(str(saved)), ["a" * 40 + "b"])
