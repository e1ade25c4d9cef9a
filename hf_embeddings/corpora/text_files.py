"""Documents in files: paragraphs of text, JSON, CSV and Parquet, compressed or not, in bounded memory."""

import csv
import io
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, cast

from hf_embeddings.corpora.compression import EXPANSION, compression_of, open_text, suffix_of
from hf_embeddings.corpora.document import MAX_DOCUMENT_BYTES, CorpusError, Document, SourceReader, unreadable
from hf_embeddings.files.lines import ENDS, line_pieces
from hf_embeddings.files.reading import LARGEST, check_depth, parse_json
from hf_embeddings.files.separators import TAB, declared_separator, separator_of
from hf_embeddings.json_text import without_twins

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import FileMetaData

_BATCH_BYTES = 64 << 20  # of rows that are read at once


def read_paragraphs(path: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the documents of a text file: runs of lines between blank lines."""
    for offset, block in _blocks(path, reader, ends=_is_blank):
        text = reader.valid(decode(block, offset), path, offset)
        if text is not None:
            fields = {"source": path, "offset": offset}
            yield Document(text, fields, f"{path}, byte {offset}", place_fields=tuple(fields))


def read_json_texts(path: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the text field of each line of a JSON lines file, with the other fields."""
    for number, (offset, block) in enumerate(_blocks(path, reader, ends=lambda line: True), 1):
        place = f"{path}:{number}"
        line = reader.valid(decode(block, offset), place, offset)
        if line is None or not line.strip():
            continue
        try:
            check_depth(line, place)
            row = json.loads(line, object_pairs_hook=without_twins)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{place}: got a line that is not JSON ({error}), expected an object; fix it") from error
        yield from reader.text_of(_with_null(row, reader), place)


def read_json_file_texts(path: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the text field of each object of a JSON array; or of each line, as many a `.json` file has them."""
    try:
        with open_text(path) as file:
            content = file.read(LARGEST + 1) if file.peek(1)[:1] in b"[\xef \t\r\n" else b""
    except OSError as error:
        raise unreadable(path, error) from error
    if not content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        yield from read_json_texts(path, reader)
        return
    if len(content) > LARGEST:
        raise CorpusError(f"{path}: got an array of more than {LARGEST:,} bytes, expected fewer; write it as .jsonl")
    reader.advance(len(content))
    text = reader.valid(decode(content, 0), path, 0)
    if text is None:
        return
    try:
        rows = parse_json(text, path)
    except ValueError as error:
        raise CorpusError(str(error)) from None
    for number, row in enumerate(rows, 1):
        yield from reader.text_of(_with_null(row, reader), f"{path}, row {number}")


def read_csv(path: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the text field of each row of a CSV file, whose first line names the fields.

    They stand between commas; or between semicolons or tabs, if the first line has no comma.
    """
    yield from _table(path, reader, separator=None)


def read_tsv(path: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the text field of each row of a file with tabs between the fields, in which quotes are text."""
    yield from _table(path, reader, separator=TAB)


def _table(path: str, reader: SourceReader, *, separator: str | None) -> Iterator[Document]:
    csv.field_size_limit(MAX_DOCUMENT_BYTES)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if separator is None else csv.QUOTE_NONE
    try:
        with open_text(path) as file:
            lines = _told(io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline=""), reader)
            first = next(lines, "")
            between, above = separator or declared_separator(first) or separator_of(first), 0
            if separator is None and declared_separator(first):  # a line for Excel
                first, above = next(lines, ""), 1
            rows: csv.DictReader[str] = csv.DictReader(
                itertools.chain([first], lines), strict=True, delimiter=between, quoting=quoting
            )
            names = [name for name in rows.fieldnames or () if name]
            if twin := next((name for name in names if names.count(name) > 1), None):
                raise CorpusError(f"{path}:1: got the column {twin!r} twice, expected each once; rename one")
            for row in rows:
                if row.get(None) is not None:  # cells beyond those that the first line names
                    reader.malformed(_surplus(row, f"{path}:{rows.line_num + above}", between))
                else:
                    yield from reader.text_of(row, f"{path}:{rows.line_num + above}")
    except csv.Error as error:
        raise CorpusError(
            f"{path}:{rows.line_num + above + 1}: got a line that is not CSV ({error}); fix it"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


def read_parquet(path: str, reader: SourceReader) -> Iterator[Document]:
    """Yield a column of a Parquet file, some rows at a time."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        file = ParquetFile(path)
        if reader.text_field not in file.schema_arrow.names:
            yield from reader.text_of(dict.fromkeys(file.schema_arrow.names), path)  # says which there are
        row_bytes = os.stat(path).st_size * EXPANSION / max(file.metadata.num_rows, 1)
        columns = _columns(file.schema_arrow, reader)
        for batch in file.iter_batches(batch_size=_rows_at_once(file.metadata), columns=columns):
            reader.advance(len(batch) * row_bytes)
            for row in batch.to_pylist():
                number += 1
                yield from reader.text_of(json_values(row), f"{path}, row {number}")
    except (OSError, pyarrow.ArrowException) as error:
        raise unreadable(path, error) from error


def _columns(schema: "pyarrow.Schema", reader: SourceReader) -> list[str]:
    """Return the columns to read: the text, and where they are wanted all others but bytes and lists."""
    from pyarrow import types

    left_out = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_nested)
    kinds = zip(schema.names, schema.types, strict=True)
    others = [name for name, kind in kinds if not any(is_kind(kind) for is_kind in left_out)]
    return [name for name in schema.names if name == reader.text_field or (reader.with_fields and name in others)]


def json_values(row: dict[str, object]) -> dict[str, object]:
    """Return a row as JSON can hold it: dates and decimals are text, a number that is none is null."""
    return {name: _json_value(value) for name, value in row.items()}


def _json_value(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | list | dict | None) else str(value)


def _rows_at_once(metadata: "FileMetaData") -> int:
    """Return how many rows of a Parquet file are read at once: fewer where they are long."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return rows_at_once(sum(group.total_byte_size for group in groups), metadata.num_rows)


def rows_at_once(size: int, rows: int) -> int:
    """Return how many rows of some bytes in all are read at once: fewer where they are long."""
    return int(min(1000, max(1, _BATCH_BYTES * max(rows, 1) / max(size, 1))))


SUFFIXES: dict[str, Callable[[str, SourceReader], Iterator[Document]]] = {
    **dict.fromkeys((".txt", ".text", ".md", ".rst"), read_paragraphs),
    **dict.fromkeys((".jsonl", ".ndjson"), read_json_texts),
    ".json": read_json_file_texts,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}


def text_bytes(path: str) -> int:
    """Return the bytes of text in a file, guessed where it is compressed; 0 where there is none."""
    is_compressed = compression_of(path) is not None or suffix_of(path) == ".parquet"
    return os.stat(path).st_size * (EXPANSION if is_compressed else 1) if os.path.isfile(path) else 0


def _blocks(path: str, reader: SourceReader, *, ends: Callable[[bytes], bool]) -> Iterator[tuple[int, bytes]]:
    """Yield the byte offset and bytes of each run of lines up to one that `ends` it; of an overlong run, none."""
    offset = start = 0
    pieces: list[bytes] = []
    fresh = True  # whether the next piece begins a line
    try:
        with open_text(path) as file:
            for piece in line_pieces(file):
                offset += len(piece)
                reader.advance(len(piece))
                if offset - start <= MAX_DOCUMENT_BYTES:
                    pieces.append(piece)
                elif pieces:
                    pieces.clear()
                    reader.overlong(path, start)
                line, fresh = (piece if fresh else b"..." + piece), piece.endswith(ENDS)
                if fresh and ends(line):
                    yield start, b"".join(pieces)
                    start = offset
                    pieces.clear()
    except OSError as error:
        raise unreadable(path, error) from error
    yield start, b"".join(pieces)


def _is_blank(line: bytes) -> bool:
    """Tell whether a line has white space of any script only, such as the wide spaces of Chinese texts."""
    line = line.strip()
    return not line or (line[0] > 127 and not line.decode("utf-8", "replace").strip())


def _with_null(row: object, reader: SourceReader) -> object:
    """Return a row of JSON; a key that is left out says the same as null, where rows without text are skipped."""
    if isinstance(row, dict) and reader.on_invalid_text == "skip":
        row.setdefault(reader.text_field, None)
    return row


def _surplus(row: Mapping[str | None, object], place: str, separator: str) -> str:
    *names, _ = row
    cure = "remove the tabs from the text" if separator == TAB else f"put double quotes around text with {separator!r}"
    return (
        f"{place}: got {len(names) + len(cast(list[str], row[None]))} cells, expected {len(names)} "
        f"({', '.join(map(str, names))}); {cure}"
    )


def _told(lines: Iterable[str], reader: SourceReader) -> Iterator[str]:
    """Yield lines, telling how long they are."""
    for line in lines:
        reader.advance(len(line))
        yield line


def decode(block: bytes, offset: int) -> str:
    """Decode UTF-8 with each invalid byte 0x80..0xff as the surrogate U+DC80..U+DCFF, for `SourceReader.valid`."""
    text = block.decode("utf-8", "surrogateescape")
    return text if offset else text.removeprefix("\ufeff")  # the byte order mark of some editors
