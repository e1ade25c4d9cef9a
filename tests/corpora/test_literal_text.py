"""Laws of tokens in a text: control tokens are text with every tokenizer model, added tokens are tokens."""

import hashlib

import numpy as np
import pytest

from hf_embeddings.corpora.literal_text import literal_backend
from hf_embeddings.corpora.text_rules import TextRules
from hf_embeddings.corpora.tokenized_corpus import encode_sentences
from hf_embeddings.corpora.tokenizer import tokenizer_fingerprint
from tests.corpora.small_tokenizers import ADDED, BACKENDS, BYTES, CONTROL, small_tokenizer

PLAIN = "The price is 8 euros.  Now it is\n    10 in May. Is it? Yes."

each = pytest.mark.parametrize("kind", BACKENDS)


@each
@pytest.mark.parametrize("name", CONTROL.values())
def test_a_control_token_in_a_text_is_text(kind: str, name: str) -> None:
    tokenizer = small_tokenizer(kind)
    control = {tokenizer.convert_tokens_to_ids(token) for token in CONTROL.values()}
    texts = [name, f"The price is {name}10{name} now.", f"{name} {name}\n{name}. In {name}"]
    found = set(encode_sentences(tokenizer, texts).tokens.tolist())
    allowed = {tokenizer.unk_token_id} if kind == "words" else set()  # an unknown word
    assert found and found & control <= allowed
    assert tokenizer.convert_tokens_to_ids(name) in tokenizer(name)["input_ids"]  # the tokenizer itself is as it was


@pytest.mark.parametrize("kind", [kind for kind in BACKENDS if "bytes" in kind])
def test_the_name_of_a_byte_in_a_text_is_text(kind: str) -> None:
    tokenizer = small_tokenizer(kind)
    bytes_of_names = set(tokenizer.convert_tokens_to_ids(BYTES))
    for text in ("<0x41>", "a <0x41> is <0x41>.", "x<0x41>y<0x0A>z"):
        tokens = encode_sentences(tokenizer, [text]).tokens.tolist()
        assert tokens and not bytes_of_names & set(tokens)
    tokens = encode_sentences(tokenizer, ["é <0x41>"]).tokens.tolist()  # and bytes are bytes
    assert tokenizer.convert_ids_to_tokens([n for n in tokens if n in bytes_of_names]) == ["<0xC3>", "<0xA9>"]


@each
def test_an_added_token_is_a_token_in_a_text(kind: str) -> None:
    tokenizer = small_tokenizer(kind, added=True)
    text = "The [E1] price [/E1] is <url> in @USER . [E1]x[/E1]. In <mask>"
    tokens, own = encode_sentences(tokenizer, [text]).tokens.tolist(), tokenizer(text)["input_ids"]
    for name in ADDED:
        number = tokenizer.convert_tokens_to_ids(name)
        assert tokens.count(number) == own.count(number) == text.count(name)
    assert tokenizer.mask_token_id not in tokens


@each
@pytest.mark.parametrize("added", [False, True])
def test_a_document_has_the_tokens_that_the_tokenizer_gives_it(kind: str, added: bool) -> None:
    """No space between sentences and no indentation is lost."""
    tokenizer = small_tokenizer(kind, added=added)
    texts = [PLAIN, "  indented. So\n\n\n", " \n "]
    own = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts[:2]]
    corpus = encode_sentences(tokenizer, texts)
    assert corpus.tokens.tolist() == [number for ids in own for number in ids]
    assert corpus.document_starts.tolist() == [0, 4, 6, 6]


def test_a_sentence_begins_with_its_own_space() -> None:
    tokenizer = small_tokenizer("byte-level bpe")
    corpus = encode_sentences(tokenizer, ["A cat. A dog.\n  So"])
    ends = corpus.sentence_starts.tolist()
    sentences = [tokenizer.decode(corpus.tokens[a:b].tolist()) for a, b in zip(ends, ends[1:], strict=False)]
    assert sentences == ["A cat.", " A dog.", "\n  So"]
    assert not corpus.continues[corpus.sentence_starts[:-1]].any()


def test_one_letter_stays_a_letter() -> None:
    tokenizer = small_tokenizer("byte-level bpe")
    tokenizer.pad_token = "!"
    assert tokenizer.convert_tokens_to_ids("!") in literal_backend(tokenizer).encode("no!").ids


def test_tokenizers_that_differ_in_added_tokens_are_others() -> None:
    plain, more = small_tokenizer("unigram"), small_tokenizer("unigram", added=True)
    assert (
        tokenizer_fingerprint(plain)
        == tokenizer_fingerprint(plain, rules=1)
        == tokenizer_fingerprint(more, rules=1)
        != tokenizer_fingerprint(more)
    )


EARLIER_TEXTS = [
    "The [E1] price is <s>10</s>. so it is.  Now <mask>!\n    def x",
    "यह है। वह है। 他说。她走。 e.g. this. That",
    " \n",
    "a line\nanother line\n\nA. B",
]
EARLIER_HASHES = {  # what the first version made of these texts
    "wordpiece": "aacbb9b7fe099bd4",
    "wordpiece of whole strings": "bf8971e7e8ffc7b6",
    "unigram": "a8dfcef6621682a0",
    "unigram of whole texts": "87d18e98dab6f42f",
    "byte-level bpe": "c62413bf6452a5e7",
    "bpe": "48c45c999a9ae1bf",
    "bpe of whole words": "827529333e9df224",
    "unigram with bytes": "df9b9f608df04d1f",
    "unigram of whole texts with bytes": "297da68822f5d65d",
    "bpe with bytes": "5803003394b1807e",
    "words": "8c2673828b238bea",
}


@each
def test_what_was_begun_by_the_earlier_rules_has_the_same_tokens(kind: str) -> None:
    corpus = encode_sentences(small_tokenizer(kind, added=True), EARLIER_TEXTS, TextRules(number=1))
    digest = hashlib.sha256()
    for array in (corpus.tokens, corpus.continues, corpus.sentence_starts, corpus.document_starts):
        digest.update(array.astype(np.int64).tobytes())
    assert digest.hexdigest()[:16] == EARLIER_HASHES[kind]
