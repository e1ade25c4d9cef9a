"""What the labels of a data set say: which problem it is, the names of the outputs, and what a model is trained on."""

from collections.abc import Callable
from typing import Any, NamedTuple

from datasets import DatasetDict, List


class Labels(NamedTuple):
    """The labels of a data set."""

    problem: str  # in transformers' words
    names: list  # of the outputs
    encode: Callable[[Any], Any]  # from a label of the data to what the model is trained on


def read_labels(data: DatasetDict, column: str, *, own_test: bool) -> Labels:
    """Tell classes from several labels at once, as lists of names or vectors of 0 and 1, and from numbers.

    Raises:
        ValueError: as `known_names`; or a vector has another length.
    """
    kind, values = data["train"].features[column], {split: rows[column] for split, rows in data.items()}
    if not isinstance(kind, List):
        if str(kind.dtype).startswith("float"):
            return Labels("regression", ["score"], float)
        names = known_names({split: set(cells) for split, cells in values.items()}, column, own_test=own_test)
        return Labels("single_label_classification", names, names.index)
    lists = [labels for cells in values.values() for labels in cells]
    if _are_vectors(lists, floats=str(kind.feature.dtype).startswith("float")):
        width = len(values["train"][0])
        if other := [len(labels) for labels in lists if len(labels) != width]:
            raise ValueError(f"column {column!r}: got vectors of {width} and of {other[0]} labels, expected one length")
        return Labels("multi_label_classification", list(range(width)), lambda labels: [float(on) for on in labels])
    sets = {split: {name for labels in cells for name in labels} for split, cells in values.items()}
    names = known_names(sets, column, own_test=own_test)
    return Labels("multi_label_classification", names, lambda labels: [float(name in labels) for name in names])


def read_tags(data: DatasetDict, words: str, tags: str, *, own_test: bool) -> list:
    """Return the tags of words, sorted.

    Raises:
        ValueError: a row has not as many tags as words, or as `known_names`.
    """
    for split, rows in data.items():
        for number, (of_words, of_tags) in enumerate(zip(rows[words], rows[tags], strict=True), 1):
            if len(of_words) != len(of_tags):
                raise ValueError(
                    f"{split} data, row {number}: got {len(of_words)} words and {len(of_tags)} tags, expected as many"
                )
    tags_by_split = {split: {tag for of_tags in rows[tags] for tag in of_tags} for split, rows in data.items()}
    return known_names(tags_by_split, tags, own_test=own_test)


def known_names(by_split: dict[str, set], column: str, *, own_test: bool) -> list:
    """Return the labels of the training data, sorted; with those of rows that were set apart from the same file.

    Raises:
        ValueError: test data of their own have others, which no output could stand for.
    """
    if not own_test:
        by_split = by_split | {"train": by_split["train"] | by_split["test"]}
    if unseen := sorted(by_split["test"] - by_split["train"], key=str):
        listing = ", ".join(map(repr, unseen[:3])) + (f" and {len(unseen) - 3} more" if len(unseen) > 3 else "")
        raise ValueError(
            f"column {column!r}: only the test data have the label {listing}, expected those of the training data; add "
            "rows with it to these, or leave the test rows out"
        )
    return sorted(by_split["train"], key=str if any(isinstance(name, str) for name in by_split["train"]) else None)


def _are_vectors(lists: list[list], *, floats: bool) -> bool:
    """Tell vectors of 0 and 1 from lists of names: they hold nothing else, and whole numbers have one length."""
    zeros_and_ones = all(value in (0, 1) for labels in lists for value in labels)
    return zeros_and_ones and (floats or len({len(labels) for labels in lists}) == 1 < len(lists[0]))
