"""Laws of counterfactual augmentation: what is exchanged, and which documents are trained on with it."""

from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.corpora.corpus import load_corpus
from hf_embeddings.corpora.counterfactual import Exchange
from hf_embeddings.corpora.word_pairs import LISTS, read_word_pairs

TEXTS = [f"{'He' if n % 2 else 'Somebody'} counts {n} stones, then he rests." for n in range(60)] + [
    f"Nobody counts {n} shells." for n in range(40)
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("corpus") / "texts.txt"
    path.write_text("\n\n".join(TEXTS), encoding="utf-8")
    return str(path)


def exchanged(text: str) -> str:
    return Exchange(read_word_pairs(LISTS))(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He met HIS Mother; she's THE queen.", "She met HER Father; he's THE king."),  # case, apostrophes
        ("her book, for her and to her. She saw her", "his book, for him and to him. He saw him"),  # a noun follows
        ("his book. The book is his, not hers.", "her book. The book is hers, not his."),
        ('his "art", his/her or his or her own; fond of her.', 'her "art", her/his or her or his own; fond of him.'),
        ("The heron sheds other shells; Mr He", "The heron sheds other shells; Ms She"),  # whole words
        ("其他男人和他的儿女弹吉他。", "其他女人和她的儿女弹吉他。"),  # the longest word; what is left as it is
        ("父亲said: he是先生", "母亲said: she是女士"),  # words beside characters
    ],
)
def test_words_are_exchanged_whole_and_in_their_case(text: str, expected: str) -> None:
    assert exchanged(text) == expected


@pytest.mark.parametrize("name", LISTS)
def test_an_exchange_of_words_with_one_partner_is_its_own_inverse(name: str) -> None:
    pairs = [pair for pair in read_word_pairs([name]) if len(pair) == 2]
    exchange = Exchange(pairs)
    words = [word for word, (partner, _) in exchange.partners.items() if exchange.partners[partner][0] == word]
    assert len(words) > len(exchange.partners) * 0.9
    assert all(exchange(exchange(word)) == word for word in words)


def test_beside_each_training_document_with_such_words_stands_its_twin(source: str) -> None:
    plain, both = load_corpus(source), load_corpus(source, counterfactual=["english-gender"])
    assert both.evaluation == plain.evaluation  # held-out figures can be compared
    expected = [t for text in plain.training for t in dict.fromkeys((text, exchanged(text)))]
    assert both.training == expected
    assert both.statistics["counterfactual_twins"] == len(expected) - len(plain.training) > 30
    assert both.read == plain.documents


def test_a_share_replaces_documents_and_their_texts_alone_decide_which(source: str) -> None:
    plain, half = (load_corpus(source, **o) for o in ({}, {"counterfactual": [*LISTS], "counterfactual_share": 0.5}))
    assert half.evaluation == plain.evaluation
    assert all(new in (old, exchanged(old)) for old, new in zip(plain.training, half.training, strict=True))
    count = sum(old != new for old, new in zip(plain.training, half.training, strict=True))
    assert count == half.statistics["counterfactual_twins"]
    assert 15 < count < 45  # of some 57
    whole = load_corpus(source, counterfactual=[*LISTS], counterfactual_share=1.0)
    assert whole.training == [exchanged(text) for text in plain.training]


def test_no_text_that_is_held_out_is_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(t for text in TEXTS for t in dict.fromkeys((text, exchanged(text)))), encoding="utf-8")
    corpus = load_corpus(str(path), counterfactual=["english-gender"], evaluation_fraction=0.3)
    assert not set(corpus.training) & set(corpus.evaluation)
    assert corpus.statistics["counterfactual_held_out"] > 0


def test_near_duplicates_are_those_of_the_documents_that_were_read(source: str) -> None:
    options = {"near_duplicates": 0.5}
    plain, both = load_corpus(source, **options), load_corpus(source, counterfactual=["english-gender"], **options)
    assert set(both.read) == set(plain.documents)
    names = ("duplicates", "near_duplicates", "evaluation_documents", "documents_read")
    assert [both.statistics[name] for name in names] == [plain.statistics[name] for name in names]


def test_words_of_a_file_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    for text, message in (
        ("he", "1: got 1 word, expected two, or three"),
        ("# a comment\nhe she-wolf", "2: got 'she-wolf', expected a word of letters"),
        ("he he", "holds no pair of two words"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            read_word_pairs([str(path)])
    with pytest.raises(ValueError, match="no such file, expected one with pairs of words, or one of english-gender"):
        read_word_pairs(["french-gender"])
    path.write_text("Anna Otto\nnurse engineer", encoding="utf-8")
    exchange = Exchange(read_word_pairs([str(path)]))
    assert exchange("Anna, ANNA, anna: Nurses? A Nurse!") == "Otto, OTTO, anna: Nurses? A Engineer!"


def test_marks_are_those_of_the_twins(source: str) -> None:
    corpus = load_corpus(source, counterfactual=["english-gender"])
    twins = np.flatnonzero(corpus.marks)
    assert all(exchanged(corpus.documents[row - 1]) == corpus.documents[row] for row in twins)
