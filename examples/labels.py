"""What the labels of a data set say: which problem it is, the names of the outputs, and what a model is trained on."""

from collections.abc import Callable
from typing import Any, NamedTuple

from datasets import DatasetDict, List
from label_names import known_names, two_or_more


class Labels(NamedTuple):
    """The labels of a data set."""

    problem: str  # in transformers' words
    names: list  # of the outputs
    encode: Callable[[Any], Any]  # from a label of the data to what the model is trained on

    def sentence(self, column: str) -> str:
        """Say which problem it is, so that nobody trains on another one unknowingly."""
        if self.problem == "regression":
            return f"column {column!r} holds floats: a regression (write words or integers for classes)"
        kind = "labels, several at once" if self.problem.startswith("multi") else "classes"
        more = ", ..." if len(self.names) > 10 else ""
        return f"column {column!r}: {len(self.names)} {kind}: {', '.join(map(repr, self.names[:10]))}{more}"


def read_labels(data: DatasetDict, column: str, *, own_test: bool) -> Labels:
    """Tell classes from several labels at once, as lists of names or vectors of 0 and 1, and from numbers.

    Raises:
        ValueError: as `known_names`; a vector has another length, or other numbers; there are not two classes.
    """
    kind, values = data["train"].features[column], {split: rows[column] for split, rows in data.items()}
    if isinstance(kind, List):
        return _several(str(kind.feature.dtype).startswith("float"), values, column, own_test=own_test)
    if not hasattr(kind, "dtype"):
        raise ValueError(f"column {column!r}: got labels of several kinds, expected one; write all as words")
    if str(kind.dtype).startswith("float"):
        return Labels("regression", ["score"], float)
    names = known_names({split: set(cells) for split, cells in values.items()}, column, own_test=own_test)
    return Labels("single_label_classification", two_or_more(names, column), names.index)


def _several(floats: bool, values: dict[str, list], column: str, *, own_test: bool) -> Labels:
    lists = [labels for cells in values.values() for labels in cells]
    if not any(lists):
        raise ValueError(f"column {column!r}: got empty lists only, expected names or vectors of 0 and 1")
    if _are_vectors(lists, floats=floats):
        width = len(values["train"][0])
        if other := [len(labels) for labels in lists if len(labels) != width]:
            raise ValueError(f"column {column!r}: got vectors of {width} and of {other[0]} labels, expected one length")
        return Labels("multi_label_classification", list(range(width)), lambda labels: [float(on) for on in labels])
    if floats:
        raise ValueError(
            f"column {column!r}: got vectors of other numbers than 0 and 1, expected 1 where a label holds"
        )
    sets = {split: {name for labels in cells for name in labels} for split, cells in values.items()}
    names = known_names(sets, column, own_test=own_test)
    return Labels("multi_label_classification", names, lambda labels: [float(name in labels) for name in names])


def _are_vectors(lists: list[list], *, floats: bool) -> bool:
    """Tell vectors of 0 and 1 from lists of names: they hold nothing else, and whole numbers have one length."""
    zeros_and_ones = all(value in (0, 1) for labels in lists for value in labels)
    return zeros_and_ones and (floats or len({len(labels) for labels in lists}) == 1 < len(lists[0]))
