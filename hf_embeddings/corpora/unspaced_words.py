"""Words of scripts that are written without spaces between them, by the dictionaries of ICU.

ICU has dictionaries of Chinese and Japanese (one for both), Thai, Lao, Khmer and Burmese; no other text is looked at.
"""

import re
from collections.abc import Sequence

import numpy as np

from hf_embeddings.pip_extras import require

_RANGES = (  # first and last character
    (0x0E01, 0x0EDF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3041, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xAA60, 0xAA7F), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x20000, 0x2FA1F),
)  # fmt: skip
_UNSPACED = re.compile("[" + "".join(f"\\U{first:08X}-\\U{last:08X}" for first, last in _RANGES) + "]")


def require_icu() -> None:
    """Raise where ICU is not installed, with the line that installs it."""
    require("words", "icu4py")


def cut_words(continues: np.ndarray, begins: np.ndarray, texts: Sequence[str], lengths: np.ndarray) -> np.ndarray:
    """Return which tokens continue a word, (N,), as a dictionary has it where the script has no spaces.

    A token that begins inside of a word continues it, whatever it reaches into.

    Args:
        continues: (N,) as the tokenizer has it, which holds for all other scripts.
        begins: (N,) the first character of each token in its text.
        texts: D of them.
        lengths: (D,) tokens of each text.
    """
    firsts = np.cumsum([0, *map(len, texts)])
    places = begins + np.repeat(firsts[:-1], lengths)
    text = np.append(np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32), np.uint32(32))
    is_unspaced = np.logical_or.reduce([(first <= text) & (text <= last) for first, last in _RANGES])[places]
    starts_anew = np.append(True, places[1:] != places[:-1])  # a character in several pieces is one of a word
    begins_text = np.zeros(len(places), dtype=bool)
    begins_text[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    by_dictionary = ~(_word_starts(texts)[places] & starts_anew) & ~begins_text
    return np.where(is_unspaced, by_dictionary, continues)


def _word_starts(texts: Sequence[str]) -> np.ndarray:
    """Return which characters of texts, one after the other, begin a word, (C + 1,)."""
    from icu4py.breakers import WordBreaker

    starts = [0]
    for text in texts:
        # What is yielded are strings: ICU's own offsets count the halves of characters above U+FFFF.
        words = map(len, WordBreaker(text, "")) if _UNSPACED.search(text) else (len(text),)
        starts.extend(words)
    is_start = np.zeros(sum(map(len, texts)) + 1, dtype=bool)
    is_start[np.cumsum(starts)] = True
    return is_start
