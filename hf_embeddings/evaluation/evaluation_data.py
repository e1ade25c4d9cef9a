"""What a model is tested on, read and checked before the model is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hf_embeddings.evaluation.grammar import Language
from hf_embeddings.evaluation.retrieval_set import RetrievalSet
from hf_embeddings.evaluation.test_sets import (
    Analogies,
    ScoredPairs,
    WordLists,
    read_analogies,
    read_association_tests,
    read_retrieval,
    read_scored_pairs,
)
from hf_embeddings.evaluation.weat import NAME, SOURCE
from hf_embeddings.files.distinct_names import distinct_names


@dataclass(frozen=True, kw_only=True)
class EvaluationData:
    """Test sets by the name that their figures stand under, and sentences."""

    similarity: dict[str, ScoredPairs] = field(default_factory=dict)
    analogies: dict[str, Analogies] = field(default_factory=dict)
    retrieval: dict[str, RetrievalSet] = field(default_factory=dict)
    bias: dict[str, dict[str, WordLists]] = field(default_factory=dict)  # source -> test -> its groups
    grammar: Sequence[Language] = ()  # of the minimal pairs
    corpus: str = ""  # where the sentences are from
    sentences: Sequence[str] = ()  # whose vectors show the geometry


def read_evaluation_data(
    *,
    similarity: Sequence[Path] = (),
    analogies: Sequence[Path] = (),
    retrieval: Sequence[Path] = (),
    bias: Sequence[str] = (),
) -> EvaluationData:
    """Read all test sets; files of one name are kept apart by their folders.

    Args:
        similarity: files of scored pairs.
        analogies: files of questions.
        retrieval: files of queries with their texts, or BEIR folders.
        bias: files of word lists, or `weat`.

    Raises:
        ValueError: a file is missing, given twice, or not what it should be; it is named.
    """
    for path in [*similarity, *analogies, *retrieval, *(Path(source) for source in bias if source != NAME)]:
        if not path.exists():
            raise ValueError(f"{path}: no such file; check the path")
        if path.is_dir() and path not in retrieval:
            raise ValueError(f"{path}: got a folder, expected a file; name the file")
    return EvaluationData(
        similarity=dict(zip(distinct_names(similarity), map(read_scored_pairs, similarity), strict=True)),
        analogies=dict(zip(distinct_names(analogies), map(read_analogies, analogies), strict=True)),
        retrieval=dict(zip(distinct_names(retrieval), map(read_retrieval, retrieval), strict=True)),
        bias=_tests(bias),
    )


def _tests(sources: Sequence[str]) -> dict[str, dict[str, WordLists]]:
    """Return the tests of each source; those of one name in several sources are called by their source too."""
    names = distinct_names([Path(source) for source in sources])
    tests_by_source = [read_association_tests(source) for source in sources]
    every = [test for tests in tests_by_source for test in tests]
    return {
        SOURCE if source == NAME else source: {
            test if every.count(test) == 1 else f"{test} ({name})": groups for test, groups in tests.items()
        }
        for source, name, tests in zip(sources, names, tests_by_source, strict=True)
    }
