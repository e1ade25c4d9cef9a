"""Reading the data of an example: local files by their ending, anything else as a data set of the Hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetsError
from given import LOADERS, check_data

USED = ("train", "test", "validation")  # splits
ROW = "row of the file"  # a column with the number of each row, from 1 on, before rows are set apart


def read_data(train: str, test: str | None, *columns: str | None) -> DatasetDict:
    """Return the splits `train` and `test`; a tenth of the training rows is set apart where there is no test data.

    Args:
        train: a .csv, .json, .jsonl, .parquet or .txt file, or the id of a data set on the Hub.
        test: a file of the same kind; None takes the Hub's `test` or `validation` split, or a tenth of `train`.
        columns: that must be there, with a value in every row; None for one that is not asked for.

    Raises:
        ValueError: the data cannot be read, or lack a column or a value.
    """
    for option, place in (("--train", train), ("--test", test)):
        check_data(option, place)
    try:
        splits = _read(train, test)
    except (DatasetsError, OSError) as error:
        raise ValueError(f"{train}: cannot be read as data ({error.__cause__ or error}); check the file") from None
    for split, rows in splits.items():
        for name in filter(None, columns):
            if name not in rows.column_names:
                names = ", ".join(other for other in rows.column_names if other != ROW)
                raise ValueError(f"{split} data: no column {name!r}, expected one of {names}")
            for number, value in numbered(rows, name):
                if value is None or value != value:  # NaN, as pandas writes what is missing
                    raise ValueError(f"{split} data, row {number}: column {name!r} is empty; fill it or remove the row")
    return splits


def numbered(rows: Dataset, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield the number of each row in its file, and its values."""
    return zip(rows[ROW], *(rows[name] for name in columns), strict=True)


def _read(train: str, test: str | None) -> DatasetDict:
    if loader := LOADERS.get(Path(train).suffix.lower()):
        files = {"train": train} | ({"test": test} if test else {})
        splits = load_dataset(loader, data_files=files)
    else:
        splits = load_dataset(train)
    splits = DatasetDict(
        {name: rows.add_column(ROW, range(1, len(rows) + 1)) for name, rows in splits.items() if name in USED}
    )
    if "train" not in splits:
        raise ValueError(f"{train}: got no rows to train on, expected a split 'train'; choose another data set")
    test_name = next((name for name in USED[1:] if name in splits), None)
    if test_name is None:
        return splits["train"].train_test_split(test_size=0.1, seed=0)
    return DatasetDict(train=splits["train"], test=splits[test_name])
