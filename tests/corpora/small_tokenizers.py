"""A small tokenizer of every kind, with control tokens in its vocabulary and tokens that a user added."""

from collections.abc import Callable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

CONTROL = {
    "pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "<mask>",
    "bos_token": "<s>", "eos_token": "</s>",
}  # fmt: skip
ADDED = ["[E1]", "[/E1]", "@USER", "<url>"]
LETTERS = [chr(code) for code in range(33, 127)]
BYTES = [f"<0x{number:02X}>" for number in range(256)]  # the tokens of byte fallback


def _wordpiece(splitter: pre_tokenizers.PreTokenizer) -> Tokenizer:
    pieces = [*CONTROL.values(), *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokenizer = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(lowercase=False), splitter
    return tokenizer


def _unigram(splitter: pre_tokenizers.PreTokenizer | None, *, byte_fallback: bool = False) -> Tokenizer:
    pieces = [*CONTROL.values(), *(BYTES if byte_fallback else []), "▁", " ", "\n", *LETTERS]
    scores = [(piece, 0.0 if piece in CONTROL.values() or piece in BYTES else -5.0) for piece in pieces]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=1, byte_fallback=byte_fallback))
    if splitter is not None:
        tokenizer.pre_tokenizer = splitter
    return tokenizer


def _bpe(splitter: pre_tokenizers.PreTokenizer, **settings: object) -> Tokenizer:
    letters = [*LETTERS, "▁", "\n", *(c for c in sorted(pre_tokenizers.ByteLevel.alphabet()) if c not in LETTERS)]
    # "<s>" and "<mask" can be merged, as in vocabularies that were trained on pages with markup.
    merges = [("<", "s"), ("<s", ">"), ("m", "a"), ("ma", "s"), ("mas", "k"), ("<", "mask")]
    pieces = [*CONTROL.values(), *letters]
    pieces += [a + b for a, b in merges if a + b not in pieces]
    tokenizer = Tokenizer(models.BPE({p: n for n, p in enumerate(pieces)}, merges, unk_token="<unk>", **settings))
    tokenizer.pre_tokenizer = splitter
    return tokenizer


def _byte_level() -> Tokenizer:
    tokenizer = _bpe(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _bpe_with_bytes() -> Tokenizer:
    """As Llama's: spaces become signs in the normalizer, and merges lead to the name of a byte."""
    letters, merges = [*LETTERS, "▁", "\n"], [("4", "1"), ("<", "0"), ("<0", "x"), ("<0x", "41"), ("<0x41", ">")]
    pieces = [*CONTROL.values(), *BYTES, *letters, "41", "<0", "<0x", "<0x41"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return tokenizer


def _word_level() -> Tokenizer:
    pieces = [*CONTROL.values(), "The", "price", "is", "in", "now", "."]
    tokenizer = Tokenizer(models.WordLevel({piece: n for n, piece in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


BACKENDS: dict[str, Callable[[], Tokenizer]] = {
    "wordpiece": lambda: _wordpiece(pre_tokenizers.BertPreTokenizer()),
    "wordpiece of whole strings": lambda: _wordpiece(pre_tokenizers.WhitespaceSplit()),
    "unigram": lambda: _unigram(pre_tokenizers.Metaspace()),
    "unigram of whole texts": lambda: _unigram(None),
    "byte-level bpe": _byte_level,
    "bpe": lambda: _bpe(pre_tokenizers.Metaspace()),
    "bpe of whole words": lambda: _bpe(pre_tokenizers.WhitespaceSplit(), ignore_merges=True),
    "unigram with bytes": lambda: _unigram(pre_tokenizers.Metaspace(), byte_fallback=True),
    "unigram of whole texts with bytes": lambda: _unigram(None, byte_fallback=True),
    "bpe with bytes": _bpe_with_bytes,
    "words": _word_level,
}


def small_tokenizer(kind: str, *, added: bool = False) -> PreTrainedTokenizerFast:
    """Return a tokenizer of a kind in BACKENDS."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=BACKENDS[kind](), **CONTROL)
    if added:
        tokenizer.add_special_tokens({"additional_special_tokens": ADDED})
    return tokenizer
