"""Which words, tokens or sentences a picture shows."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from hf_embeddings.evaluation.file_lines import read_lines
from hf_embeddings.evaluation.table_cells import read_cells
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


HEADS = ("word", "words", "text", "term", "label", "词", "词语")  # of the first column, where a table names its columns
GROUP_HEADS = ("group", "category", "class", "组", "类别")
NO_GROUP = "words"


@dataclass(frozen=True)
class WordList:
    """Words, each once, the group of each, and what else a table says of them."""

    words: list[str]
    groups: list[str]
    columns: dict[str, list[str]] = field(default_factory=dict)  # name -> a cell for each word
    counts: list[int] | None = None  # how often each stands in the corpus that it comes from


def seed_example() -> WordList:
    """Return the words of the four examples, and the example each belongs to."""
    groups = [(word, group) for group, words in SEED_EXAMPLE.items() for word in words.split()]
    return WordList([word for word, _ in groups], [group for _, group in groups])


def read_words(path: Path) -> WordList:
    """Read words and their groups: `group: word word ...` or one word a line, or a table, by tabs or as CSV.

    The first column of a table holds words. If its first row names it `word`, the others have names too; else the
    second column is the group.

    Raises:
        ValueError: the file holds no words.
    """
    entries = _table_entries(path) if path.suffix.lower() == ".csv" else _line_entries(path)
    head = [cell.casefold() for cell in entries[0]] if entries else []
    names: list[str] = []
    if len(head) > 1 and head[0] in HEADS:
        names, entries = entries[0], entries[1:]
    if not entries:
        raise ValueError(f"{path}: no words in it; expected one a line, or 'group: word word ...'")
    group = next((place for place, name in enumerate(head) if name in GROUP_HEADS), 0) if names else 1
    entries = [cells + [""] * (max(2, len(names)) - len(cells)) for cells in entries]
    groups = [(cells[group] if group else "") or NO_GROUP for cells in entries]
    first_rows: dict[tuple[str, str], int] = {}
    for row, (cells, own) in enumerate(zip(entries, groups, strict=True)):
        first_rows.setdefault((cells[0], own), row)
    kept = first_rows.values()
    places = [place for place, name in enumerate(names) if name and place not in (0, group)]
    columns = {names[place]: [entries[row][place] for row in kept] for place in places}
    return WordList([entries[row][0] for row in kept], [groups[row] for row in kept], columns)


def _table_entries(path: Path) -> list[list[str]]:
    return [cells for _, cells in read_cells(path) if cells[0].strip() and not cells[0].startswith("# ")]


def _line_entries(path: Path) -> list[list[str]]:
    """Return the cells of each word of a file of lines: the word, its group, and further columns."""
    entries: list[list[str]] = []
    for _, line in read_lines(path):
        line = line.strip()
        if not line or line.startswith("# "):  # a comment; #rain is a word
            continue
        if "\t" in line:
            entries.append([cell.strip() for cell in line.split("\t")])
            continue
        group, colon, rest = line.partition(": ")  # with the space: 10:30 is a word
        words = rest.split() if colon and rest.strip() else [line]
        entries += [[word, group.strip() if colon and rest.strip() else NO_GROUP] for word in words]
    return entries


def frequent_tokens(
    tokenizer: "PreTrainedTokenizerBase", corpus: str, count: int, reader: "SourceReader | None" = None
) -> dict[str, int]:
    """Return the most frequent tokens of a corpus that are words or characters, and how often each stands in it."""
    from hf_embeddings.corpora.sources import read_documents
    from hf_embeddings.corpora.word_starts import frequent_words

    tokens = frequent_words(tokenizer, read_documents(corpus, reader))
    if len(tokens) < count:
        raise ValueError(
            f"--frequent {count}: {corpus} has {len(tokens)} different words; give a larger --text or a smaller number"
        )
    return dict(islice(tokens.items(), count))


def count_words(words: Sequence[str], corpus: str, reader: "SourceReader | None" = None) -> list[int]:
    """Return how often each word stands in a corpus, in capitals or not; without spaces between words, anywhere."""
    from hf_embeddings.corpora.sources import read_documents
    from hf_embeddings.corpora.word_starts import is_unspaced

    folded = [word.casefold() for word in words]
    inside = {word for word in folded if is_unspaced(word) or not re.fullmatch(r"\w+", word)}
    counts: Counter[str] = Counter()
    for document in read_documents(corpus, reader):
        text = document.casefold()
        counts.update(word for word in re.findall(r"\w+", text) if word not in inside)
        counts.update({word: text.count(word) for word in inside})
    return [counts[word] for word in folded]


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
