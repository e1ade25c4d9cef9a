"""What the examples of rankings share: pairs of a query and its text, and where the right text stands among all."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from arguments import ExampleArguments
from data import read_data
from datasets import Dataset

CANDIDATES = 200  # held-out pairs that are ranked, at most


@dataclass
class PairArguments(ExampleArguments):
    """What is trained on what."""

    query: str = "query"  # column
    text: str = "text"  # column with the text that is right for the query
    max_length: int = 128  # tokens; longer texts are cut


def read_pairs(arguments: PairArguments) -> tuple[Dataset, Dataset]:
    """Return the columns `query` and `text`, to train on and to test on; without a test file, a tenth is set apart."""
    data = read_data(arguments.train, arguments.test, arguments.query, arguments.text)
    own = {arguments.query: "query", arguments.text: "text"}
    data = data.select_columns(list(own)).rename_columns({old: new for old, new in own.items() if old != new})
    return data["train"], data["test"].select(range(min(CANDIDATES, len(data["test"]))))


def save_ranking(folder: str, scores: np.ndarray) -> None:
    """Print the mean of 1 / rank of the right texts, which are on the diagonal of scores (Q, Q), and save it."""
    right = np.diag(scores)[:, None]
    ranks = (scores >= right).sum(axis=1)  # of equal scores, the right one stands last
    chance = float(np.mean(1 / np.arange(1, len(scores) + 1)))
    figures = {"eval_mrr": float(np.mean(1 / ranks)), "eval_mrr_by_chance": chance, "eval_samples": len(scores)}
    print(json.dumps(figures))  # noqa: T201
    Path(folder, "all_results.json").write_text(json.dumps(figures), encoding="utf-8", newline="\n")
