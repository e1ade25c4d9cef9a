"""Reading the data of an example: local files by their ending, anything else as a data set of the Hub."""

from itertools import zip_longest
from pathlib import Path

from datasets import DatasetDict, load_dataset
from datasets.exceptions import DatasetsError

LOADERS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".txt": "text"}


def read_data(train: str, test: str | None, *columns: str | None) -> DatasetDict:
    """Return the splits `train` and `test`; a tenth of the training rows is set apart where there is no test data.

    Args:
        train: a .csv, .json, .jsonl, .parquet or .txt file, or the id of a data set on the Hub.
        test: a file of the same kind; None takes the Hub's `test` or `validation` split, or a tenth of `train`.
        columns: that must be there, with a value in every row; None for one that is not asked for.

    Raises:
        ValueError: the data cannot be read, or lack a column or a value.
    """
    try:
        splits = _read(train, test)
    except (DatasetsError, OSError) as error:
        raise ValueError(f"{train}: cannot be read as data ({error.__cause__ or error}); check the file") from None
    for split, rows in splits.items():
        for name in filter(None, columns):
            if name not in rows.column_names:
                raise ValueError(f"{split} data: no column {name!r}, expected one of {', '.join(rows.column_names)}")
            if (empty := next((i for i, value in enumerate(rows[name]) if _is_missing(value)), None)) is not None:
                raise ValueError(f"{split} data, row {empty + 1}: column {name!r} is empty; fill it or remove the row")
    return splits


def check_answers(data: DatasetDict) -> None:
    """Compare each answer with what its context holds at its place.

    Raises:
        ValueError: something else stands there.
    """
    for split, rows in data.items():
        for number, (context, answers) in enumerate(zip(rows["context"], rows["answers"], strict=True), 1):
            for text, start in zip_longest(answers["text"], answers["answer_start"]):
                there = None if start is None else context[start : start + len(text or "")]
                if not text or there != text:
                    raise ValueError(
                        f"{split} data, row {number}: got {there!r} at character {start}, expected the answer {text!r}"
                    )


def say_lost_answers(data: DatasetDict, windows: DatasetDict) -> None:
    """Count the answers that no window holds from start to end, in the splits that were cut into windows."""
    for split, rows in windows.items():
        if lost := sum(
            bool(a["text"]) and not end for a, end in zip(data[split]["answers"], rows["end_positions"], strict=True)
        ):
            print(f"{split} data: {lost} answers are longer than a window, and count as none; raise --max_length")  # noqa: T201


def _read(train: str, test: str | None) -> DatasetDict:
    if loader := LOADERS.get(Path(train).suffix):
        files = {"train": train} | ({"test": test} if test else {})
        splits = load_dataset(loader, data_files=files)
    else:
        splits = load_dataset(train)
    test_name = next((name for name in ("test", "validation") if name in splits), None)
    if test_name is None:
        return splits["train"].train_test_split(test_size=0.1, seed=0)
    return DatasetDict(train=splits["train"], test=splits[test_name])


def _is_missing(value: object) -> bool:
    return value is None or value != value  # NaN, as pandas writes what is missing
