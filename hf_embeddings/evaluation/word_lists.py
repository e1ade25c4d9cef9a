"""Which words, tokens or sentences a picture shows."""

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from hf_embeddings.evaluation.file_lines import read_lines
from hf_embeddings.printable import counted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from hf_embeddings.corpora.document import SourceReader

FEWEST_SENTENCES = 20  # whose vectors can show the geometry of a space
SEED_EXAMPLE = {
    "synonyms": "快乐 高兴 愉悦 开心",
    "contrast": "男人 女人 国王 王后",
    "gradient": "冷 凉 温 热",
    "grammar": "走 走了 走过 走着",
}


def seed_example() -> tuple[list[str], list[str]]:
    """Return the words of the four examples, and the example each belongs to."""
    groups = [(word, group) for group, words in SEED_EXAMPLE.items() for word in words.split()]
    return [word for word, _ in groups], [group for _, group in groups]


def read_words(path: Path) -> tuple[list[str], list[str]]:
    """Read words and their groups: `group: word word ...` or one word a line, or `word<TAB>group`; each once.

    Raises:
        ValueError: the file holds no words.
    """
    words: list[str] = []
    groups: list[str] = []
    for _, line in read_lines(path):
        line = line.strip()
        if not line or line.startswith("# "):  # a comment; #rain is a word
            continue
        if "\t" in line:
            word, group = line.split("\t")[:2]
            words, groups = [*words, word.strip()], [*groups, group.strip()]
            continue
        group, colon, rest = line.partition(": ")  # with the space: 10:30 is a word
        entries = rest.split() if colon and rest.strip() else [line]
        words += entries
        groups += [group.strip() if colon and rest.strip() else "words"] * len(entries)
    if not words:
        raise ValueError(f"{path}: no words in it; expected one a line, or 'group: word word ...'")
    pairs = list(dict.fromkeys(zip(words, groups, strict=True)))
    return [word for word, _ in pairs], [group for _, group in pairs]


def frequent_tokens(
    tokenizer: "PreTrainedTokenizerBase", corpus: str, count: int, reader: "SourceReader | None" = None
) -> list[str]:
    """Return the most frequent tokens of a corpus that are words or characters, most frequent first."""
    from hf_embeddings.corpora.sources import read_documents
    from hf_embeddings.corpora.word_starts import frequent_words

    tokens = frequent_words(tokenizer, read_documents(corpus, reader))
    if len(tokens) < count:
        raise ValueError(
            f"--frequent {count}: {corpus} has {len(tokens)} different words; give a larger --text or a smaller number"
        )
    return tokens[:count]


def read_sentences(corpus: str, count: int, reader: "SourceReader | None" = None) -> list[str]:
    """Return the first different sentences of 4 words or 8 Chinese characters and more."""
    sentences: dict[str, None] = {}
    for sentence in _long_sentences(corpus, reader):
        sentences.setdefault(sentence)
        if len(sentences) == count:
            break
    return _enough(corpus, list(sentences), count)


def sample_sentences(corpus: str, count: int, reader: "SourceReader | None" = None) -> list[str]:
    """Return as many of these sentences from all over a corpus, in an order by chance; the texts alone decide."""
    drawn: dict[bytes, str] = {}
    for sentence in _long_sentences(corpus, reader):
        drawn[blake2b(sentence.encode(), digest_size=16).digest()] = sentence
        if len(drawn) == 2 * count:  # memory of no more, however long the corpus is
            drawn = dict(sorted(drawn.items())[:count])
    return _enough(corpus, [sentence for _, sentence in sorted(drawn.items())[:count]], count)


def _long_sentences(corpus: str, reader: "SourceReader | None") -> Iterator[str]:
    from hf_embeddings.corpora.sentences import split_sentences
    from hf_embeddings.corpora.sources import read_documents

    for document in read_documents(corpus, reader):
        for sentence in split_sentences(document):
            sentence = " ".join(sentence.split())
            if len(sentence.split()) >= 4 or (len(sentence) >= 8 and not sentence.isascii()):
                yield sentence


def _enough(corpus: str, sentences: list[str], count: int) -> list[str]:
    if len(sentences) < min(count, FEWEST_SENTENCES):
        raise ValueError(
            f"--text {corpus}: got {counted(len(sentences), 'sentence')}, expected at least {FEWEST_SENTENCES}; "
            "choose a longer corpus"
        )
    return sentences
