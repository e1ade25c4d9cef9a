"""A small tokenizer of each kind, trained on one text: WordPiece, byte-level BPE, SentencePiece as XLM-R and T5."""

from collections.abc import Callable
from functools import cache, partial

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEXT = "The school in Europa: a café in São Paulo, two schools and singing. the breakfast was lasting at school"
TEXT += " 深度学习 🙂"
ROLES = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>"}
ROLES |= {"pad_token": "<pad>", "mask_token": "<mask>"}
SPECIAL = sorted(set(ROLES.values()))


def _finished(tokenizer: Tokenizer, trainer: object) -> str:
    tokenizer.train_from_iterator([TEXT] * 20, trainer)
    return tokenizer.to_str()


@cache  # trainers number the pieces in another way each time
def wordpiece() -> str:
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return _finished(tokenizer, trainers.WordPieceTrainer(vocab_size=160, special_tokens=SPECIAL, show_progress=False))


@cache
def byte_level(*, prefix: bool = False) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(prefix), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    options = {"special_tokens": SPECIAL, "show_progress": False, "initial_alphabet": sorted(alphabet)}
    return _finished(tokenizer, trainers.BpeTrainer(vocab_size=420, **options))


@cache
def sentencepiece(*, splits: bool = True) -> str:
    tokenizer = Tokenizer(models.Unigram())
    first = [pre_tokenizers.WhitespaceSplit()] if splits else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*first, pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    options = {"special_tokens": SPECIAL, "show_progress": False, "unk_token": "<unk>"}
    return _finished(tokenizer, trainers.UnigramTrainer(vocab_size=120, **options))


KINDS: dict[str, Callable[[], str]] = {
    "WordPiece": wordpiece,
    "byte-level": byte_level,
    "byte-level with a prefix": partial(byte_level, prefix=True),
    "SentencePiece as XLM-R": sentencepiece,
    "SentencePiece as T5": partial(sentencepiece, splits=False),
}


def tokenizer_of(kind: str) -> PreTrainedTokenizerFast:
    """Return a tokenizer of a kind; always the same, and the caller's own."""
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(KINDS[kind]()), **ROLES)
