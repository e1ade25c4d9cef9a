"""The files that `hf-embeddings evaluate` reads: scored pairs, analogies, retrieval sets, word lists."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FIRST = ("sentence1", "text1", "word1", "query", "anchor", "source")
_SECOND = ("sentence2", "text2", "word2", "positive", "document", "target")
_SCORE = ("score", "label", "similarity_score", "similarity")
_GROUPS = ("first_targets", "second_targets", "first_attributes", "second_attributes")


@dataclass(frozen=True)
class RetrievalSet:
    """Queries, candidates, and for each query the rows of its right candidates."""

    queries: list[str]
    candidates: list[str]
    relevant: list[set[int]]


def read_scored_pairs(path: Path) -> list[tuple[str, str, float]]:
    """Read two texts and a score a line: tab-separated, `.csv`, or `.jsonl`; `#` comments and a header are skipped.

    Raises:
        ValueError: a line is something else; it is named.
    """
    pairs = []
    for place, row in _rows(path, 3):
        try:
            pairs.append((row[0], row[1], float(row[2])))
        except ValueError:
            if pairs or not place.endswith((":1", ":2")):
                raise ValueError(f"{place}: got the score {row[2]!r}, expected a number; fix the line") from None
    if not pairs:
        raise ValueError(f"{path}: no scored pairs in it; expected two texts and a score a line, tab-separated")
    return pairs


def read_analogies(path: Path) -> dict[str, list[tuple[str, str, str, str]]]:
    """Read questions of four words a line in sections that begin with `: name` (the format of questions-words.txt)."""
    sections: dict[str, list[tuple[str, str, str, str]]] = {}
    name = "all"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if line.startswith(":"):
            name = line[1:].strip()
        elif len(words) == 4:
            sections.setdefault(name, []).append((words[0], words[1], words[2], words[3]))
        elif words:
            raise ValueError(
                f"{path}:{number}: got {len(words)} words, expected 4, or a section ': name'; fix the line"
            )
    if not sections:
        raise ValueError(f"{path}: no questions in it; expected lines of four words")
    return sections


def read_retrieval(path: Path) -> RetrievalSet:
    """Read a BEIR folder (`corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`), or a query and its text a line.

    Translations, one pair a line, are a cross-lingual retrieval set.
    """
    if path.is_dir():
        return _read_beir(path)
    queries: dict[str, int] = {}
    candidates: dict[str, int] = {}
    relevant: list[set[int]] = []
    for _, (query, text) in _rows(path, 2):
        row = candidates.setdefault(text, len(candidates))
        if query in queries:
            relevant[queries[query]].add(row)
        else:
            queries[query] = len(relevant)
            relevant.append({row})
    if not relevant:
        raise ValueError(f"{path}: no pairs in it; expected a query and its text a line, tab-separated")
    return RetrievalSet(list(queries), list(candidates), relevant)


def read_association_tests(source: str) -> dict[str, dict[str, list[str]]]:
    """Read word lists of association tests from JSON, or take the default set by its name, `weat`.

    Raises:
        ValueError: a test lacks a group, or has none of the right kind.
    """
    if source == "weat":
        from hf_embeddings.evaluation.weat import TESTS

        return TESTS
    path = Path(source)
    tests = _json(path.read_text(encoding="utf-8"), str(path))
    for name, groups in tests.items():
        if not isinstance(groups, dict) or set(groups) != set(_GROUPS):
            got = ", ".join(groups) if isinstance(groups, dict) else type(groups).__name__
            raise ValueError(f"{path}: test {name!r} has {got}, expected the four lists {', '.join(_GROUPS)}")
    return tests


def _read_beir(folder: Path) -> RetrievalSet:
    texts = {
        name: {
            str(row["_id"]): f"{row.get('title') or ''} {row['text']}".strip()
            for row in map(json.loads, (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
        }
        for name in ("corpus", "queries")
    }
    rows = {key: row for row, key in enumerate(texts["corpus"])}
    relevant: dict[str, set[int]] = {}
    judgements = sorted((folder / "qrels").glob("*.tsv"))
    if not judgements:
        raise ValueError(f"{folder}: no qrels/*.tsv in it; expected corpus.jsonl, queries.jsonl and qrels/test.tsv")
    path = next((file for file in judgements if file.name == "test.tsv"), judgements[0])
    for line in path.read_text(encoding="utf-8").splitlines():
        query, document, score = line.split("\t")
        if score.strip().lstrip("-").isdigit() and int(score) > 0:
            relevant.setdefault(query, set()).add(rows[document])
    return RetrievalSet(
        [texts["queries"][key] for key in relevant], list(texts["corpus"].values()), [*relevant.values()]
    )


def _rows(path: Path, columns: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the place and the first columns of each line."""
    names = (_FIRST, _SECOND, _SCORE)[:columns]
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".jsonl":
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}:{number}", [_field(line, f"{path}:{number}", name) for name in names]
            return
        lines = csv.reader(file) if path.suffix == ".csv" else (line.rstrip("\r\n").split("\t") for line in file)
        for number, row in enumerate(lines, 1):
            if not row or not "".join(row).strip() or row[0].startswith("#"):
                continue
            if len(row) < columns:
                separator = "commas" if path.suffix == ".csv" else "tabs"
                raise ValueError(f"{path}:{number}: got {len(row)} columns, expected {columns} between {separator}")
            if number == 1 and row[0].strip().lower() in _FIRST:
                continue
            yield f"{path}:{number}", [cell.strip() for cell in row[:columns]]


def _field(line: str, place: str, names: tuple[str, ...]) -> str:
    row = _json(line, place)
    for name in names:
        if name in row:
            return str(row[name])
    raise ValueError(f"{place}: got the fields {', '.join(row)}, expected one of {', '.join(names)}")


def _json(text: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{place}: got text that is not JSON ({error}), expected an object; fix it") from None
    if not isinstance(found, dict):
        raise ValueError(f"{place}: got a JSON {type(found).__name__}, expected an object; fix it")
    return found
