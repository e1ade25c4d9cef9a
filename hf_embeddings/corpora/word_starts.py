"""How a tokenizer tells the start of a word from its inside, and what its tokens are as people write them.

WordPiece marks the inside ("##ing"); SentencePiece and byte-level BPE mark the start ("▁school", "Ġschool"), and have a
row of its own for "school" inside of a longer word. A word of a text is what stands after a space.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Encoding, decoders
from transformers import PreTrainedTokenizerBase

# Scripts without spaces between words, as the names of their letters begin.
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
ANCHOR = "a"  # stands before a word, so that it is one inside of a text
BROKEN = "\ufffd"  # what a part of a character becomes
DECODERS = {"▁": decoders.Metaspace(), "Ġ": decoders.ByteLevel()}  # of files that name none
SEEN = {"\n": "⏎", "\t": "⇥", " ": "␣"}  # tokens of white space, in a picture


def word_mark(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return what stands before the first piece of a word: "Ġ", "▁", or nothing where the inside is marked."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return ""
    text = f"{ANCHOR} {ANCHOR}"
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    if backend.pre_tokenizer is not None:
        text = backend.pre_tokenizer.pre_tokenize_str(text)[-1][0]
    return text[:-1][-1:].strip()  # a space that is left is dropped by the model


def word_pieces(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> list[list[int]]:
    """Return the token ids of words as they stand in a text, after a space, without special tokens."""
    if not words:
        return []
    if not tokenizer.is_fast:
        return tokenizer(list(words), add_special_tokens=False, verbose=False)["input_ids"]
    mark = word_mark(tokenizer)
    batch = tokenizer([f"{ANCHOR} {word}" for word in words], add_special_tokens=False, verbose=False)
    return [_after_anchor(encoding, mark, word) for encoding, word in zip(batch.encodings, words, strict=True)]


def inner_pieces(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of texts as they stand inside of a word, behind a letter.

    Scripts without spaces have no inside: there it is as at the start.
    """
    mark, prefix, vocabulary = word_mark(tokenizer), inner_prefix(tokenizer), tokenizer.get_vocab()
    pieces = word_pieces(tokenizer, texts)
    for text, ids in zip(texts, pieces, strict=True):
        if not ids or is_unspaced(text):
            continue
        first = str(tokenizer.convert_ids_to_tokens(ids[0]))
        if mark and first == mark and len(ids) > 1:
            del ids[0]
        else:
            inner = first.removeprefix(mark) if mark else prefix + first
            ids[0] = vocabulary.get(inner, ids[0])
    return pieces


def split_mark(tokenizer: PreTrainedTokenizerBase, token: str, mark: str) -> tuple[str, bool]:
    """Return the text of a token without marks, and whether it stands inside of words; `mark` is what marks a start."""
    prefix = inner_prefix(tokenizer)
    if prefix:
        return token.removeprefix(prefix), token.startswith(prefix)
    return token_text(tokenizer, token).strip(), bool(mark) and not token.startswith(mark)


def inner_prefix(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return what WordPiece writes before pieces inside of words, nothing for other kinds."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return getattr(backend.model, "continuing_subword_prefix", None) or "" if backend is not None else ""


def known_words(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> dict[str, int]:
    """Return the words that are one token, with its id."""
    pieces = zip(words, word_pieces(tokenizer, words), strict=True)
    return {word: ids[0] for word, ids in pieces if len(ids) == 1 and ids[0] != tokenizer.unk_token_id}


def frequent_words(tokenizer: PreTrainedTokenizerBase, documents: Iterable[str]) -> dict[str, int]:
    """Return how often each word of documents that is one token stands in them, the most frequent first.

    Words are spelled as the tokenizer has them.

    Where a script has no spaces, any token of it counts as a word.
    """
    tokens: Counter[str] = Counter()
    for document in documents:
        (encoding,) = tokenizer([document], add_special_tokens=False, verbose=False).encodings
        spans = zip(encoding.tokens, encoding.offsets, strict=True)
        tokens.update(token for token, (start, end) in spans if _is_word(document, start, end))
    words: Counter[str] = Counter()
    for token, count in tokens.items():  # "▁school", and "school" where a text begins
        words[token_text(tokenizer, token).strip()] += count
    candidates = [word for word, _ in words.most_common() if word and BROKEN not in word]
    vocabulary = known_words(tokenizer, candidates)
    return {word: words[word] for word in candidates if word in vocabulary}


def token_text(tokenizer: PreTrainedTokenizerBase, token: str) -> str:
    """Return a token as people write it, with a space before it if it starts a word and its kind of tokenizer says so.

    Pieces within words keep the "##" of WordPiece. A token that is a part of a character gives U+FFFD.
    """
    mark, backend = word_mark(tokenizer), getattr(tokenizer, "backend_tokenizer", None)
    decoder = (backend.decoder or DECODERS.get(mark)) if backend is not None else None
    if token in tokenizer.all_special_tokens or decoder is None or isinstance(decoder, decoders.WordPiece):
        return token
    body = token.removeprefix(mark) if mark else token
    return " " * (body != token) + (decoder.decode([body]) if body else "")


def token_labels(tokenizer: PreTrainedTokenizerBase, encoding: Encoding, texts: Sequence[str]) -> list[str]:
    """Return the tokens of an encoded text or pair for a picture; a character of several tokens is numbered."""
    labels: list[str] = []
    for token, (start, end), text in zip(encoding.tokens, encoding.offsets, encoding.sequence_ids, strict=True):
        label = token_text(tokenizer, token)
        if BROKEN in label and text is not None:
            label = f"{texts[text][start:end].strip()} {_part(encoding, text, start, end, len(labels))}"
        labels.append(SEEN.get(label, label.replace("\n", SEEN["\n"]).replace("\t", SEEN["\t"])))
    return labels


def is_unspaced(word: str) -> bool:
    """Return whether a word is of a script that is written without spaces between words."""
    return any(unicodedata.name(character, "").startswith(UNSPACED) for character in word)


def _after_anchor(encoding: Encoding, mark: str, word: str) -> list[int]:
    pieces = [
        (token, index)
        for token, index, (_, end) in zip(encoding.tokens, encoding.ids, encoding.offsets, strict=True)
        if end > len(ANCHOR)
    ]
    if mark and len(pieces) > 1 and pieces[0][0] == mark and is_unspaced(word[:1]):
        pieces = pieces[1:]  # words of such scripts stand after a space by accident only
    return [index for _, index in pieces]


def _is_word(document: str, start: int, end: int) -> bool:
    """Return whether a span is letters, and neither begins nor ends inside of a word."""
    while start < end and document[start].isspace():  # byte-level tokens hold the space before them
        start += 1
    if start == end or not all(map(_is_letter, document[start:end])):
        return False
    if is_unspaced(document[start]):
        return True
    return not _is_letter(document[start - 1 : start]) and not _is_letter(document[end : end + 1])


def _is_letter(character: str) -> bool:
    """Return whether a character is a letter, or a mark on one, as vowels in Devanagari are."""
    return character != "" and unicodedata.category(character)[0] in "LM"


def _part(encoding: Encoding, text: int, start: int, end: int, index: int) -> str:
    """Return which of the tokens of a span one is: "1/3"."""
    spans = zip(encoding.sequence_ids, encoding.offsets, strict=True)
    same = [place for place, (own, span) in enumerate(spans) if own == text and span[1] == end and span[1] > start]
    return f"{same.index(index) + 1}/{len(same)}"
