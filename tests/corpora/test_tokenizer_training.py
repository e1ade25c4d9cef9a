"""Laws of trained tokenizers: alike twice, the same after saving, Chinese by characters, words known."""

import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from hf_embeddings.corpora.options import CorpusOptions, TokenizerOptions
from hf_embeddings.corpora.tokenizer import TokenizerError, load_tokenizer
from hf_embeddings.corpora.tokenizer_training import SPECIAL_TOKENS, train_for, train_tokenizer
from tests.corpora.mixed_documents import DOCUMENTS, train

TIES = " ".join(f"{a}{b}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx")  # all pairs equally frequent


each = pytest.mark.parametrize("algorithm", ["wordpiece", "unigram", "bpe", "characters"])
KINDS = ["wordpiece", "unigram", "bpe", "byte-level", "characters"]
all_kinds = pytest.mark.parametrize("algorithm", KINDS)


@all_kinds
def test_special_tokens_come_first(algorithm: str) -> None:
    tokenizer = train(algorithm=algorithm)
    vocabulary = tokenizer.get_vocab()
    assert [vocabulary[token] for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    assert [tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.cls_token_id] == [0, 1, 2]
    assert [tokenizer.sep_token_id, tokenizer.mask_token_id] == [3, 4]


@pytest.mark.parametrize("vocab_size", [64, 100, 125])
def test_the_vocabulary_has_the_size_asked_for(vocab_size: int) -> None:
    assert len(train(vocab_size=vocab_size)) == vocab_size
    assert vocab_size - 5 <= len(train(vocab_size=vocab_size, algorithm="bpe")) <= vocab_size  # no more to merge
    assert len(train(vocab_size=vocab_size, algorithm="unigram")) <= vocab_size


def test_training_twice_gives_the_same_vocabulary() -> None:
    """In the reverse order of the texts, and in another process, which hashes otherwise."""
    program = (
        "import json, sys; from hf_embeddings.corpora.tokenizer_training import train_tokenizer\n"
        "options = dict(vocab_size=150, lowercase=True, min_frequency=1, max_length=8)\n"
        "kinds, words = json.loads(sys.argv[1]), sys.argv[2:]\n"
        "made = [train_tokenizer(iter(words), algorithm=kind, **options) for kind in kinds]\n"
        "print(json.dumps([tokenizer.backend_tokenizer.to_str() for tokenizer in made]))"
    )
    words = [*TIES.split(), *DOCUMENTS]
    here, back = (
        [
            train_tokenizer(
                texts(), algorithm=kind, vocab_size=150, lowercase=True, min_frequency=1, max_length=8
            ).backend_tokenizer.to_str()
            for kind in KINDS
        ]
        for texts in (lambda: iter(words), lambda: reversed(words))
    )
    command = [sys.executable, "-c", program, json.dumps(KINDS), *words]
    there = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for kind, *made in zip(KINDS, there, here, back, strict=True):
        one, two, three = map(json.loads, made)
        assert one == two == three, kind


@each
def test_chinese_characters_and_punctuation_are_pieces_by_themselves(algorithm: str) -> None:
    tokenizer = train(algorithm=algorithm)
    assert tokenizer.tokenize("猫追狗。") == ["猫", "追", "狗", "。"]
    assert not any("猫" in piece and piece != "猫" for piece in tokenizer.get_vocab())
    assert not any("," in piece and piece != "," for piece in tokenizer.get_vocab())


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_text_comes_back_and_pairs_have_segments(algorithm: str, tmp_path: Path) -> None:
    tokenizer = train(algorithm=algorithm)
    tokenizer.save_pretrained(tmp_path)
    for loaded in (tokenizer, load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        text = "the cat, and the embeddings of the dog. 猫追狗。"
        assert loaded.decode(loaded(text)["input_ids"], skip_special_tokens=True).replace(" 猫", "猫") == text.replace(
            " 猫", "猫"
        )
        encoded = loaded("the cat", "the dog")
        first = encoded["input_ids"].index(3) + 1
        assert encoded["token_type_ids"] == [0] * first + [1] * (len(encoded["input_ids"]) - first)
        assert loaded.model_max_length == 64 and loaded("▁the")["input_ids"] == loaded("the")["input_ids"]


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_more_characters_than_the_vocabulary_holds_are_unknown(algorithm: str) -> None:
    characters = [chr(0x4E00 + number) * (1 + number % 7) for number in range(500)]
    tokenizer = train_tokenizer(
        characters, algorithm=algorithm, vocab_size=100, lowercase=True, min_frequency=1, max_length=8
    )
    assert len(tokenizer) <= 100
    assert tokenizer.unk_token_id in tokenizer("".join(characters))["input_ids"]
    assert tokenizer.tokenize(characters[6]) == [chr(0x4E06)] * 7  # the most frequent stay


def test_min_frequency_keeps_rare_pieces_out() -> None:
    assert len(train(min_frequency=10**6)) == len(SPECIAL_TOKENS)
    assert len(train(min_frequency=10, vocab_size=2000)) < len(train(vocab_size=2000))


@pytest.mark.parametrize("lowercase", [True, False])
def test_saving_keeps_everything(tmp_path: Path, lowercase: bool) -> None:
    tokenizer = train(lowercase=lowercase)
    tokenizer.save_pretrained(tmp_path)
    for loaded in (load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        assert loaded.model_max_length == 64
        assert loaded.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
        for text in DOCUMENTS:
            assert loaded(text, "The pair") == tokenizer(text, "The pair")
    assert (tokenizer.tokenize("The") == tokenizer.tokenize("the")) == lowercase


def test_pairs_have_segments() -> None:
    encoded = train()("the cat", "the dog")
    first = encoded["input_ids"].index(3) + 1
    assert encoded["token_type_ids"] == [0] * first + [1] * (len(encoded["input_ids"]) - first)
    assert encoded["input_ids"][0] == 2 and encoded["input_ids"][-1] == 3


def test_where_every_document_is_held_out_there_is_nothing_to_train_on() -> None:
    corpus = CorpusOptions(source="a.txt", evaluation_fraction=1 - 1e-9)
    with pytest.raises(TokenizerError, match="no document to train it on .* lower the fraction"):
        train_for(TokenizerOptions(), corpus, [["one", "two"]], max_length=8)


def test_bytes_keep_white_space_and_know_every_character(tmp_path: Path) -> None:
    code = "def f(x):\n    if x:\n\treturn 'é 猫'  # a  comment\n\n"
    tokenizer = train_tokenizer(
        [code] * 3, algorithm="byte-level", vocab_size=300, lowercase=False, min_frequency=2, max_length=64
    )
    tokenizer.save_pretrained(tmp_path)
    for loaded in (tokenizer, AutoTokenizer.from_pretrained(tmp_path)):
        for text in (code, f"\n  {code}", "nāo visto 🙂\r\n"):
            ids = loaded(text, add_special_tokens=False)["input_ids"]
            assert loaded.decode(ids) == unicodedata.normalize("NFC", text) and loaded.unk_token_id not in ids
    assert len(tokenizer) <= 300 and "Ġ" * 4 in "".join(tokenizer.tokenize(code))


@pytest.mark.parametrize("kmer_length", [1, 3, 6])
def test_sequences_are_letters_or_runs_of_letters_side_by_side(kmer_length: int) -> None:
    sequence = "ACGTTGCAACGTACGTTGCANACGTACG"
    tokenizer = train_tokenizer(
        [sequence, sequence.replace("N", "T")] * 2, algorithm="characters", kmer_length=kmer_length, vocab_size=100,
        lowercase=False, min_frequency=2, max_length=64,
    )  # fmt: skip
    pieces = tokenizer.tokenize(sequence)
    assert "".join(pieces) == f"▁{sequence}" and tokenizer.decode(tokenizer(sequence)["input_ids"][1:-1]) == sequence
    runs = [sequence[start : start + kmer_length] for start in range(0, len(sequence), kmer_length)]
    whole = [run for run in runs if len(run) == kmer_length]
    assert [piece for piece in pieces[1:] if len(piece) == kmer_length][: len(whole)] == whole
    assert tokenizer.tokenize("NNNNNN")[1:] == list("NNNNNN")  # a run that is rare is known by its letters


def test_what_does_not_fit_the_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="vocab_size: got 260 .* expected at least 261"):
        TokenizerOptions(algorithm="byte-level", vocab_size=260)
    with pytest.raises(ValueError, match="kmer_length: got 6 beside algorithm 'wordpiece', expected 1"):
        TokenizerOptions(kmer_length=6)
