"""Documents in files: paragraphs of text, JSON lines, CSV and Parquet, compressed or not, in bounded memory."""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO, cast

from hf_embeddings.corpora.document import MAX_DOCUMENT_BYTES, CorpusError, Document, SourceReader, unreadable
from hf_embeddings.files.reading import check_depth, encoding_of
from hf_embeddings.json_text import without_twins

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import FileMetaData

_BATCH_BYTES = 64 << 20  # of rows that are read at once
_PIECE_BYTES = 1 << 20  # a line of any length is read in pieces of this size


def read_paragraphs(path: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the documents of a text file: runs of lines between blank lines."""
    for offset, block in _blocks(path, reader, ends=_is_blank):
        text = reader.valid(_decode(block, offset), path, offset)
        if text is not None:
            fields = {"source": path, "offset": offset}
            yield Document(text, fields, f"{path}, byte {offset}", place_fields=tuple(fields))


def read_json_texts(path: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the text field of each line of a JSON lines file, with the other fields."""
    for number, (offset, block) in enumerate(_blocks(path, reader, ends=lambda line: True), 1):
        place = f"{path}:{number}"
        line = reader.valid(_decode(block, offset), place, offset)
        if line is None or not line.strip():
            continue
        try:
            check_depth(line, place)
            row = json.loads(line, object_pairs_hook=without_twins)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{place}: got a line that is not JSON ({error}), expected an object; fix it") from error
        if isinstance(row, dict) and reader.on_invalid_text == "skip":
            row.setdefault(reader.text_field, None)  # a key that is left out says the same as null
        yield from reader.text_of(row, place)


def read_csv(path: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the text field of each row of a CSV file, whose first line names the fields."""
    csv.field_size_limit(MAX_DOCUMENT_BYTES)
    try:
        with _open(path) as file:
            lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
            rows = csv.DictReader(_told(lines, reader), strict=True)
            names = [name for name in rows.fieldnames or () if name]
            if twin := next((name for name in names if names.count(name) > 1), None):
                raise CorpusError(f"{path}:1: got the column {twin!r} twice, expected each once; rename one")
            for row in rows:
                if row.get(None) is not None:  # cells beyond those that the first line names
                    reader.malformed(_surplus(row, f"{path}:{rows.line_num}"))
                else:
                    yield from reader.text_of(row, f"{path}:{rows.line_num}")
    except csv.Error as error:
        raise CorpusError(f"{path}:{rows.line_num + 1}: got a line that is not CSV ({error}); fix it") from error
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
    ".txt": read_paragraphs,
    ".jsonl": read_json_texts,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
EXPANSION = 4  # a guess at the text in a byte of a compressed file, for the time left
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}  # may follow every suffix but that of Parquet


def suffix_of(path: str) -> str:
    """Return what a file name ends with, in lower case and before that of a compression."""
    name, suffix = os.path.splitext(path.lower())
    return os.path.splitext(name)[1] if suffix in COMPRESSIONS else suffix


def text_bytes(path: str) -> int:
    """Return the bytes of text in a file, guessed where it is compressed; 0 where there is none."""
    is_compressed = os.path.splitext(path)[1].lower() in (*COMPRESSIONS, ".parquet")
    return os.stat(path).st_size * (EXPANSION if is_compressed else 1) if os.path.isfile(path) else 0


def _blocks(path: str, reader: SourceReader, *, ends: Callable[[bytes], bool]) -> Iterator[tuple[int, bytes]]:
    """Yield the byte offset and bytes of each run of lines up to one that `ends` it; of an overlong run, none."""
    offset = start = 0
    pieces: list[bytes] = []
    fresh = True  # whether the next piece begins a line
    try:
        with _open(path) as file:
            while piece := file.readline(_PIECE_BYTES):
                offset += len(piece)
                reader.advance(len(piece))
                if offset - start <= MAX_DOCUMENT_BYTES:
                    pieces.append(piece)
                elif pieces:
                    pieces.clear()
                    reader.overlong(path, start)
                line, fresh = (piece if fresh else b"..." + piece), piece.endswith(b"\n")
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


def _open(path: str) -> BinaryIO:
    """Open a file that may be compressed.

    Raises:
        CorpusError: it begins as one in UTF-16 or UTF-32.
    """
    compression = COMPRESSIONS.get(os.path.splitext(path)[1].lower())
    if compression is None:
        file = open(path, "rb")  # noqa: SIM115  the caller closes it
    else:
        import pyarrow

        file = io.BufferedReader(pyarrow.input_stream(path, compression=compression))
    if encoding := encoding_of(file.peek(4)):
        file.close()
        raise CorpusError(f"{path}: got {encoding}, expected UTF-8 text; save the file as UTF-8")
    return file


def _surplus(row: Mapping[str | None, object], place: str) -> str:
    *names, _ = row
    return (
        f"{place}: got {len(names) + len(cast(list[str], row[None]))} cells, expected {len(names)} "
        f"({', '.join(map(str, names))}); put double quotes around text with commas"
    )


def _told(lines: Iterable[str], reader: SourceReader) -> Iterator[str]:
    """Yield lines, telling how long they are."""
    for line in lines:
        reader.advance(len(line))
        yield line


def _decode(block: bytes, offset: int) -> str:
    """Decode UTF-8 with each invalid byte 0x80..0xff as the surrogate U+DC80..U+DCFF, for `SourceReader.valid`."""
    text = block.decode("utf-8", "surrogateescape")
    return text if offset else text.removeprefix("\ufeff")  # the byte order mark of some editors
