"""Rows of texts to train on: pairs, triplets, scored pairs or texts alone, from any source of documents."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hf_embeddings.corpora.document import CorpusError, Document, SourceReader
from hf_embeddings.corpora.public_names import name_publicly
from hf_embeddings.corpora.sources import PACKAGES, read_described_documents
from hf_embeddings.embedding.options import DataOptions

TEXT = "text"  # the column that a docstring stands in
OF_PLAIN_TEXT = frozenset(("source", "offset"))  # what is known of a document of a text file, beside its text


@dataclass(frozen=True)
class Row:
    """What belongs together."""

    texts: tuple[str, ...]  # query, text, and then texts that are wrong for the query
    score: float | None = None
    document: str | None = None  # rows of one document are held out together
    place: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """The texts, up to white space."""
        return tuple(" ".join(text.split()) for text in self.texts)


def read_rows(
    options: DataOptions, source: str, columns: Sequence[str], counts: Counter[str], *, score: str | None = None
) -> list[Row]:
    """Return the different rows of a source, in its order, and count what was read and left out.

    Raises:
        CorpusError: a row lacks a column, or its score is no number; where it stands is named.
    """
    reader = SourceReader(
        text_field=columns[0],
        option="data.columns",
        with_fields=True,
        hub_split=options.hub_split,
        hub_config=options.hub_config,
        on_invalid_text=options.on_invalid_text,
        policy_option="data.on_invalid_text",
        statistics=counts,
    )
    documents: Iterator[Document] = read_described_documents(source, reader)
    if source.startswith(PACKAGES):
        documents = name_publicly(documents)
    rows: dict[tuple[object, ...], Row] = {}
    for document in documents:
        if source.startswith(PACKAGES) and options.public_only and not document.metadata.get("public"):
            counts["private_names"] += 1
            continue
        counts["rows_read"] += 1
        row = _row(document, source, columns, score, options.document_column)
        if all(text.strip() for text in row.texts):
            rows.setdefault((*row.key, row.score), row)
        else:
            counts["rows_with_an_empty_text"] += 1
        if counts["rows_read"] == options.max_rows:
            break
    counts["duplicate_rows"] += counts["rows_read"] - counts["rows_with_an_empty_text"] - len(rows)
    return list(rows.values())


def _row(
    document: Document, source: str, columns: Sequence[str], score: str | None, document_column: str | None
) -> Row:
    name = TEXT if source.startswith(PACKAGES) else columns[0]
    cells = document.metadata | {name: document.text}
    texts = [_text(cells, column, document.place) for column in columns]
    group = None if document_column is None else str(_cell(cells, document_column, document.place))
    return Row(tuple(texts), None if score is None else _number(cells, score, document.place), group, document.place)


def _cell(cells: dict[str, object], column: str, place: str) -> object:
    if column not in cells:
        if len(cells) == len(OF_PLAIN_TEXT.intersection(cells)) + 1:
            raise CorpusError(f"{place}: plain text, expected rows with {column!r}; write data.columns=[text]")
        names = ", ".join(map(repr, cells))
        raise CorpusError(f"{place}: got the columns {names}, expected {column!r}; correct data.columns")
    return cells[column]


def _text(cells: dict[str, object], column: str, place: str) -> str:
    value = _cell(cells, column, place)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CorpusError(f"{place}: got {value!r:.60} in the column {column!r}, expected text; correct data.columns")
    return value


def _number(cells: dict[str, object], column: str, place: str) -> float:
    value = _cell(cells, column, place)
    try:
        number = math.nan if isinstance(value, bool) or value is None else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise CorpusError(f"{place}: got {value!r:.60} in the column {column!r}, expected a number; correct the row")
    return number
