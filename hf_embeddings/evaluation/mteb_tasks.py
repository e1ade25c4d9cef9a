"""MTEB through its own interface (https://github.com/embeddings-benchmark/mteb)."""

import importlib
import math
from typing import TYPE_CHECKING

from hf_embeddings.records.evaluation import Dataset

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask


def run_tasks(folder: str, names: list[str]) -> dict[str, float | None]:
    """Return the main score of each task for a model directory; None where MTEB has none.

    Args:
        folder: directory that sentence-transformers loads.
        names: tasks of MTEB, whose data mteb downloads; or `module:Class` of a task of one's own.

    Raises:
        ValueError: there is no such task, or two of one name.
    """
    import mteb
    from sentence_transformers import SentenceTransformer

    import hf_embeddings  # noqa: F401  registers TriEmbed with AutoModel

    results = mteb.evaluate(SentenceTransformer(folder, trust_remote_code=False), find_tasks(names), cache=None)
    scores = {result.task_name: float(result.get_score()) for result in results.task_results}
    return {name: score if math.isfinite(score) else None for name, score in scores.items()}


def task_datasets(names: list[str]) -> dict[str, Dataset]:
    """Return id and revision of the Hub data set of each task."""
    data = {task.metadata.name: task.metadata.dataset for task in find_tasks(names)}
    return {name: Dataset(id=own["path"], revision=own["revision"]) for name, own in data.items()}


def find_tasks(names: list[str]) -> "list[AbsTask]":
    """Return tasks by their names.

    Raises:
        ValueError: there is no such task, or two of one name, of which one result would replace the other.
    """
    tasks = [_own(name) if ":" in name else _known(name) for name in names]
    own = [task.metadata.name for task in tasks]
    if twice := next((name for name in own if own.count(name) > 1), None):
        raise ValueError(f"--mteb {twice}: given twice, expected each task once; leave one out, or rename your own")
    return tasks


def _known(name: str) -> "AbsTask":
    import mteb

    try:
        return mteb.get_task(name)
    except KeyError as error:
        raise ValueError(f"--mteb {name}: {error.args[0] if error.args else error}") from None


def _own(name: str) -> "AbsTask":
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"--mteb {name}: {error}; expected module:Class of an mteb task on the Python path") from None
