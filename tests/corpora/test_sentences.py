"""Laws of sentence splitting: nothing is lost, nothing is empty, and time grows with length only."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_embeddings.corpora.sentences import split_sentences

SPLITS = [
    ["This is one.", "This is two!", "Is it?", "Yes."],
    ["He paid 3.50 for v1.2.3 of it.", "Then he left."],
    ["See Fig. 3 and e.g. Torch, i.e. Numpy vs. Jax.", "Dr. Smith agrees (cf. Eq. 2)."],
    ["Cats, dogs etc. are animals."],
    ['He said "Stop."', "(He left.)", "Then [he came.]", "“Why?”", "Nobody knew..."],
    ["J. R. R. Tolkien wrote it.", "It has dimension N.", "The U.S. Army has it."],
    ["1. Install it.", "2. Run it."],
    ["[ 1. 2. 3.] is an array.", "No. 5 is alive.", "No.", "It is."],
    ["Wait... what?", "Hmm… well."],
    ["他说：“你好！”", "她走了。", "为什么？", "（不知道……）", "雨停了；", "天晴了。"],
    ["你好吗？！", "我很好。", "This is English.", "中文。"],
    ["`torch.add` adds.", "`torch.sub` subtracts."],
]
AWKWARD = st.text(alphabet=" \n\r\t\x0b\x85\u3000.!?。！？；…\"')”」`*([“「aA1eg中,;", max_size=60)


def characters(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("sentences", SPLITS, ids=lambda sentences: sentences[0])
def test_sentences_are_found(sentences: list[str]) -> None:
    separator = " " if sentences[0].isascii() or "English" in " ".join(sentences) else ""
    assert split_sentences(separator.join(sentences)) == sentences
    assert split_sentences("\n".join(sentences)) == sentences
    assert split_sentences("\n\n".join(sentences)) == sentences


def test_a_blank_line_ends_a_sentence() -> None:
    assert split_sentences("A title\n\nand\na text\n \t\r\n\nlast etc.\n\nend") == [
        "A title",
        "and\na text",
        "last etc.",
        "end",
    ]


def test_a_stop_at_the_end_of_a_line_ends_a_sentence() -> None:
    assert split_sentences("dim (int): the size.\n    out: lower case.\nA b. c") == [
        "dim (int): the size.",
        "out: lower case.",
        "A b. c",
    ]


@settings(max_examples=500, deadline=None)
@given(st.one_of(AWKWARD, st.text(max_size=60)))
def test_no_character_is_lost_and_no_sentence_is_empty(document: str) -> None:
    sentences = split_sentences(document)
    assert characters("".join(sentences)) == characters(document)
    assert all(sentence and sentence == sentence.strip() for sentence in sentences)


@settings(max_examples=200, deadline=None)
@given(AWKWARD, AWKWARD)
def test_documents_joined_by_a_blank_line_split_separately(first: str, second: str) -> None:
    assert split_sentences(f"{first}\n\n{second}") == split_sentences(first) + split_sentences(second)


@pytest.mark.parametrize(
    "unit",
    [".", ". ", "\n ", "\n", "…", ".)", " ", "A. ", "1.\n", ".…", ".,", "...  ", "`", "(", ". (((((((", ".\n\x0b"],
)
def test_time_is_linear_in_length(unit: str) -> None:
    start = time.perf_counter()
    split_sentences("." + unit * (400_000 // len(unit)) + " a")
    assert time.perf_counter() - start < 2  # a quadratic scan takes minutes
