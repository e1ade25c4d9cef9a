"""Counterfactual augmentation: documents in which the words of two groups are exchanged.

Lu et al. 2018, https://arxiv.org/abs/1807.11714, add the exchanged documents to the others; Hall Maudslay et al. 2019,
https://arxiv.org/abs/1909.00871, put half of them in the place of the others. An exchanged document is the twin of the
one that it was made from, and follows it. What becomes of the twins is decided by `selection.select`.

Shapes: D documents, twins included.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from hf_embeddings.corpora.chinese import CLASS
from hf_embeddings.corpora.selection import BESIDE, INSTEAD, ORIGINAL, TWINS, digests, under
from hf_embeddings.corpora.word_pairs import WORD, WordPair

_NEXT_WORD = re.compile(rf"\s+[\"'`(\u2018\u201c]*({WORD})|/")  # a noun may stand in quotes; his/her
# After `her`, these begin something else than the noun that it belongs to.
_NO_NOUN = frozenset(
    "a about after again against also although am an and another any are as at away back be because been before "
    "but by can could did do does down during for from had has have he her here hers him his how i if in "
    "into is it its like may me might mine must my no nor now of off on once onto our out over shall she should "
    "since so some than that the their them then there these they this those though through till to toward "
    "towards under unless until up upon us was we were what when where whether which while who whom whose why "
    "will with within without would yet you your".split()
)


class Exchange:
    """Words that are exchanged, both ways, their case kept."""

    def __init__(self, pairs: Sequence[WordPair]) -> None:
        """Take pairs of words; of several partners of a word, the first counts."""
        # word -> its partner before a noun, and elsewhere
        self.partners: dict[str, tuple[str, str]] = {}
        for first, second, *elsewhere in pairs:
            self.partners.setdefault(first, (second, elsewhere[0] if elsewhere else second))
            if not elsewhere:
                self.partners.setdefault(second, (first, first))

    def __call__(self, text: str) -> str:
        """Return a text with the words exchanged; the same text where it holds none."""
        return self._pattern.sub(self._partner, text)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Words between characters of other kinds; and Chinese words anywhere, from the longest on."""
        chinese = sorted(filter(re.compile(f"[{CLASS}]").match, self.partners), key=lambda word: (-len(word), word))
        return re.compile("|".join([*chinese, WORD]))

    @cached_property
    def _capitals(self) -> dict[str, str]:
        return {word.upper(): word for word in self.partners if word != word.lower()}

    def _partner(self, match: re.Match[str]) -> str:
        word = match.group()
        known = word if word in self.partners else word.lower()
        if known not in self.partners:
            known = self._capitals.get(word, "")
            if not known:
                return word
        before_noun, elsewhere = self.partners[known]
        partner = before_noun
        if elsewhere != before_noun:
            following = _NEXT_WORD.match(match.string, match.end())
            partner = before_noun if following and (following[1] or "").lower() not in _NO_NOUN else elsewhere
        if word == known:
            return partner
        if word.isupper() and len(word) > 1:
            return partner.upper()
        return partner[:1].upper() + partner[1:] if word[:1].isupper() else partner


class Documents(NamedTuple):
    """Documents with their twins, D of them: each twin stands behind its original."""

    texts: list[str]
    marks: np.ndarray  # (D,) uint8: ORIGINAL, BESIDE or INSTEAD
    digests: np.ndarray  # (D, 2) uint64, each of its own text


@lru_cache(maxsize=4)
def exchange_of(pairs: tuple[WordPair, ...]) -> Exchange:
    """Return the exchange of some pairs, made once in a process."""
    return Exchange(pairs)


def with_twins(documents: Sequence[str], pairs: Sequence[WordPair], share: float | None) -> Documents:
    """Put behind each document that holds words of the pairs its twin.

    Args:
        documents: as they were read.
        pairs: of words; without any there are no twins.
        share: of these documents, which are to be replaced by their twins; which ones they are depends on their texts
            alone. None: all have a twin, beside which they stay.
    """
    own = digests(documents)
    if not pairs:
        return Documents(list(documents), np.zeros(len(documents), np.uint8), own)
    exchange, texts, marks = exchange_of(tuple(pairs)), [], []
    chosen = np.ones(len(own), bool) if share is None else _chosen(own, share)
    for document, is_chosen in zip(documents, chosen, strict=True):
        texts.append(document)
        marks.append(ORIGINAL)
        if is_chosen and (twin := exchange(document)) != document:
            texts.append(twin)
            marks.append(BESIDE if share is None else INSTEAD)
    return Documents(texts, np.array(marks, np.uint8), digests(texts))


def twin_rows(rows: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Return rows of the documents that were read, a twin having that of its original, (D, ...)."""
    return rows[np.cumsum(marks == ORIGINAL) - 1]


def describe_twins(statistics: Mapping[str, int]) -> list[str]:
    """Say how many documents are trained on with exchanged words; nothing where none were asked for."""
    if TWINS not in statistics:
        return []
    twins, training = statistics[TWINS], statistics["training_documents"]
    if not twins:
        return ["warning: counterfactual: no training document holds a word of the lists; give lists of its language"]
    share = f"{twins:,} of {training:,} training documents ({twins / training:.1%})"
    return [f"counterfactual: {share} hold exchanged words"]


def _chosen(keys: np.ndarray, share: float) -> np.ndarray:
    """Return which documents are in a share of them, (D,); the other half of the hash says which are held out."""
    return (keys[:, 1] < under(share)) | (share >= 1)
