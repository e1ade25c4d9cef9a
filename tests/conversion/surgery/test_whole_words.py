"""Laws of adding words: longer words are cut as before, whatever the kind of tokenizer; what changes is counted."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from hf_embeddings.conversion import ConversionError
from hf_embeddings.conversion.surgery.whole_words import enter_words, new_words, pieces_with_spans, share_changed
from hf_embeddings.corpora.word_starts import known_words
from tests.corpora.tokenizer_kinds import KINDS, TEXT, tokenizer_of

kinds = pytest.mark.parametrize("kind", KINDS)
LONGER = ["breakfast lasting", "fast fastest", "the breakfast was lasting"]


def added(kind: str, words: list[str], folder: Path, *, inside_words: bool = False):
    tokenizer = tokenizer_of(kind)
    new, _ = new_words(tokenizer, words)
    enter_words(tokenizer, new, inside_words=inside_words)
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@kinds
def test_words_that_contain_an_added_one_are_cut_as_before(kind: str, tmp_path: Path) -> None:
    before, after = tokenizer_of(kind), added(kind, ["zast", "asti"], tmp_path)
    for text in [*LONGER, TEXT, "zasts bzast zzastz"]:
        assert after(text)["input_ids"] == before(text)["input_ids"]
    for text in ("in zast in", "zast", "in zast, asti."):
        assert after.convert_tokens_to_ids("zast") in after(text)["input_ids"]
    spaces = after.convert_ids_to_tokens(after("in zast in", add_special_tokens=False)["input_ids"])
    assert len(spaces) == 2 * len(before("in", add_special_tokens=False)["input_ids"]) + 1  # and no piece for a space


@kinds
def test_inside_of_words_is_what_one_asks_for(kind: str, tmp_path: Path) -> None:
    tokenizer = added(kind, ["zast"], tmp_path, inside_words=True)
    assert "zast" in tokenizer.convert_ids_to_tokens(tokenizer("bzasts")["input_ids"])


@kinds
def test_scripts_without_spaces_have_no_whole_words_to_wait_for(kind: str, tmp_path: Path) -> None:
    tokenizer = added(kind, ["中国"], tmp_path)
    assert tokenizer.convert_tokens_to_ids("中国") in tokenizer("深度中国学习")["input_ids"]


@kinds
def test_what_is_a_word_already_is_named_and_not_added(kind: str) -> None:
    assert new_words(tokenizer_of(kind), ["school", "zast", " zast "]) == (["zast"], ["school"])


def test_two_spellings_of_one_word_are_one() -> None:
    assert new_words(tokenizer_of("WordPiece"), ["Zast", "zast"])[0] == ["Zast"]
    assert new_words(tokenizer_of("byte-level"), ["Zast", "zast"])[0] == ["Zast", "zast"]


def test_a_piece_within_words_keeps_its_row() -> None:
    for kind in ("byte-level", "SentencePiece as XLM-R"):
        tokenizer = tokenizer_of(kind)
        inner = [token for token in tokenizer.get_vocab() if token.isascii() and token.isalpha()]
        piece = next(token for token in inner if token not in known_words(tokenizer, inner))
        with pytest.raises(ConversionError, match="but not as a word"):
            new_words(tokenizer, [piece])


@pytest.mark.parametrize(("kind", "piece"), [("WordPiece", "##zast"), ("SentencePiece as XLM-R", "▁zast")])
def test_a_word_that_is_written_as_a_piece_is_refused(kind: str, piece: str) -> None:
    with pytest.raises(ConversionError, match=f"{piece!r} is written as a piece .* give 'zast'"):
        new_words(tokenizer_of(kind), [piece])


def test_the_share_of_changed_pieces_is_counted() -> None:
    old, new = [(1, 0, 2), (2, 3, 5), (3, 5, 8), (4, 9, 10)], [(1, 0, 2), (9, 2, 8), (4, 9, 10)]
    names = ("share_of_pieces_changed", "share_of_pieces_changed_outside_of_the_words")
    assert share_changed([old], [new], {9}) == dict(zip(names, (0.5, 0.0), strict=True))
    cut = [(7, 0, 1), (9, 1, 2), *old[1:]]  # found inside of the first word
    assert share_changed([old], [cut], {9}) == dict(zip(names, (0.25, 0.25), strict=True))
    tokenizer = tokenizer_of("byte-level")
    assert share_changed([pieces_with_spans(tokenizer, TEXT)] * 2, [pieces_with_spans(tokenizer, TEXT)] * 2, set()) == {
        name: 0.0 for name in names
    }


def test_a_word_that_the_normalizer_removes_is_refused() -> None:
    for word in ("\x97", "\u200e\xad"):
        with pytest.raises(ConversionError, match="is nothing to this tokenizer"):
            new_words(tokenizer_of("WordPiece"), ["zast", word])
