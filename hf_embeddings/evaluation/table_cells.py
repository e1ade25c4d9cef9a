"""The cells of a table in text, row by row: between tabs, or CSV as spreadsheets write it."""

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from hf_embeddings.evaluation.file_lines import read_lines
from hf_embeddings.files.separators import TAB, declared_separator, separator_of

LONGEST_CELL = 16 << 20  # characters of a cell of CSV
KINDS = "tab-separated text (.tsv, .txt), .csv or .jsonl"
_CURES = {
    ".json": "write one object a line, as .jsonl",
    **dict.fromkeys((".parquet", ".arrow", ".xlsx", ".xls", ".ods"), "export the table as .csv"),
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip"), "unpack it"),
}


def read_cells(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the place (`path:line`) and the cells of each row that is not blank.

    Text between tabs is CSV where each cell of the first row stands in quotes, as R writes it; elsewhere its quotes are
    text. The line `sep=;` at the top, which is for Excel, is no row.

    Raises:
        ValueError: the file is of another kind, a line is no text, or a row is not CSV.
    """
    kind = path.suffix.lower()
    if kind in _CURES:
        raise ValueError(f"{path}: got a {kind} file, expected {KINDS}; {_CURES[kind]}")
    lines = (line for _, line in read_lines(path))
    first, skipped = next(lines, ""), 0
    separator = declared_separator(first)
    if separator:
        first, skipped = next(lines, ""), 1
    elif kind == ".csv":
        separator = separator_of(first)
    elif _all_quoted(first.split(TAB)):
        separator = TAB
    rest = chain([first], lines)
    return _csv_rows(path, rest, separator, skipped) if separator else _tab_rows(path, rest)


def _tab_rows(path: Path, lines: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f"{path}:{number}", [cell.strip() for cell in line.split(TAB)]


def _csv_rows(path: Path, lines: Iterator[str], separator: str, skipped: int) -> Iterator[tuple[str, list[str]]]:
    csv.field_size_limit(LONGEST_CELL)
    rows = csv.reader((f"{line}\n" for line in lines), strict=True, delimiter=separator)
    while True:
        place = f"{path}:{rows.line_num + skipped + 1}"  # where a row begins; it may go over several lines
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise ValueError(f"{place}: got a row that is not CSV ({error}); fix the quotes") from None
        if row is None:
            return
        if "".join(row).strip():
            yield place, [cell.strip() for cell in row]


def _all_quoted(cells: list[str]) -> bool:
    """Tell whether each of several cells stands in quotes."""
    stripped = [cell.strip() for cell in cells]
    return len(cells) > 1 and all(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in stripped)
