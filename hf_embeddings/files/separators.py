"""What stands between the cells of a table in text: commas, or what Excel writes where a comma is part of a number."""

import csv
import re

TAB = "\t"
_SEPARATORS = (",", ";", TAB)


def declared_separator(line: str) -> str | None:
    """Return what a line `sep=;` declares, as Excel reads it at the top of a CSV file; None for any other line."""
    match = re.fullmatch(r"\ufeff?\"?sep=(.)\"?\s*", line, re.IGNORECASE)
    return match[1] if match else None


def separator_of(line: str) -> str:
    """Return what separates the cells of a CSV file: a comma, or else a semicolon or tab if its first line has them.

    Args:
        line: the first line, such as the names of the columns.
    """
    for separator in _SEPARATORS:
        try:
            if len(next(csv.reader([line], delimiter=separator), [])) > 1:
                return separator
        except csv.Error:
            continue
    return _SEPARATORS[0]
