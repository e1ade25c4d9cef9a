"""A retrieval set: queries, candidates, and which of these are right for which query."""

from collections.abc import Iterable, Sized
from dataclasses import dataclass, field
from pathlib import Path

from hf_embeddings.evaluation.file_lines import Account


@dataclass(frozen=True)
class RetrievalSet:
    """Queries, candidates, and what people judged of them."""

    queries: list[str]
    candidates: list[str]
    relevant: list[dict[int, float]]  # for each query the rows of its right candidates, and how right they are
    missing: list[list[float]]  # for each query the same of right candidates that are not there
    ignored: list[set[int]]  # for each query the rows of candidates that are the query itself
    account: Account = field(default_factory=Account)

    def inverse(self) -> tuple[list[int], "RetrievalSet"]:
        """Return the candidates that some query asks for, and the set in which they ask for these queries."""
        relevant: dict[int, dict[int, float]] = {}
        ignored_rows: dict[int, set[int]] = {}
        for query, grades in enumerate(self.relevant):
            for row, grade in grades.items():
                relevant.setdefault(row, {})[query] = grade
            for row in self.ignored[query]:
                ignored_rows.setdefault(row, set()).add(query)
        rows = [*relevant]
        return rows, RetrievalSet(
            [self.candidates[row] for row in rows],
            self.queries,
            [relevant[row] for row in rows],
            missing=[[] for _ in rows],
            ignored=[ignored_rows.get(row, set()) for row in rows],
        )


def refuse_nothing_right(path: Path, relevant: Iterable[Sized]) -> None:
    """Refuse judgements of which none says that something is right: every figure of theirs would be 0.

    Raises:
        ValueError: there is none.
    """
    if not any(relevant):
        raise ValueError(f"{path}: no query has a right text, expected scores above 0; check the scores")
