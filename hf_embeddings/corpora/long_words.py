"""Words of thousands of letters, such as a genome or base64, cut for the training of a tokenizer.

Trainers take time that grows with the square of a word. Nothing but their training is cut.
"""

import re
from collections.abc import Iterator
from itertools import count

from hf_embeddings.corpora.chinese import CLASS

LONGEST_TRAINED = 1000  # letters; more of one word are cut
MOST_PARTS = 64  # of long words, evenly chosen: they repeat little, and trainers keep every string that occurs twice
# Without white space, punctuation and Chinese characters, which are words by themselves.
_LONG = re.compile(rf"[^\s!-/:-@\[-`{{-~\u2000-\u206f\u3000-\u303f\uff00-\uff0f{CLASS}]{{{LONGEST_TRAINED + 1},}}")


def cut_long_words(documents: list[str]) -> tuple[list[str], int]:
    """Return documents with the parts of long words that are trained on, and how many letters are left out."""
    parts = sum(-(-len(word) // LONGEST_TRAINED) for document in documents for word in _LONG.findall(document))
    if not parts:
        return documents, 0
    numbers, step, left_out = count(), -(-parts // MOST_PARTS), 0

    def chosen(match: re.Match[str]) -> str:
        nonlocal left_out
        parts = [part for part in _parts(match.group()) if next(numbers) % step == 0]
        left_out += len(match.group()) - sum(map(len, parts))
        return " ".join(parts)

    return [_LONG.sub(chosen, document) for document in documents], left_out


def _parts(word: str) -> Iterator[str]:
    for start in range(0, len(word), LONGEST_TRAINED):
        yield word[start : start + LONGEST_TRAINED]
