"""Tables of texts: tab-separated, CSV or JSON lines, whose columns are found by their names, or by their places."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_embeddings.evaluation.file_lines import Account, read_json_lines
from hf_embeddings.evaluation.table_cells import read_cells
from hf_embeddings.json_text import as_given
from hf_embeddings.printable import counted

_BETWEEN = {True: "commas (or semicolons, if the first line has no comma)", False: "tabs"}  # for CSV, and else
_CUT = {True: "; put quotes around a text that holds one", False: "; take tabs out of the texts"}
MISSING = ("", "na", "n/a", "nan", "none", "null", "-", "?")  # what people write where they have no score


@dataclass(frozen=True)
class Column:
    """A column that a file must have: the names that it goes by, in small letters and figures only."""

    names: tuple[str, ...]  # the first ones are preferred where a file has several
    number: bool = False  # it holds numbers
    optional: bool = False  # it is read where a header names it, and empty otherwise; such columns come last


@dataclass(frozen=True)
class TableRow:
    """The cells of the columns that were asked for, in their order."""

    place: str  # path:line
    cells: list[str]

    def number(self, index: int, account: Account) -> float | None:
        """Return a cell as a number; None where it says that there is none, or one that is not finite.

        Where it is something else, the account is told, and `read_table` raises at the end of the file.
        """
        try:
            return _number(self.cells[index], self.place)
        except ValueError as error:
            account.refuse(error)
            return None


def read_table(
    path: Path, columns: Sequence[Column], account: Account, *, most: int | None = None
) -> Iterator[TableRow]:
    """Yield the rows of a file; blank lines, comments (`#`) and the header are none.

    A header counts as one where it names all columns that are asked for, or where its cell in a column of numbers is
    no number. A line that begins with `#` is a comment where it has too few columns; otherwise it is text.

    Args:
        path: the file; its suffix says of which kind it is.
        columns: the columns to read, in the order that they have in a file without a header.
        account: is told what is left out, and what was assumed.
        most: columns that a file without a header may have; None: any number, of which the first are read.

    Raises:
        ValueError: the header lacks a column; or, at the end of the file, lines that cannot be read, all of them.
    """
    kind = path.suffix.lower()
    yield from _objects(path, columns, account) if kind == ".jsonl" else _rows(path, columns, account, most)
    account.check()


def _objects(path: Path, columns: Sequence[Column], account: Account) -> Iterator[TableRow]:
    for place, row in read_json_lines(path, account):
        try:
            cells = _fields(row, columns, place)
        except ValueError as error:
            account.refuse(error)
        else:
            yield TableRow(place, cells)


def _rows(path: Path, columns: Sequence[Column], account: Account, most: int | None) -> Iterator[TableRow]:
    indices: list[int | None] | None = None
    is_csv = path.suffix.lower() == ".csv"
    width = 0
    for place, cells in read_cells(path):
        if cells[0].startswith("#") and len(cells) < len(_required(columns)):
            account.comment(place)
            continue
        if indices is None:
            indices, is_header = _choose(cells, columns, place, account, most)
            width = len(cells)
            if is_header:
                continue
        last = max(index for index in indices if index is not None)
        if len(cells) <= last or any(cells[max(width, last + 1) :]):  # beyond: a text that was cut by a separator in it
            wanted = last + 1 if len(cells) <= last else width
            words = f"got {counted(len(cells), 'column')}, expected {wanted} between {_BETWEEN[is_csv]}"
            account.refuse(f"{place}: {words}{_CUT[is_csv] if len(cells) > last else ''}")
            continue
        yield TableRow(place, ["" if column is None else cells[column] for column in indices])


def _required(columns: Sequence[Column]) -> list[Column]:
    return [column for column in columns if not column.optional]


def _choose(
    cells: list[str], columns: Sequence[Column], place: str, account: Account, most: int | None
) -> tuple[list[int | None], bool]:
    """Return from the first row which columns to read, and whether it is a header."""
    names = [_plain(cell) for cell in cells]
    places = [next((names.index(name) for name in column.names if name in names), None) for column in columns]
    optional: list[int | None] = [None] * (len(columns) - len(_required(columns)))
    columns = _required(columns)
    indices = [index for index in places[: len(columns)] if index is not None]
    if len(indices) == len(columns):
        _check_header(cells, places, place, account)
        return list(places), True
    in_order = [*range(len(columns)), *optional]
    numbers = [index for index, column in enumerate(columns) if column.number]
    unlike = [index for index in numbers if index < len(cells) and not _may_be_number(cells[index])]
    if indices and unlike and not any(cell and _may_be_number(cell) for cell in cells):
        lacking = ", ".join(columns[places.index(None)].names)
        raise ValueError(
            f"{place}: got a header of {', '.join(cells)}, expected also one of {lacking}; name the column"
        )
    if most is not None and len(cells) > most:
        raise ValueError(
            f"{place}: got {counted(len(cells), 'column')} without a header, expected {most}; name the columns "
            f"{', '.join(column.names[0] for column in columns)}"
        )
    if len(cells) > len(columns):
        account.hint = f"no header names the columns, so the first {len(columns)} of {len(cells)} are read: name them"
        account.notes.append(f"{place}: no known names of columns; the first {len(columns)} of {len(cells)} are read")
    if unlike and len(cells) >= len(columns):
        account.notes.append(f"{place}: taken for a header, as {cells[unlike[0]]!r} is no number")
        return in_order, True
    if indices:
        account.notes.append(f"{place}: read as data, though {cells[indices[0]]!r} is the name of a column")
    return in_order, False


def _check_header(cells: list[str], read: list[int | None], place: str, account: Account) -> None:
    """Refuse a column that is read and stands twice; note the columns that are not read."""
    names = [_plain(cell) for cell in cells]
    if twin := next((cells[index] for index in read if index is not None and names.count(names[index]) > 1), None):
        raise ValueError(f"{place}: got the column {twin!r} twice, expected each once; rename one")
    if others := [cell for index, cell in enumerate(cells) if cell and index not in read]:
        account.notes.append(f"{place}: columns that are not read: {', '.join(others)}")


def _fields(row: dict[str, Any], columns: Sequence[Column], place: str) -> list[str]:
    keys = {_plain(key): key for key in row}
    cells = []
    for column in columns:
        name = next((name for name in column.names if name in keys), None)
        if name is None and column.optional:
            cells.append("")
            continue
        if name is None:
            raise ValueError(
                f"{place}: got the fields {', '.join(row)}, expected one of {', '.join(column.names)}; rename one"
            )
        value = row[keys[name]]
        if isinstance(value, list | dict):
            got = f"{as_given(value)} in the field {keys[name]!r}"
            raise ValueError(f"{place}: got {got}, expected one text; fix the line")
        value = int(value) if isinstance(value, bool) else value  # such as `is_duplicate`
        cells.append("" if value is None else str(value).strip())
    return cells


def _plain(name: str) -> str:
    """Return a name as `Column.names` has it: `Human (mean)` is `humanmean`."""
    return re.sub(r"[\W_]", "", name.lower())


def _may_be_number(cell: str) -> bool:
    """Tell whether a cell can stand in a column of numbers, also where it says that there is none."""
    try:
        _number(cell, "")
    except ValueError:
        return False
    return True


def _number(cell: str, place: str) -> float | None:
    if cell.lower() in MISSING:
        return None
    try:
        value = float(cell.replace("_", "?"))  # 1_000 is a number to Python only
    except ValueError:
        raise ValueError(f"{place}: got the score {cell!r}, expected a number; fix the line") from None
    return value if math.isfinite(value) else None
