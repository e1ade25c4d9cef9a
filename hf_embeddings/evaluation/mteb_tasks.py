"""MTEB through its own interface (https://github.com/embeddings-benchmark/mteb)."""

import importlib
from typing import TYPE_CHECKING

from hf_embeddings.records.evaluation import Dataset

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask


def run_tasks(folder: str, names: list[str]) -> dict[str, float]:
    """Return the main score of each task for a model directory.

    Args:
        folder: directory that sentence-transformers loads.
        names: tasks of MTEB, whose data mteb downloads; or `module:Class` of a task of one's own.

    Raises:
        ValueError: there is no such task.
    """
    import mteb
    from sentence_transformers import SentenceTransformer

    import hf_embeddings  # noqa: F401  registers TriEmbed with AutoModel

    tasks = [_own(name) if ":" in name else _known(name) for name in names]
    results = mteb.evaluate(SentenceTransformer(folder), tasks, cache=None)
    return {result.task_name: float(result.get_score()) for result in results.task_results}


def task_datasets(names: list[str]) -> dict[str, Dataset]:
    """Return id and revision of the Hub data set of each task."""
    found = {}
    for name in names:
        task = _own(name) if ":" in name else _known(name)
        data = task.metadata.dataset
        found[task.metadata.name] = Dataset(id=data["path"], revision=data["revision"])
    return found


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
