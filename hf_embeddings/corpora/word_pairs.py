"""Pairs of words that name two groups: lists that come with the package, and those of files."""

import os
import re
from collections.abc import Sequence
from importlib.resources import files

from hf_embeddings.corpora.chinese import CLASS
from hf_embeddings.files.reading import read_text
from hf_embeddings.printable import counted

LISTS = ("english-gender", "chinese-gender")
WORD = rf"[^\W{CLASS}]+"  # of a script with spaces, as a pattern
_LISTED = re.compile(rf"{WORD}|[{CLASS}]+")
WordPair = tuple[str, ...]  # two words; or three: what the first becomes before a noun, and what elsewhere


def read_word_pairs(names: Sequence[str]) -> list[WordPair]:
    """Read lists of word pairs, each by its name or by the path of a file with two or three words a line.

    A word that stands twice in its line is one that is left as it is. Lines that begin with `#` are comments.

    Raises:
        ValueError: there is no such list or file, or a line holds something else.
    """
    pairs = [pair for name in names for pair in _read(name)]
    if names and all(first == second for first, second, *_ in pairs):
        raise ValueError(f"{', '.join(names)}: holds no pair of two words, expected some, such as 'he she'")
    return list(dict.fromkeys(pairs))


def is_file(name: str) -> bool:
    """Tell whether a list is a file of the user's."""
    return name not in LISTS


def _read(name: str) -> list[WordPair]:
    if not is_file(name):
        text = files("hf_embeddings.corpora").joinpath("pairs", f"{name}.txt").read_text(encoding="utf-8")
    else:
        path = os.path.expanduser(name)
        if not os.path.exists(path):
            raise ValueError(
                f"{name}: no such file, expected one with pairs of words, or one of {', '.join(LISTS)}; check the path"
            )
        text = read_text(path)
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [_pair(line, f"{name}:{number}") for number, line in lines if line and not line.startswith("#")]


def _pair(line: str, place: str) -> WordPair:
    words = tuple(line.split())
    if len(words) not in (2, 3):
        raise ValueError(f"{place}: got {counted(len(words), 'word')}, expected two, or three; fix the line")
    if wrong := next((word for word in words if not _LISTED.fullmatch(word)), None):
        raise ValueError(
            f"{place}: got {wrong!r}, expected a word of letters that have no marks beside them, or of Chinese "
            "characters; fix the line"
        )
    return words
