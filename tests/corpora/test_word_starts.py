"""A word is what stands after a space, with every kind of tokenizer; a token is text as people write it."""

import json

import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from hf_embeddings.corpora.word_starts import (
    frequent_words,
    inner_pieces,
    known_words,
    token_labels,
    word_mark,
    word_pieces,
)
from tests.corpora.tokenizer_kinds import KINDS, ROLES, TEXT, tokenizer_of

kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_the_pieces_of_a_word_are_those_it_has_in_a_text(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    for word in ("school", "São", "breakfast", "ring", "schools"):
        (pieces,) = word_pieces(tokenizer, [word])
        inside = tokenizer(f"in {word}", add_special_tokens=False)["input_ids"]
        assert inside[-len(pieces) :] == pieces
        start = tokenizer("in", add_special_tokens=False)["input_ids"]
        assert inside == [*start, *pieces]  # nothing between, nothing left out


@kinds
def test_the_pieces_inside_of_a_word_have_no_word_start(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    mark, (pieces,) = word_mark(tokenizer), inner_pieces(tokenizer, ["s"])
    tokens = tokenizer.convert_ids_to_tokens(pieces)
    assert not any(mark and token.startswith(mark) for token in tokens)
    assert "".join(tokens).replace("##", "") == "s" and (mark or tokens[0].startswith("##"))


@kinds
def test_a_word_is_known_where_its_start_is_in_the_token(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    known = known_words(tokenizer, ["school", "ing", "zebra"])
    assert list(known) == ["school"]
    token = tokenizer.convert_ids_to_tokens(known["school"])
    assert token == word_mark(tokenizer) + "school"


@kinds
def test_frequent_words_are_whole_words_of_the_corpus(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    words = frequent_words(tokenizer, [TEXT, "singing school hoch हिन्दी", "学 ไ"])
    written = TEXT.replace(":", " ").replace(",", " ").replace(".", " ")
    spaced = {word for word in words if word.isascii()}
    assert (
        "school" in words and "" not in words and spaced <= {*written.split(), *written.lower().split(), "sao", "cafe"}
    )
    assert not any(mark in word for word in words for mark in ("▁", "Ġ", "##", "\ufffd"))


@kinds
def test_labels_join_to_the_text(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    text = "the café in São Paulo"
    labels = token_labels(tokenizer, tokenizer(text).encodings[0], [text])
    joined = "".join(labels).replace("␣", " ").strip()
    if kind == "WordPiece":
        joined = " ".join(labels).replace(" ##", "")
    assert joined == (text if kind != "WordPiece" else "the cafe in sao paulo")


@kinds
def test_files_without_a_decoder_are_read_as_well(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    content = json.loads(tokenizer.backend_tokenizer.to_str()) | {"decoder": None}
    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(content)), **ROLES)
    assert frequent_words(bare, [TEXT]) == frequent_words(tokenizer, [TEXT])
    labels = [token_labels(each, each(TEXT).encodings[0], [TEXT]) for each in (bare, tokenizer)]
    assert labels[0] == labels[1]


def test_a_character_of_several_tokens_is_shown_and_numbered() -> None:
    tokenizer = tokenizer_of("byte-level")
    texts = ("x 😀", "🤖\ny")
    labels = token_labels(tokenizer, tokenizer(*texts).encodings[0], texts)
    assert labels[:4] == ["x", "😀 1/3", "😀 2/3", "😀 3/3"] or labels[1].startswith("😀 1/")
    assert {"🤖"} <= {label.split()[0] for label in labels} and "⏎" in labels
