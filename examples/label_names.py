"""The names of the labels of a data set, of texts or of words."""

from data import numbered
from datasets import DatasetDict


def two_or_more(names: list, column: str) -> list:
    """Return labels of which each row has one.

    Raises:
        ValueError: there is one only, which nothing can be learned of.
    """
    if len(names) < 2:
        raise ValueError(f"column {column!r}: got one label only, {names[0]!r}, expected two or more")
    return names


def read_tags(data: DatasetDict, words: str, tags: str, *, own_test: bool) -> list:
    """Return the tags of words, sorted.

    Raises:
        ValueError: a row has not as many tags as words, or as `known_names`.
    """
    for split, rows in data.items():
        for number, of_words, of_tags in numbered(rows, words, tags):
            if len(of_words) != len(of_tags):
                raise ValueError(
                    f"{split} data, row {number}: got {len(of_words)} words and {len(of_tags)} tags, expected as many"
                )
            if None in of_words or None in of_tags:
                raise ValueError(f"{split} data, row {number}: a word or tag is null, expected one; fill it")
    tags_by_split = {split: {tag for of_tags in rows[tags] for tag in of_tags} for split, rows in data.items()}
    return two_or_more(known_names(tags_by_split, tags, own_test=own_test), tags)


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
