"""The answers of a data set in SQuAD's format, compared with their contexts and with the windows that are read."""

from itertools import zip_longest

from data import numbered
from datasets import DatasetDict


def check_answers(data: DatasetDict) -> None:
    """Compare each answer with what its context holds at its place.

    Raises:
        ValueError: something else stands there.
    """
    for split, rows in data.items():
        for number, context, answers in numbered(rows, "context", "answers"):
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
