"""What stands between the cells of a table in text: commas, or what Excel writes where a comma is part of a number."""

import csv

TAB = "\t"
_SEPARATORS = (",", ";", TAB)


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
