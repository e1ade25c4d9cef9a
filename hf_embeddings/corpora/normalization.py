"""The text that a tokenizer of ours sees, and the letters that it knows: the same word is written one way only."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from tokenizers import Regex, normalizers, pre_tokenizers

from hf_embeddings.corpora.chinese import RUST_CLASS

WORD_START = "▁"  # before each word, and not before punctuation and Chinese characters, which are words by themselves
LONGEST_WORD = 100  # letters; WordPiece makes one [UNK] of a longer word, and trainers take hours for very long ones
JOINERS = "\u200c\u200d"  # they part and join letters of Persian, Hindi, Sinhala ... : letters themselves
TURKISH_CASE = {"I": "ı", "İ": "i"}  # capitals and small letters of Turkish and Azerbaijani; elsewhere I becomes i
LEFT_OUT = 0.001  # share of a text that may be without letters of the vocabulary, if that leaves room for words

# Without width or meaning: control characters, soft hyphens, marks of direction, selectors of glyphs, what is no text.
_INVISIBLE = (
    r"\x{0}-\x{8}\x{E}-\x{1B}\x{7F}-\x{84}\x{86}-\x{9F}\x{AD}\x{61C}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2060}-\x{206F}"
    r"\x{FE00}-\x{FE0F}\x{FEFF}\x{FFF9}-\x{FFFB}\x{FFFD}\x{E0000}-\x{E0FFF}"
)
_SPACES = r"\x{1C}-\x{1F}\x{200B}"  # between words, U+200B on Khmer and Thai pages; no white space to others
_LETTER = rf"[^\s\p{{P}}$+<=>^`|~{WORD_START}{RUST_CLASS}]"  # whatever BertPreTokenizer leaves in one piece


class Alphabet(NamedTuple):
    """The characters that a vocabulary holds."""

    initial: list[str]
    continuing: list[str]  # those that go on within a word, as "##x"


def normalizer(
    *,
    lowercase: bool,
    strip_accents: bool,
    turkish_case: bool = False,
    removed: Collection[str] = (),
    word_starts: bool = False,
) -> normalizers.Normalizer:
    """Return BERT's normalizer, but that composed and decomposed letters are the same, and no word is lost or joined.

    Args:
        lowercase: fold case, and nothing else.
        strip_accents: remove accents and all other marks.
        turkish_case: fold I to ı and İ to i, if case is folded.
        removed: characters that are removed too.
        word_starts: put WORD_START before each word, so that text can be decoded.
    """
    parts = [
        normalizers.Replace(Regex(f"[{_INVISIBLE}{''.join(removed)}]"), ""),
        normalizers.Replace(Regex(f"[{_SPACES}{WORD_START if word_starts else ''}]"), " "),
        *_turkish(lowercase and turkish_case),
        normalizers.BertNormalizer(  # puts spaces around Chinese characters
            clean_text=False, handle_chinese_chars=True, strip_accents=strip_accents, lowercase=lowercase
        ),
        normalizers.NFC(),
    ]
    if word_starts:
        parts.append(normalizers.Replace(Regex(f"(?<!{_LETTER})(?={_LETTER})"), WORD_START))
    return normalizers.Sequence(parts)


def byte_level_normalizer(*, lowercase: bool, strip_accents: bool, turkish_case: bool) -> normalizers.Normalizer:
    """Return a normalizer that keeps all white space; composed and decomposed letters are the same."""
    marks = [normalizers.NFD(), normalizers.StripAccents()] if strip_accents else []
    case = [*_turkish(lowercase and turkish_case), *([normalizers.Lowercase()] if lowercase else [])]
    return normalizers.Sequence([*case, *marks, normalizers.NFC()])


def _turkish(is_asked: bool) -> list[normalizers.Normalizer]:
    if not is_asked:
        return []
    return [normalizers.NFC(), *(normalizers.Replace(capital, small) for capital, small in TURKISH_CASE.items())]


def pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Return BERT's splitting into words, and longer words cut, as text without spaces has them."""
    long_words = pre_tokenizers.Split(Regex(rf"[^\s\p{{P}}]{{{LONGEST_WORD}}}"), "isolated")
    return pre_tokenizers.Sequence([long_words, pre_tokenizers.BertPreTokenizer()])


def alphabet(
    documents: Iterable[str],
    normalizer: normalizers.Normalizer,
    splitter: pre_tokenizers.PreTokenizer,
    *,
    min_frequency: int,
    size: int,
    forms: int,
) -> Alphabet:
    """Return the characters that a vocabulary holds, the most frequent ones.

    They take half of it, as thousands of Chinese characters must leave room for words; or more, as long as without them
    more than LEFT_OUT of the text would be unknown.

    Args:
        documents: texts.
        normalizer: of the tokenizer.
        splitter: its splitting into words.
        min_frequency: occurrences that a character needs.
        size: pieces that the vocabulary can hold.
        forms: pieces of a letter that goes on within a word, 1 or 2.
    """
    raw_counts: Counter[str] = Counter()
    for document in documents:
        raw_counts.update(unicodedata.normalize("NFC", document))
    counts: Counter[str] = Counter()
    for character, count in raw_counts.items():
        for letter in normalizer.normalize_str(character):
            if not letter.isspace():
                counts[letter] += count
    initial: list[str] = []
    continuing: list[str] = []
    total = left = counts.total()
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        limit = size if left > LEFT_OUT * total else size // 2
        if count < min_frequency or len(initial) + len(continuing) + forms > limit:
            break
        left -= count
        initial.append(character)
        word = normalizer.normalize_str(f"a{character}")
        if forms > 1 and len(splitter.pre_tokenize_str(word)) == 1:  # neither punctuation nor Chinese
            continuing.append(f"##{character}")
    return Alphabet(sorted(initial), sorted(continuing))
