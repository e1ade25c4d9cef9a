"""Laws of encoding: each sentence as it is alone, special tokens as text, and the words that tokens belong to."""

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import BertTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from hf_embeddings.corpora.sentences import split_sentences
from hf_embeddings.corpora.tokenized_corpus import encode_sentences
from hf_embeddings.corpora.tokenizer_training import SPECIAL_TOKENS, train_tokenizer
from tests.corpora.mixed_documents import DOCUMENTS, train


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train()


def test_encoding_is_that_of_each_sentence_alone(tokenizer: PreTrainedTokenizerBase) -> None:
    corpus = encode_sentences(tokenizer, iter(DOCUMENTS))

    def plain(sentence: str) -> list[int]:
        return tokenizer(sentence, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    expected = [[ids for sentence in split_sentences(text) if (ids := plain(sentence))] for text in DOCUMENTS]
    tokens, starts, documents = corpus.tokens, corpus.sentence_starts, corpus.document_starts
    found = [
        [tokens[starts[s] : starts[s + 1]].tolist() for s in range(first, last)]
        for first, last in zip(documents, documents[1:], strict=False)
    ]
    assert found == expected
    assert (tokens.dtype, starts.dtype, documents.dtype) == (np.uint16, np.int64, np.int64)
    assert (starts[0], documents[0], starts[-1], documents[-1]) == (0, 0, len(tokens), len(starts) - 1)
    assert len(found) == len(DOCUMENTS) and corpus.empty_documents == 6
    assert corpus.empty_sentences == 3
    assert (np.diff(starts) > 0).all() and (np.diff(documents) >= 0).all()


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


# Words


TEXT = "The unbelievable cat, chases (embeddings) don't stop. 猫追狗。positions猫x"
WORDS = "the|unbelievable|cat|,|chases|(|embeddings|)|don|'|t|stop|.|猫|追|狗|。|positions|猫|x".split("|")


def words_of(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    """Return the words that the tokens of a text make up, as the corpus has them."""
    corpus = encode_sentences(tokenizer, [text])
    begins = np.flatnonzero(~corpus.continues)
    parts = np.split(corpus.tokens.astype(int), begins[1:])
    clean = (tokenizer.decode(part).replace(" ", "") for part in parts)
    return [word for word in clean if word]


@pytest.mark.parametrize(("algorithm", "vocab_size"), [("wordpiece", 130), ("unigram", 100), ("bpe", 100)])
def test_tokens_know_their_words(algorithm: str, vocab_size: int) -> None:
    tokenizer = train_tokenizer(
        [TEXT, *DOCUMENTS], algorithm=algorithm, vocab_size=vocab_size, lowercase=True, min_frequency=1, max_length=64
    )
    assert len(encode_sentences(tokenizer, [TEXT]).tokens) > len(WORDS) + 5  # words of several pieces
    assert words_of(tokenizer, TEXT) == WORDS


def test_words_of_foreign_tokenizers_are_those_of_their_pre_tokenizers_and_chinese_is_split() -> None:
    for pre_tokenizer, model, trainer in (
        (pre_tokenizers.ByteLevel(add_prefix_space=False), models.BPE(), trainers.BpeTrainer),
        (pre_tokenizers.Metaspace(), models.Unigram(), trainers.UnigramTrainer),
        (pre_tokenizers.Metaspace(split=False), models.BPE(), trainers.BpeTrainer),
    ):
        backend = Tokenizer(model)
        backend.pre_tokenizer = pre_tokenizer
        backend.decoder = decoders.ByteLevel() if isinstance(pre_tokenizer, pre_tokenizers.ByteLevel) else None
        alphabet = pre_tokenizers.ByteLevel.alphabet() if trainer is trainers.BpeTrainer else []
        backend.train_from_iterator([TEXT], trainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
        corpus = encode_sentences(tokenizer, ["unbelievable cats 猫追狗"])
        starts = [start for start, _ in backend.encode("unbelievable cats 猫追狗").offsets]
        inside = [start for start, continues in zip(starts, corpus.continues, strict=True) if continues]
        within = [start for start in starts if 0 < start < 12 or 13 < start < 17]  # neither a first letter nor Chinese
        assert [start for start in inside if start not in (0, 12, 13)] == within and len(within) > 3


def test_a_first_token_never_continues() -> None:
    corpus = encode_sentences(train(algorithm="bpe", vocab_size=64), DOCUMENTS)
    assert not corpus.continues[corpus.sentence_starts[:-1]].any() and corpus.continues.any()
