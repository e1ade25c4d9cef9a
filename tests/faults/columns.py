"""The columns of the matrix of faults: a fault each, and a row for every verb that writes."""

import pytest

from tests.faults.writing_verbs import VERBS, Verb

COLUMNS: list[str] = []


def column(title: str) -> pytest.MarkDecorator:
    """Return the rows of a column of the matrix: all verbs; one for which it means nothing is skipped, and says why."""
    COLUMNS.append(title)

    def row(name: str, verb: Verb) -> object:
        marks = [pytest.mark.faults] if verb.slow else []
        if title in verb.without:
            marks.append(pytest.mark.skip(reason=f"{title} means nothing for {name}: {verb.without[title]}"))
        return pytest.param(name, marks=marks)

    return pytest.mark.parametrize("name", [row(name, verb) for name, verb in VERBS.items()])
