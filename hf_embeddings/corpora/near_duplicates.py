"""Near-duplicates: MinHash signatures of runs of words, and the bands in which alike documents meet.

Broder 1997, "On the resemblance and containment of documents"; bands as in Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", chapter 3. The signatures are rensa's. Shapes: D documents, P permutations.
"""

import importlib.util
import re
from collections.abc import Sequence

import numpy as np

from hf_embeddings.corpora.chinese import CLASS
from hf_embeddings.pip_extras import cure
from hf_embeddings.randomness import mixed

PERMUTATIONS = 128  # the error of an estimated similarity of 0.8 is 0.035 (one standard deviation)
SHINGLE_WORDS = 5  # a document is the set of its runs of so many words
# A document at the threshold meets its like in some band with 98 % at 0.8; those that only seem alike are compared.
MARGIN = 0.1
_WORD = re.compile(rf"[{CLASS}]|[^\W{CLASS}]+")  # a Chinese character is a word


def require_library() -> None:
    """Raise where rensa is missing.

    Raises:
        ValueError: names the command that installs it.
    """
    if importlib.util.find_spec("rensa") is None:
        raise ValueError(f"corpus.near_duplicates: rensa is not installed; {cure('prep')}")


def signatures(documents: Sequence[str]) -> np.ndarray:
    """Return the MinHash signature of each document, (D, P) uint32."""
    from rensa import RMinHash

    rows = RMinHash.digests_from_token_sets([_shingles(document) for document in documents], PERMUTATIONS, 0)
    return np.array(rows, dtype=np.uint32).reshape(len(documents), PERMUTATIONS)


def estimated_jaccard(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the estimated Jaccard similarity of documents with these signatures, (D,)."""
    return (first == second).mean(axis=1)


def bands(threshold: float) -> list[slice]:
    """Cut a signature into as few and as wide bands as find documents at the threshold."""
    widths = range(1, PERMUTATIONS + 1)
    rows = max((n for n in widths if (n / PERMUTATIONS) ** (1 / n) <= threshold - MARGIN), default=1)
    return [slice(first, first + rows) for first in range(0, PERMUTATIONS - rows + 1, rows)]


def band_keys(signatures: np.ndarray, band: slice) -> np.ndarray:
    """Return a key of each document that those with an equal band share, (D, 1) uint64."""
    keys = np.zeros(len(signatures), dtype=np.uint64)
    for column in signatures[:, band].T:
        keys = mixed(keys + column)
    return keys[:, None]


def _shingles(document: str) -> list[str]:
    words = _WORD.findall(document.lower()) or [document]
    return [" ".join(words[first : first + SHINGLE_WORDS]) for first in range(max(1, len(words) - SHINGLE_WORDS + 1))]
