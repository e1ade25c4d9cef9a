"""Laws of text in any script: no letter is lost, however it is composed, and sentences are found."""

import html
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from hf_embeddings.corpora.sentences import split_sentences
from hf_embeddings.corpora.text_sample import TextSample
from hf_embeddings.corpora.tokenized_corpus import SentenceTokenizer, encode_sentences
from hf_embeddings.corpora.tokenizer_training import is_turkish, train_tokenizer
from tests.corpora.texts_of_scripts import TEXTS
from tests.corpora.tokenizer_kinds import ROLES, SPECIAL

each = pytest.mark.parametrize("algorithm", ["wordpiece", "unigram", "bpe", "characters"])
PLACES = {  # text of packages, where they are installed
    "libreoffice": Path("/usr/share/libreoffice/help"),
    "handbook": Path("/usr/share/doc/debian-handbook/html"),
}
WITHOUT_STOPS: set[str] = set()  # languages whose prose ends sentences with spaces


def train(texts: list[str], algorithm: str, **changes: object) -> PreTrainedTokenizerBase:
    settings = {"vocab_size": 1000, "lowercase": False, "min_frequency": 1, "max_length": 64}
    return train_tokenizer(texts, algorithm=algorithm, **(settings | changes))


def letters(text: str) -> str:
    """Return the letters, marks and joiners of a text, composed."""
    return unicodedata.normalize(
        "NFC", "".join(c for c in text if unicodedata.category(c)[0] in "LMN" or c in "\u200c\u200d")
    )


def back(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    return tokenizer.decode(encode_sentences(tokenizer, [text]).tokens.tolist())


@each
@pytest.mark.parametrize("lowercase", [False, True])
def test_every_letter_of_every_script_comes_back(algorithm: str, lowercase: bool) -> None:
    tokenizer = train(list(TEXTS.values()), algorithm, lowercase=lowercase)
    for language, text in TEXTS.items():
        for form in ("NFC", "NFD"):
            written = unicodedata.normalize(form, text)
            assert tokenizer.unk_token_id not in encode_sentences(tokenizer, [written]).tokens, language
            expected = letters(text.replace("\ufe0f", ""))
            expected = letters("".join(c.lower() for c in expected)) if lowercase else expected
            assert letters(back(tokenizer, written)) == expected, language


@each
def test_composed_and_decomposed_text_have_the_same_tokens(algorithm: str) -> None:
    tokenizer = train([unicodedata.normalize("NFC", text) for text in TEXTS.values()], algorithm)
    forms = (encode_sentences(tokenizer, [unicodedata.normalize(f, t) for t in TEXTS.values()]) for f in ("NFC", "NFD"))
    composed, decomposed = (corpus.tokens.tolist() for corpus in forms)
    assert composed == decomposed


@pytest.mark.parametrize("language", TEXTS)
def test_sentences_are_found_in_every_script(language: str) -> None:
    assert len(split_sentences(TEXTS[language])) == 2


@each
def test_text_without_spaces_is_known_however_long_it_is(algorithm: str) -> None:
    text = "ที่นี่มีน้ำเขาอยู่ที่บ้านกับแมวและสุนัข" * 40
    tokenizer = train([text], algorithm, vocab_size=200)
    sample = TextSample.of(SentenceTokenizer.of(tokenizer), [text], characters=10**6)
    assert (sample.unknown, sample.changed) == (0, 0)


def test_a_long_document_is_looked_at_all_over() -> None:
    tokenizer = train(["ab cd ef"] * 3, "wordpiece")
    for document in ("ab cd " * 5_000 + "猫" * 20_000, "abcd" * 9_000 + " " + "猫" * 36_000):
        sample = TextSample.of(SentenceTokenizer.of(tokenizer), [document], characters=10**6)
        assert 0.4 < (sample.unknown_share or 0) < 0.7


@each
def test_words_stay_apart_and_together_where_characters_have_no_width(algorithm: str) -> None:
    tokenizer = train(["ab cd abcd x\u200cy"] * 3, algorithm)
    for apart in ("ab\u200bcd", "ab\u2028cd", "ab\x0ccd", "ab\xa0cd"):
        assert tokenizer.tokenize(apart) == tokenizer.tokenize("ab cd")
    for together in ("ab\u00adcd", "ab\u2060cd", "ab\ufeffcd", "\u200fabcd"):
        assert tokenizer.tokenize(together) == tokenizer.tokenize("abcd")
    assert tokenizer.tokenize("x\u200cy") != tokenizer.tokenize("xy")
    assert tokenizer.tokenize("ab\u200dcd") == tokenizer.tokenize("abcd")  # no joiner of this corpus


@each
@pytest.mark.parametrize("vocab_size", [64, 70, 100])
def test_a_small_vocabulary_knows_the_letters_first(algorithm: str, vocab_size: int) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 3
    tokenizer = train([text], algorithm, vocab_size=vocab_size, lowercase=True)
    assert len(tokenizer) <= vocab_size and tokenizer.unk_token_id not in tokenizer(text)["input_ids"]


def test_marks_are_stripped_only_where_that_is_asked_for() -> None:
    kept, stripped = (train([TEXTS["German"]], "wordpiece", lowercase=True, strip_accents=s) for s in (False, True))
    assert "schöne grüße" in back(kept, TEXTS["German"]) and "schone gruße" in back(stripped, TEXTS["German"])


@each
def test_case_is_folded_as_in_turkish_where_that_is_asked_for(algorithm: str) -> None:
    texts = ["IŞIK ışık İSTANBUL istanbul Iğdır ığdır"] * 3
    for turkish in (True, False):
        tokenizer = train(texts, algorithm, lowercase=True, turkish_case=turkish)
        pairs = [("IŞIK", "ışık"), ("İSTANBUL", "istanbul"), ("I\u0307STANBUL", "istanbul")]
        assert all((tokenizer.tokenize(a) == tokenizer.tokenize(b)) == turkish for a, b in pairs)
        sample = TextSample.of(SentenceTokenizer.of(tokenizer), texts, characters=10**6)
        assert (sample.unknown, sample.changed) == (0, 0)
    tokenizer = train(texts, algorithm, lowercase=False, turkish_case=True)
    assert tokenizer.tokenize("IŞIK") != tokenizer.tokenize("ışık")


def test_turkish_is_told_by_its_letters() -> None:
    assert is_turkish([TEXTS["Turkish"]]) and not is_turkish([])
    others = [text for language, text in TEXTS.items() if language != "Turkish"]
    assert not is_turkish(others) and not is_turkish([*others * 9, TEXTS["Turkish"]])


def byte_level(texts: list[str]) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE, as those of RoBERTa and ModernBERT are."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(False), decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    options = {"special_tokens": SPECIAL, "initial_alphabet": alphabet, "show_progress": False}
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=1000, **options))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **ROLES)


def comes_back(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    """Tell whether the tokens of a text are decoded to what its normalizer made of it, white space aside."""
    normal = SentenceTokenizer.of(tokenizer).normalize(text)
    return "".join(back(tokenizer, text).split()) == "".join(normal.replace("▁", "").split())


def test_byte_level_tokens_give_the_text_back_with_its_spaces() -> None:
    tokenizer = byte_level(list(TEXTS.values()))
    for language, text in TEXTS.items():
        for written in (text, unicodedata.normalize("NFD", text), f"{text}\n\n    {text}"):
            assert back(tokenizer, written) == written, language


@each
def test_every_script_comes_back_as_the_normalizer_made_it(algorithm: str) -> None:
    tokenizer = train(list(TEXTS.values()), algorithm, vocab_size=1500)
    assert all(comes_back(tokenizer, text) for text in TEXTS.values())


def _package_documents(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the pages of each language of a package of documentation, up to 100,000 characters from all over it."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        pages, documents = sorted(folder.rglob("*.html")), []
        for page in pages[:: max(1, len(pages) // 150)]:
            text = re.sub(r"(?s)<(script|style|head).*?</\1>", " ", page.read_text(encoding="utf-8", errors="replace"))
            blocks = re.sub(r"(?i)</?(p|div|h\d|li|td|tr|br|ul|ol|pre|table|body|html)\b[^>]*>", "\n", text)
            lines = (" ".join(line.split()) for line in html.unescape(re.sub(r"<[^>]*>", "", blocks)).split("\n"))
            documents.append(" ".join(line for line in lines if len(line) > 40))  # prose: headings have no stop
        documents = [document for document in documents if document]
        while sum(map(len, documents)) > 100_000:
            documents.pop()
        if documents:
            yield folder.name, documents


@pytest.mark.slow
@pytest.mark.parametrize("package", PLACES)
@pytest.mark.parametrize("kind", ["wordpiece", "unigram", "bpe", "byte-level"])
def test_every_language_of_a_package_is_known_and_comes_back(package: str, kind: str) -> None:
    if not PLACES[package].is_dir():
        pytest.skip(f"{package} is not installed")
    for language, documents in _package_documents(PLACES[package]):
        settings = {"vocab_size": 4000, "min_frequency": 2, "lowercase": True}
        tokenizer = byte_level(documents) if kind == "byte-level" else train(documents, kind, **settings)
        sample = TextSample.of(SentenceTokenizer.of(tokenizer), documents, characters=10**6)
        assert sample.unknown_share < 0.01 and sample.changed_share < 0.001, language
        known = [text for text in documents if tokenizer.unk_token_id not in encode_sentences(tokenizer, [text]).tokens]
        assert all(comes_back(tokenizer, document) for document in known), language
        if kind == "wordpiece" and language not in WITHOUT_STOPS:
            sentences = sum(len(split_sentences(document)) for document in documents)
            assert 20 < sum(map(len, documents)) / sentences < 300, language
