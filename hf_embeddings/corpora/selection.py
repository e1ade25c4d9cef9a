"""Which documents are trained on, which are held out, which are dropped; in bounded memory, however many there are.

Shapes: D documents.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b

import numpy as np

from hf_embeddings.corpora.document import CorpusError
from hf_embeddings.corpora.near_duplicates import band_keys, bands, estimated_jaccard

DROPPED, TRAINING, HELD_OUT = range(3)
MIN_TRAINING_DOCUMENTS = 2  # next sentence prediction takes its false continuations from another document
MIN_EVALUATION_DOCUMENTS = 2  # and does so when it is measured
KEYS_PER_PASS = 1 << 23  # sorted at once, in some 300 MB; more documents are gone through several times
ROWS_PER_READ = 1 << 18


def digests(documents: Sequence[str]) -> np.ndarray:
    """Return a hash of each text up to white space, (D, 2) uint64."""
    hashes = (blake2b(" ".join(document.split()).encode(), digest_size=16).digest() for document in documents)
    return np.frombuffer(b"".join(hashes), dtype=">u8").astype(np.uint64).reshape(-1, 2)


def select(
    keys: np.ndarray,
    roles: np.ndarray,
    *,
    fraction: float,
    signatures: np.ndarray | None = None,
    threshold: float | None = None,
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
        place: the source, for errors.

    Raises:
        CorpusError: there are too few documents.
    """
    roles[:] = TRAINING
    for numbers, firsts in _groups(len(keys), lambda rows: keys[rows]):
        roles[numbers[numbers != firsts]] = DROPPED
    counts = {"duplicates": _count(roles, DROPPED)}
    if signatures is not None and threshold is not None:
        for band in bands(threshold):
            for numbers, firsts in _groups(len(keys), partial(_band_keys, signatures, band)):
                later = np.flatnonzero((numbers != firsts) & (roles[numbers] != DROPPED))
                for some in np.split(later, range(ROWS_PER_READ, len(later), ROWS_PER_READ)):
                    alike = estimated_jaccard(signatures[numbers[some]], signatures[firsts[some]]) >= threshold
                    roles[numbers[some[alike]]] = DROPPED
        counts["near_duplicates"] = _count(roles, DROPPED) - counts["duplicates"]
    _hold_out(keys, roles, fraction, place)
    return counts


def _band_keys(signatures: np.ndarray, band: slice, rows: slice) -> np.ndarray:
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


def _hold_out(keys: np.ndarray, roles: np.ndarray, fraction: float, place: str) -> None:
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
