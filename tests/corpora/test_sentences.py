"""Laws of sentence splitting: nothing is lost, nothing is empty, and time grows with length only."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_embeddings.corpora.sentences import sentence_spans, split_sentences
from hf_embeddings.corpora.text_rules import TextRules

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
    ["लड़का पानी पीता है।", "नदी गाना सुनता है॥", "घर।"],  # Devanagari
    ["यह ١٢ है।", "هل هذا صحيح؟", "یہ گھر ہے۔", "نعم!"],  # Arabic, Urdu
    ["ይህ ቤት ነው።", "ለምን፧", "አዎ።"],  # Ethiopic
    ["Սա տուն է։", "Այո։"],  # Armenian
    ["នេះជាផ្ទះ។", "បាទ៕"],  # Khmer
    ["ဒါအိမ်ပါ။", "ဟုတ်တယ်။"],  # Burmese
    ["འདི་ཁང་པ་ཡིན།", "ཡིན།"],  # Tibetan
    ["これは家です｡", "はい。", "Ja."],
]
LOWER_CASE = [
    ["a bird sees the door .", "the train is red .", "why not ?", "no ."],  # as BookCorpus is written
    ["i like it.", "i go home.", "i am OK.", "we pay 3.50 e.g. for tea."],
    ["мама мыла раму.", "да!", "папа дома."],
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


@pytest.mark.parametrize(
    "sentences", [*LOWER_CASE, ["Мать мыла раму.", "Да!", "Το σπίτι.", "Ναι."]], ids=lambda sentences: sentences[0]
)
def test_sentences_of_any_case_are_found(sentences: list[str]) -> None:
    assert split_sentences(" ".join(sentences)) == sentences


@pytest.mark.parametrize(
    "text",
    [
        'Then "Why?" she asked. He said nothing.',
        "The max. value and the approx. size count. It is no more.",
        "wait.. what comes, and so on!! it goes",
    ],
)
def test_a_lower_case_word_goes_on_in_a_text_with_capitals(text: str) -> None:
    assert all(not sentence[0].islower() for sentence in split_sentences(text)[1:])


SPACES = TextRules("spaces")
LINES = "the red train\nthe long road\n  the blue door"


def test_clauses_of_scripts_without_spaces_between_words_are_found_by_spaces() -> None:
    clauses = ["ปี 2540 เขามากับ John Smith ที่นี่", "แล้วซื้อปลาต่าง ๆ", "กลับบ้าน", "ສະບາຍດີ", "ខ្ញុំទៅផ្សារ", "သူသွားတယ်"]
    text = " ".join(clauses)
    assert split_sentences(text, SPACES) == split_sentences(text) == clauses
    assert split_sentences("It is so. He is\nthere", SPACES) == ["It is so.", "He is", "there"]


def test_line_ends_count_where_a_document_has_nothing_else_or_where_they_are_asked_to() -> None:
    assert (
        split_sentences(LINES)
        == split_sentences(LINES, TextRules("lines"))
        == [line.strip() for line in LINES.split("\n")]
    )
    assert split_sentences(LINES, TextRules("stops")) == [LINES]
    wrapped = "A sentence\nin two lines. Another\none"
    assert split_sentences(wrapped) == ["A sentence\nin two lines.", "Another\none"]
    assert split_sentences(wrapped, TextRules("lines")) == ["A sentence", "in two lines.", "Another", "one"]


def test_what_was_begun_by_the_earlier_rules_keeps_them() -> None:
    text = "यह है। वह है। it is. so it is. It was… He said. 他说。她走。\nend"
    assert split_sentences(text, TextRules(number=1)) == [
        "यह है। वह है। it is. so it is.",
        "It was…",
        "He said.",
        "他说。",
        "她走。",
        "end",
    ]
    assert split_sentences(LINES, TextRules(number=1)) == [LINES]


OF_LANGUAGES = {
    "de": ["Die Nummer des Hauses ist z. B. am 3. Mai bekannt.", "Das ist bzw. war die Regel.", "Und nicht mehr."],
    "fr": ["Le chat est dans la maison, cf. p. ex. M. Blanc.", "Il est là pour vous."],
    "pl": ["To jest np. dom i nie ma ul. Długiej.", "Jest się czego bać, tzn. nie ma."],
    "ru": ["Это было в 1990 г. Москве, т. е. там.", "Мама и др. дома."],
    "el": ["Πού είναι το σπίτι;", "Εδώ, π.χ. Αθήνα.", "Ναι."],
}


@pytest.mark.parametrize("language", OF_LANGUAGES)
def test_abbreviations_ordinals_and_stops_are_those_of_the_language_told_or_guessed(language: str) -> None:
    sentences = OF_LANGUAGES[language]
    for rules in (TextRules(), TextRules(language=language)):
        assert split_sentences(" ".join(sentences), rules) == sentences
    assert split_sentences(" ".join(sentences), TextRules(number=2)) != sentences  # as runs of before were begun


def test_a_sentence_may_begin_with_a_name_in_lower_case_or_a_formula() -> None:
    for sentences in (
        ["The disk holds concepts.", "udev names them (see below).", "apt installs it.", "=SUM(A1) adds."],
        ["정수로 반올림됩니다.", "integer 변수입니다."],
    ):
        assert split_sentences(" ".join(sentences)) == sentences


def test_a_document_is_one_sentence_where_none_is_looked_for() -> None:
    text = "One. Two!\n\nThree?"
    assert split_sentences(text, TextRules("none")) == [text]


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
    spans = [place for span in sentence_spans(document) for place in span]
    assert spans == sorted(spans)


@settings(max_examples=200, deadline=None)
@given(AWKWARD, AWKWARD)
def test_documents_joined_by_a_blank_line_split_separately(first: str, second: str) -> None:
    first, second = first.upper(), second.upper()  # whether a lower-case letter begins one, the whole text decides
    rules = TextRules("stops", language="en")  # and the language, where it is guessed
    joined = split_sentences(f"{first}\n\n{second}", rules)
    assert joined == split_sentences(first, rules) + split_sentences(second, rules)


@pytest.mark.parametrize(
    "unit",
    [
        ".",
        ". ",
        "\n ",
        "\n",
        "…",
        ".)",
        " ",
        "A. ",
        "1.\n",
        ".…",
        ".,",
        "...  ",
        "`",
        "(",
        ". (((((((",
        ".\n\x0b",
        "।",
        "a. b ",
    ],
)
def test_time_is_linear_in_length(unit: str) -> None:
    start = time.process_time()
    split_sentences("." + unit * (400_000 // len(unit)) + " a")
    assert time.process_time() - start < 2  # a quadratic scan takes minutes
