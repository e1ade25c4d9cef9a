"""Which rows are held out: whole documents, decided by their texts alone, so that no text is on both sides."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from hf_embeddings.corpora.document import CorpusError
from hf_embeddings.corpora.selection import under
from hf_embeddings.embedding.options import LEAST_HELD_OUT, DataOptions
from hf_embeddings.embedding.rows import Row, read_rows

LARGEST_SHARE = 0.5  # of what is to be held out, that one document may make up; a larger one is trained on


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows to judge by, and the count of everything read, kept and left out."""

    training: list[Row]
    held_out: list[Row]  # empty where there is nothing to judge by
    counts: dict[str, int]

    @property
    def fingerprint(self) -> str:
        """A hash of all rows in their order, and of their sides."""
        digest = blake2b(digest_size=16)
        for row in (*self.training, None, *self.held_out):
            digest.update(repr(row and (row.texts, row.score)).encode())
        return digest.hexdigest()


def load_split(options: DataOptions) -> Split:
    """Read the rows, hold out a part, and check that no text stands on both sides.

    Raises:
        CorpusError: there are too few rows, or they cannot be parted.
    """
    counts: Counter[str] = Counter()
    rows = read_rows(options, options.source, options.columns, counts, score=options.score_column)
    if options.evaluation_source is not None:
        columns = options.evaluation_columns or options.columns
        score = options.score_column
        held_out = read_rows(options, options.evaluation_source, columns, Counter(), score=score)
        seen = {text for row in held_out for text in row.key}
        training = [row for row in rows if not seen & set(row.key)]
        counts["rows_with_a_held_out_text"] = len(rows) - len(training)
    elif len(options.columns) < 2:
        training, held_out = rows, []
    else:
        training, held_out = part(rows, options.evaluation_fraction, options.source)
    check_leak(training, held_out)
    if len(training) < 2:
        raise CorpusError(f"source {options.source!r}: got {len(training)} rows to train on, expected more; add some")
    counts["training_rows"], counts["held_out_rows"] = len(training), len(held_out)
    return Split(training, _first(held_out, options.evaluation_rows), {name: n for name, n in counts.items() if n})


def part(rows: Sequence[Row], fraction: float, source: str) -> tuple[list[Row], list[Row]]:
    """Part rows into those to train on and those held out.

    Rows that share a text, or a document, are on one side. Which side depends on the texts alone.

    Raises:
        CorpusError: too few can be held out.
    """
    documents = _documents(rows)
    sizes = Counter(documents)
    largest = max(1.0, LARGEST_SHARE * fraction * len(rows))
    bound = int(under(fraction))
    is_held_out = [int(key[:16], 16) < bound and sizes[key] <= largest for key in documents]
    held_out = [row for row, held in zip(rows, is_held_out, strict=True) if held]
    if len(held_out) < LEAST_HELD_OUT:
        raise CorpusError(
            f"source {source!r}: got {len(held_out)} rows to hold out of {len(rows)} in {len(sizes)} documents (rows "
            f"that share a text are one), expected at least {LEAST_HELD_OUT}; raise data.evaluation_fraction, or give "
            "data.evaluation_source"
        )
    return [row for row, held in zip(rows, is_held_out, strict=True) if not held], held_out


def check_leak(training: Sequence[Row], held_out: Sequence[Row]) -> None:
    """Raise where a held-out text is trained on.

    Raises:
        CorpusError: names the text and the row.
    """
    seen = {text: row.place for row in training for text in row.key}
    for row in held_out:
        if text := next((text for text in row.key if text in seen), None):
            raise CorpusError(f"{row.place}: the held-out text {text!r:.60} is trained on, too, in {seen[text]}")


def _documents(rows: Sequence[Row]) -> list[str]:
    """Return for each row a key in hexadecimal digits that the rows of its document share, from their texts alone."""
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            parents[key] = key = parents[parents[key]]
        return key

    firsts = []
    for row in rows:
        keys = [_key(text) for text in row.key] + ([] if row.document is None else [_key(f"\0{row.document}")])
        firsts.append(keys[0])
        for key in keys[1:]:
            one, other = sorted((root(keys[0]), root(key)))
            parents[other] = one  # the smallest key stands for all: no order of rows has a say
    return [_key(root(key)) for key in firsts]  # hashed again: the smallest of several keys is no fair draw


def _key(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _first(rows: list[Row], count: int) -> list[Row]:
    """Return so many rows, chosen by their texts alone, in their order."""
    if len(rows) <= count:
        return rows
    chosen = sorted(range(len(rows)), key=lambda number: _key("\1".join(rows[number].key)))[:count]
    return [rows[number] for number in sorted(chosen)]
