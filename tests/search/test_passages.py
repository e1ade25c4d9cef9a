"""Passages hold all of the text, fit the model, and end where a reader would end them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from hf_embeddings.search.passages import opening, split_passages
from tests.search.conftest import WORDS

FOLDER: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def tokenizer(model_folder: Path):
    FOLDER[:] = [AutoTokenizer.from_pretrained(model_folder)]
    return FOLDER[0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*WORDS, "cats.", "cat\n", "\n\n", "unknown!", "北京。", "x" * 30]), max_size=80),
    st.integers(1, 20),
)
def test_nothing_is_lost_and_everything_fits(words: list[str], room: int) -> None:
    text = " ".join(words).strip()
    ((*passages,),) = split_passages([text], FOLDER[0], [room])
    assert "".join("".join(passages).split()) == "".join(text.split())
    for passage in passages:
        assert len(FOLDER[0].tokenize(passage)) <= room


def test_short_texts_stay_whole(tokenizer) -> None:
    assert split_passages(["the cat", "", "a dog"], tokenizer, [50, 50, 50]) == [["the cat"], [""], ["a dog"]]


def test_cuts_prefer_the_ends_of_paragraphs_and_sentences(tokenizer) -> None:
    text = "the cat runs. the dog\n\nsleeps. the king eats"
    assert split_passages([text], tokenizer, [8])[0][0] == "the cat runs. the dog"
    assert split_passages([text.replace("\n\n", " ")], tokenizer, [6])[0][0] == "the cat runs."


def test_the_opening_is_the_first_paragraph_that_is_a_sentence() -> None:
    signature = "seed(number) -> None\n\nSets the seed.\n\nArgs: number."
    assert opening(signature) == "Sets the seed."
    assert opening("====\nTitle\n====\n\n她笑了。\n\nMore.") == "她笑了。"
    assert opening("\n\n no sentence \n\n at all ") == "no sentence" and opening(" \n ") == ""
