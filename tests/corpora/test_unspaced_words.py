"""Laws of words in scripts without spaces: a dictionary's words, hidden as a whole, in exact shares."""

import importlib.util

import numpy as np
import pytest

from hf_embeddings.corpora.text_rules import TextRules
from hf_embeddings.corpora.tokenized_corpus import SentenceTokenizer, encode_sentences
from hf_embeddings.corpora.tokenizer_training import train_tokenizer
from hf_embeddings.pretraining.examples.chunks import cut_chunks
from hf_embeddings.pretraining.examples.masking import choose_masked, find_units

ICU = TextRules(words="icu")
WORDS = {  # as ICU divides them
    "Chinese": "我们 去 北京 大学 学习",
    "Thai": "ที่ นี่ มี น้ำ เขา อยู่ ที่ บ้าน",
    "Japanese": "東京 で 学生 が 本 を 読む",
    "Burmese": "ကျွန်တော် အိမ် မှာ နေ တယ်",
}
OTHERS = "😀 unbelievable cats, 3.50 Grüße"  # the tokenizer's own words, and a character of two UTF-16 halves
TEXTS = [OTHERS, *(words.replace(" ", "") for words in WORDS.values())]

pytest.importorskip("icu4py", reason="no ICU here: pip install 'hf-embeddings[words]'")


@pytest.fixture(scope="module", params=["wordpiece", "unigram", "bpe", "characters", "byte-level"])
def tokenizer(request: pytest.FixtureRequest):
    return train_tokenizer(
        TEXTS * 2, algorithm=request.param, vocab_size=350, lowercase=False, min_frequency=2, max_length=64
    )


def starts_of(tokenizer, text: str, rules: TextRules) -> tuple[list[int], list[int]]:
    """Return where the tokens of a text begin, and those of them that begin a word."""
    corpus = encode_sentences(tokenizer, [text], rules)
    starts = [start for start, _ in SentenceTokenizer.of(tokenizer)._run([text], offsets=True)[0].offsets]
    return starts, [start for start, continues in zip(starts, corpus.continues, strict=True) if not continues]


def test_words_are_those_of_a_dictionary_where_the_script_has_no_spaces(tokenizer) -> None:
    for words in WORDS.values():
        borders = {0, *np.cumsum([len(word) for word in words.split()]).tolist()}
        starts, begins = starts_of(tokenizer, words.replace(" ", ""), ICU)
        assert begins == sorted(borders.intersection(starts))
    own = starts_of(tokenizer, OTHERS, TextRules())
    assert starts_of(tokenizer, OTHERS, ICU) == own
    assert starts_of(tokenizer, f"{OTHERS} {TEXTS[1]}", ICU)[1][: len(own[1])] == own[1]


@pytest.mark.parametrize("unit", ["word", "span"])
def test_the_masked_share_is_exact_with_words_of_a_dictionary(tokenizer, unit: str) -> None:
    corpus = encode_sentences(tokenizer, ["".join(TEXTS[1:])] * 400, ICU)
    lengths = np.diff(corpus.sentence_starts)
    samples = np.repeat(np.arange(len(lengths)), lengths)
    units = find_units(unit, samples, corpus.continues, seed=0, epoch=0)
    chosen = choose_masked(samples, np.ones(len(samples), dtype=bool), units, probability=0.15, seed=0, epoch=0)
    assert len(chosen) / len(samples) == pytest.approx(0.15, abs=0.004)


def test_a_run_with_other_words_is_another_run(tokenizer) -> None:
    corpora = [encode_sentences(tokenizer, TEXTS, rules) for rules in (TextRules(), ICU)]
    own, by_dictionary = (cut_chunks(corpus, max_tokens=16).fingerprint() for corpus in corpora)
    assert own != by_dictionary


def test_a_missing_dictionary_is_named_with_its_pip_line(tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="icu4py: not installed; run: pip install"):
        SentenceTokenizer.of(tokenizer, ICU)
