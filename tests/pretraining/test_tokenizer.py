"""Laws of the tokenizer: trained alike twice, the same after saving, and never completed or repaired in silence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerBase

from hf_embeddings.pretraining.sentences import split_sentences
from hf_embeddings.pretraining.tokenizer import (
    SPECIAL_TOKENS,
    TokenizerError,
    encode_sentences,
    load_tokenizer,
    train_tokenizer,
)

DOCUMENTS = [
    "The Café of the embeddings. Tokens, positions and segments are added!",
    "猫追狗。狗追猫。The cat chases the dog, and the dog chases the cat.",
    "Position embeddings tell tokens apart; segment embeddings tell sentences apart.",
    "\n\n",
    "\u200b \u0301",  # control and combining characters only: no tokens
    "A sentence about [MASK] and [SEP] is text. [CLS] too.",
] * 3
TIES = " ".join(f"{a}{b}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx")  # all pairs equally frequent


def train(**changes: object) -> PreTrainedTokenizerBase:
    options = {"vocab_size": 300, "lowercase": True, "min_frequency": 1, "max_length": 64}
    return train_tokenizer(DOCUMENTS, **(options | changes))


def refused(path: object) -> str:
    with pytest.raises(TokenizerError) as error:
        load_tokenizer(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    train().save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


# Training


def test_special_tokens_come_first() -> None:
    vocabulary = train().get_vocab()
    assert [vocabulary[token] for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))


@pytest.mark.parametrize("vocab_size", [64, 100, 125])
def test_the_vocabulary_has_the_size_asked_for(vocab_size: int) -> None:
    assert len(train(vocab_size=vocab_size)) == vocab_size


def test_training_twice_gives_the_same_vocabulary() -> None:
    program = (
        "import sys, json; from hf_embeddings.pretraining.tokenizer import train_tokenizer\n"
        "t = train_tokenizer([sys.argv[1]], vocab_size=150, lowercase=True, min_frequency=1, max_length=8)\n"
        "print(json.dumps(t.get_vocab(), sort_keys=True))"
    )
    here = train_tokenizer(
        iter(TIES.split()), vocab_size=150, lowercase=True, min_frequency=1, max_length=8
    ).get_vocab()
    there = subprocess.run([sys.executable, "-c", program, TIES], capture_output=True, text=True, check=True).stdout
    assert json.loads(there) == here
    back = reversed(TIES.split())
    assert train_tokenizer(back, vocab_size=150, lowercase=True, min_frequency=1, max_length=8).get_vocab() == here


def test_min_frequency_keeps_rare_pieces_out() -> None:
    assert len(train(min_frequency=10**6)) == len(SPECIAL_TOKENS)
    assert len(train(min_frequency=10, vocab_size=2000)) < len(train(vocab_size=2000))


def test_chinese_characters_have_no_continuing_piece() -> None:
    tokenizer = train()
    assert tokenizer.tokenize("猫追狗") == ["猫", "追", "狗"]
    assert not any("猫" in token and token != "猫" for token in tokenizer.get_vocab())
    assert "##," not in tokenizer.get_vocab()


@pytest.mark.parametrize("lowercase", [True, False])
def test_saving_keeps_everything(tmp_path: Path, lowercase: bool) -> None:
    tokenizer = train(lowercase=lowercase)
    tokenizer.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["tokenizer_class"] == "BertTokenizer"
    for loaded in (load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        assert type(loaded) is BertTokenizer and loaded.do_lower_case == lowercase and loaded.model_max_length == 64
        for text in DOCUMENTS:
            assert loaded(text, "The pair") == tokenizer(text, "The pair")
    assert (tokenizer.tokenize("The") == tokenizer.tokenize("the")) == lowercase


def test_pairs_have_segments() -> None:
    encoded = train()("the cat", "the dog")
    first = encoded["input_ids"].index(3) + 1
    assert encoded["token_type_ids"] == [0] * first + [1] * (len(encoded["input_ids"]) - first)
    assert encoded["input_ids"][0] == 2 and encoded["input_ids"][-1] == 3


# Loading


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
    (saved / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, "a", "b"]))
    assert load_tokenizer(saved).get_vocab()["b"] == 6
    (saved / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, "a", "a"]))
    assert "got 'a' twice" in refused(saved)
    (saved / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS[:4], "a", "b"]))
    assert "lacks mask_token [MASK]" in refused(saved)


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


# Encoding


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train()


def test_encoding_is_that_of_each_sentence_alone(tokenizer: PreTrainedTokenizerBase) -> None:
    corpus = encode_sentences(tokenizer, iter(DOCUMENTS))

    def plain(sentence: str) -> list[int]:
        return tokenizer(sentence, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    expected = [[ids for sentence in split_sentences(text) if (ids := plain(sentence))] for text in DOCUMENTS]
    expected = [sentences for sentences in expected if sentences]
    tokens, starts, documents = corpus.tokens, corpus.sentence_starts, corpus.document_starts
    found = [
        [tokens[starts[s] : starts[s + 1]].tolist() for s in range(first, last)]
        for first, last in zip(documents, documents[1:], strict=False)
    ]
    assert found == expected
    assert (tokens.dtype, starts.dtype, documents.dtype) == (np.uint16, np.int64, np.int64)
    assert (starts[0], documents[0], starts[-1], documents[-1]) == (0, 0, len(tokens), len(starts) - 1)
    assert len(found) + corpus.empty_documents == len(DOCUMENTS) and corpus.empty_documents == 6
    assert corpus.empty_sentences == 3
    assert (np.diff(starts) > 0).all() and (np.diff(documents) > 0).all()


def test_special_tokens_in_a_text_are_text(tokenizer: PreTrainedTokenizerBase) -> None:
    tokens = encode_sentences(tokenizer, DOCUMENTS).tokens
    assert not np.isin(
        tokens, [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS if token != "[UNK]"]
    ).any()


def test_encoding_ignores_and_keeps_the_settings_of_the_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    whole = encode_sentences(tokenizer, DOCUMENTS)
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    try:
        assert (encode_sentences(tokenizer, DOCUMENTS).tokens == whole.tokens).all()
        assert tokenizer.backend_tokenizer.truncation["max_length"] == 3
    finally:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()


def test_progress_counts_documents(tokenizer: PreTrainedTokenizerBase) -> None:
    done: list[int] = []
    encode_sentences(tokenizer, ["a text"] * 2500, progress=done.append)
    assert done == [1000, 2000, 2500]


def test_large_vocabularies_take_more_room() -> None:
    words = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *(f"w{number}" for number in range(70_000))])}
    corpus = encode_sentences(BertTokenizer(vocab=words), ["w69999 w0"])
    assert corpus.tokens.dtype == np.int32 and corpus.tokens.tolist() == [70_004, 5]


def test_no_documents_are_an_empty_corpus(tokenizer: PreTrainedTokenizerBase) -> None:
    corpus = encode_sentences(tokenizer, [])
    assert [len(corpus.tokens), *corpus.sentence_starts, *corpus.document_starts] == [0, 0, 0]
    assert corpus.tokens.dtype == np.uint16


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
