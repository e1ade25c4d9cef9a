"""Which documents are trained on, which are held out, which are dropped; in bounded memory, however many there are.

Shapes: D documents.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np

from hf_embeddings.corpora.document import CorpusError
from hf_embeddings.corpora.near_duplicates import band_keys, bands, estimated_jaccard

DROPPED, TRAINING, HELD_OUT = range(3)
ORIGINAL, BESIDE, INSTEAD = range(3)  # marks of documents: as it was read; a twin beside its original, or instead of it
TWINS = "counterfactual_twins"  # in counts: twins that are trained on
_LEAKED = 3  # a role on the way: of twins whose text is held out
MIN_TRAINING_DOCUMENTS = 2  # next sentence prediction takes its false continuations from another document
MIN_EVALUATION_DOCUMENTS = 2  # and does so when it is measured
KEYS_PER_PASS = 1 << 23  # sorted at once, in some 300 MB; more documents are gone through several times
ROWS_PER_READ = 1 << 18


def digests(documents: Sequence[str]) -> np.ndarray:
    """Return a hash of each text up to white space, (D, 2) uint64."""
    hashes = (blake2b(" ".join(document.split()).encode(), digest_size=16).digest() for document in documents)
    return np.frombuffer(b"".join(hashes), dtype=">u8").astype(np.uint64).reshape(-1, 2)


class Rows(Protocol):
    """An array, or its like on disk: rows are read when they are asked for."""

    def __len__(self) -> int:
        """Return how many rows there are."""
        ...

    def __getitem__(self, rows: Any, /) -> Any:  # noqa: ANN401  as numpy has it
        """Return some rows as an array, by a slice or by their numbers."""
        ...


def select(
    keys: Rows,
    roles: np.ndarray,
    *,
    fraction: float,
    signatures: Rows | None = None,
    threshold: float | None = None,
    marks: Rows | None = None,
    place: str,
) -> dict[str, int]:
    """Give each document its role, and return how many duplicates there are.

    The first of equal documents stays. Which side a document falls on depends on its text alone, so adding documents or
    changing their order moves none.

    Args:
        keys: (D, 2) uint64, what `digests` gives, or its like on disk.
        roles: (D,) uint8, to be filled.
        fraction: share of the documents that is held out.
        signatures: (D, P) uint32, what `near_duplicates.signatures` gives; None to look at exact duplicates only.
        threshold: similarity to an earlier document from which on a document is dropped.
        marks: (D,) uint8, which documents are twins of those before them (`counterfactual.py`). The roles of the others
            are those that they have without twins; a twin is trained on where its original is, and never where its text
            is held out.
        place: the source, for errors.

    Raises:
        CorpusError: there are too few documents.
    """
    roles[:] = TRAINING
    for numbers, firsts in _groups(len(keys), partial(_own_keys, keys, marks)):
        roles[numbers[numbers != firsts]] = DROPPED
    twins = 0
    for some in _twins(marks):
        roles[some] = DROPPED
        twins += len(some)
    counts = {"duplicates": _count(roles, DROPPED) - twins}
    if signatures is not None and threshold is not None:
        for band in bands(threshold):
            for numbers, firsts in _groups(len(keys), partial(_band_keys, signatures, band)):
                later = np.flatnonzero((numbers != firsts) & (roles[numbers] != DROPPED))
                for some in np.split(later, range(ROWS_PER_READ, len(later), ROWS_PER_READ)):
                    alike = estimated_jaccard(signatures[numbers[some]], signatures[firsts[some]]) >= threshold
                    roles[numbers[some[alike]]] = DROPPED
        counts["near_duplicates"] = _count(roles, DROPPED) - counts["duplicates"] - twins
    _hold_out(keys, roles, fraction, place)
    return counts | (_place_twins(keys, roles, marks) if marks is not None else {})


def _twins(marks: Rows | None) -> Iterator[np.ndarray]:
    """Yield the numbers of the twins, some at a time."""
    for rows in _slices(0 if marks is None else len(marks)):
        assert marks is not None
        yield np.flatnonzero(marks[rows]) + rows.start


def _own_keys(keys: Rows, marks: Rows | None, rows: slice) -> np.ndarray:
    """Return keys in which no twin is the same as a document that was read."""
    if marks is None:
        return keys[rows]
    own = np.array(keys[rows])
    own[:, 1] ^= np.where(marks[rows] == ORIGINAL, np.uint64(0), np.uint64(2**64 - 1))
    return own


def _place_twins(keys: Rows, roles: np.ndarray, marks: Rows) -> dict[str, int]:
    """Train on the twins of training documents, beside them or in their place; return how many there are."""
    for numbers, firsts in _groups(len(keys), lambda rows: keys[rows]):
        alike = numbers[np.isin(firsts, firsts[roles[numbers] == HELD_OUT])]
        roles[alike[marks[alike] != ORIGINAL]] = _LEAKED
    counts = {TWINS: 0, "counterfactual_held_out": 0}
    for twins in _twins(marks):
        counts["counterfactual_held_out"] += int((roles[twins] == _LEAKED).sum())
        taken = twins[(roles[twins - 1] == TRAINING) & (roles[twins] != _LEAKED)]
        roles[twins] = DROPPED
        roles[taken] = TRAINING
        roles[taken[marks[taken] == INSTEAD] - 1] = DROPPED
        counts[TWINS] += len(taken)
    return counts


def _band_keys(signatures: Rows, band: slice, rows: slice) -> np.ndarray:
    return band_keys(signatures[rows], band)


def _groups(total: int, keys: Callable[[slice], np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield numbers of documents (N,), and beside each the first document with the same key, for all documents in turn.

    `keys` returns those of a slice of documents, (n, columns) uint64.
    """
    passes = -(-total // KEYS_PER_PASS)
    for part in range(passes):
        own_keys, numbers = [], []
        for rows in _slices(total):
            some = keys(rows)
            mine = np.flatnonzero(some[:, 0] % np.uint64(passes) == part)
            own_keys.append(some[mine])
            numbers.append(rows.start + mine)
        columns, places = np.concatenate(own_keys), np.concatenate(numbers)
        order = np.lexsort(columns.T)  # stable: equal keys stay in the order of their documents
        columns, places = columns[order], places[order]
        begins = np.append(True, (columns[1:] != columns[:-1]).any(axis=1))
        yield places, places[np.maximum.accumulate(np.where(begins, np.arange(len(places)), 0))]


def _hold_out(keys: Rows, roles: np.ndarray, fraction: float, place: str) -> None:
    """Hold out the documents whose hash, read as a fraction, is under `fraction`; in a tiny corpus, the next best."""
    kept_count, minimum = len(roles) - _count(roles, DROPPED), MIN_TRAINING_DOCUMENTS + MIN_EVALUATION_DOCUMENTS
    if kept_count < minimum:
        raise CorpusError(
            f"source {place!r}: got {kept_count} different documents, expected at least {minimum} "
            f"({MIN_TRAINING_DOCUMENTS} to train on, {MIN_EVALUATION_DOCUMENTS} to evaluate on); add documents, or "
            "separate them with blank lines (.txt)"
        )
    for rows in _slices(len(roles)):
        is_held_out = keys[rows][:, 0] < under(fraction)
        roles[rows] = np.where(is_held_out & (roles[rows] != DROPPED), HELD_OUT, roles[rows])
    count = _count(roles, HELD_OUT)
    target = min(max(count, MIN_EVALUATION_DOCUMENTS), kept_count - MIN_TRAINING_DOCUMENTS)
    if count != target:  # nearly none or nearly all of them
        numbers = np.flatnonzero(roles)
        by_hash = numbers[np.lexsort(keys[numbers].T[::-1])]
        roles[numbers] = TRAINING
        roles[by_hash[:target]] = HELD_OUT


def under(fraction: float) -> np.uint64:
    """Return what the first half of a hash is under in so many of the documents."""
    return np.uint64(min(int(fraction * 2**64), 2**64 - 1))


def _count(roles: np.ndarray, role: int) -> int:
    return sum(int((roles[rows] == role).sum()) for rows in _slices(len(roles)))


def _slices(total: int) -> Iterator[slice]:
    for first in range(0, total, ROWS_PER_READ):
        yield slice(first, min(first + ROWS_PER_READ, total))
