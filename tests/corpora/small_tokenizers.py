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


def _wordpiece(splitter: pre_tokenizers.PreTokenizer) -> Tokenizer:
    pieces = [*CONTROL.values(), *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokenizer = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(lowercase=False), splitter
    return tokenizer


def _unigram(splitter: pre_tokenizers.PreTokenizer | None) -> Tokenizer:
    pieces = [*CONTROL.values(), "▁", " ", "\n", *LETTERS]
    scores = [(piece, 0.0 if n < len(CONTROL) else -5.0) for n, piece in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=1, byte_fallback=False))
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
    "words": _word_level,
}


def small_tokenizer(kind: str, *, added: bool = False) -> PreTrainedTokenizerFast:
    """Return a tokenizer of a kind in BACKENDS."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=BACKENDS[kind](), **CONTROL)
    if added:
        tokenizer.add_special_tokens({"additional_special_tokens": ADDED})
    return tokenizer
