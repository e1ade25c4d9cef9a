"""What `hf-embeddings evaluate` tests on: scored pairs, analogies, retrieval sets, word lists, read from files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from hf_embeddings.evaluation.beir_folder import read_beir
from hf_embeddings.evaluation.file_lines import Account, json_object, read_lines
from hf_embeddings.evaluation.retrieval_set import RetrievalSet, refuse_nothing_right
from hf_embeddings.evaluation.table_files import Column, read_table
from hf_embeddings.evaluation.weat import NAME, TESTS
from hf_embeddings.json_text import as_given, json_kind
from hf_embeddings.printable import counted

FIRST = Column(
    ("sentence1", "sentencea", "text1", "word1", "question1", "query", "question", "anchor", "source"),
)
SECOND = Column(
    (
        "sentence2", "sentenceb", "text2", "word2", "question2", "positive", "document", "passage", "answer", "target",
    )
)  # fmt: skip
SCORE = Column(
    (
        "score",
        "label",
        "similarityscore",
        "similarity",
        "goldscore",
        "simlex999",
        "humanmean",
        "relatednessscore",
        "isduplicate",
    ),
    number=True,
)
GRADE = Column(("score", "relevance", "grade", "label"), number=True, optional=True)
_TARGETS, _ATTRIBUTES = ("first_targets", "second_targets"), ("first_attributes", "second_attributes")
GROUPS = (*_TARGETS, *_ATTRIBUTES)
ScoredPair = tuple[str, str, float]
Question = tuple[str, str, str, str]
WordLists = dict[str, list[str]]  # the four groups of an association test


@dataclass(frozen=True)
class ScoredPairs:
    """Two texts and the score that people gave to the pair."""

    path: Path
    pairs: list[ScoredPair]
    account: Account = field(default_factory=Account)


@dataclass(frozen=True)
class Analogies:
    """Questions "a is to b as c is to d" by section."""

    path: Path
    sections: dict[str, list[Question]]
    account: Account = field(default_factory=Account)


def read_scored_pairs(path: Path) -> ScoredPairs:
    """Read two texts and a score a line: tab-separated, `.csv`, or `.jsonl`.

    Raises:
        ValueError: a line is something else; it is named.
    """
    account, pairs = Account(), []
    for row in read_table(path, (FIRST, SECOND, SCORE), account):
        first, second, cell = row.cells
        score = row.number(2, account)
        if score is None:
            account.leave_out(row.place, f"the score is {cell!r}")
        elif not first or not second:
            account.leave_out(row.place, "one of its texts is empty")
        else:
            pairs.append((first, second, score))
    if again := len(pairs) - len({frozenset(pair[:2]) for pair in pairs}):
        account.notes.append(f"{path}: {again} pairs stand again, in this or the other order; each counts")
    if not pairs:
        raise ValueError(f"{path}: no scored pairs in it; expected two texts and a score a line, tab-separated")
    return ScoredPairs(path, pairs, account)


def read_analogies(path: Path) -> Analogies:
    """Read questions of four words a line in sections that begin with `: name` (the format of questions-words.txt).

    Raises:
        ValueError: a line is something else; it is named.
    """
    account, name = Account(), "all"
    sections: dict[str, list[Question]] = {}
    for place, line in read_lines(path):
        words = line.split()
        if line.startswith(":"):
            name = line[1:].strip()
        elif line.startswith("#") and (len(words) != 4 or words[0] == "#"):
            account.comment(place)
        elif len(words) == 4:
            sections.setdefault(name, []).append((words[0], words[1], words[2], words[3]))
        elif words:
            account.refuse(f"{place}: got {counted(len(words), 'word')}, expected 4, or a section ': name'; fix it")
    account.check()
    if not sections:
        raise ValueError(f"{path}: no questions in it; expected lines of four words")
    return Analogies(path, sections, account)


def read_retrieval(path: Path) -> RetrievalSet:
    """Read a BEIR folder (`corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`), or a query and its text a line.

    A column `score` says how right a text is; at 0 and below it is wrong. Translations, one pair a line, are a
    cross-lingual retrieval set. A text that is the query itself, word by word, is not ranked for it, unless the file
    gives it as its text.

    Raises:
        ValueError: a line is something else; it is named.
    """
    if path.is_dir():
        return read_beir(path)
    account = Account()
    candidates: dict[str, int] = {}
    relevant: dict[str, dict[int, float]] = {}
    for row in read_table(path, (FIRST, SECOND, GRADE), account):
        query, text, _ = row.cells
        if not query or not text:
            account.leave_out(row.place, "one of its texts is empty")
            continue
        grade, number = row.number(2, account), candidates.setdefault(text, len(candidates))
        right = relevant.setdefault(query, {})
        if grade is None or grade > 0:
            right[number] = 1.0 if grade is None else grade
    if not relevant:
        raise ValueError(f"{path}: no pairs in it; expected a query and its text a line, tab-separated")
    refuse_nothing_right(path, relevant.values())
    if without := sum(not right for right in relevant.values()):
        account.notes.append(f"{path}: {without} queries have no right text")
    ignored_rows = [
        {candidates[query]} - rows.keys() if query in candidates else set() for query, rows in relevant.items()
    ]
    if itself := sum(map(bool, ignored_rows)):
        account.notes.append(f"{path}: {itself} queries are texts of others too; none is ranked for itself")
    return RetrievalSet(
        [*relevant],
        [*candidates],
        [*relevant.values()],
        missing=[[] for _ in relevant],
        ignored=ignored_rows,
        account=account,
    )


def read_association_tests(source: str) -> dict[str, WordLists]:
    """Read word lists of association tests from JSON, or take the default set by its name, `weat`.

    Raises:
        ValueError: a test lacks a group, or has none of the right kind or size; file, test and list are named.
    """
    if source == NAME:
        return TESTS
    text = "\n".join(line for _, line in read_lines(Path(source)))
    tests = json_object(text, source)
    if not tests:
        raise ValueError(f"{source}: no tests in it; expected an object of tests, each with {', '.join(GROUPS)}")
    for name, groups in tests.items():
        _check_groups(groups, f"{source}: test {name!r}")
    return tests


def _check_groups(groups: object, place: str) -> None:
    if not isinstance(groups, Mapping) or set(groups) != set(GROUPS):
        contents = ", ".join(groups) if isinstance(groups, Mapping) else json_kind(groups)
        raise ValueError(f"{place} has {contents}, expected the four lists {', '.join(GROUPS)}")
    for name in GROUPS:
        _check_words(groups[name], f"{place}: {name}", least=2 if name in _TARGETS else 1)
    if set(groups[_ATTRIBUTES[0]]) == set(groups[_ATTRIBUTES[1]]):
        raise ValueError(f"{place}: {' and '.join(_ATTRIBUTES)} hold the same words, expected others; correct one")
    first, second = (len(groups[name]) for name in _TARGETS)
    if first != second:
        raise ValueError(
            f"{place}: first_targets has {first} words and second_targets {second}, expected as many; the p-value is "
            "from exchanging them"
        )


def _check_words(words: object, place: str, *, least: int) -> None:
    if not isinstance(words, list):
        cure = f"write [{as_given(words)}]" if isinstance(words, str) else "fix it"
        raise ValueError(f"{place} is {as_given(words)}, expected a list of words; {cure}")
    if wrong := [word for word in words if not isinstance(word, str) or not word.strip()]:
        raise ValueError(f"{place} holds {as_given(wrong[0])}, expected words; fix it")
    if twice := next((word for word in words if words.count(word) > 1), None):
        raise ValueError(f"{place} holds {twice!r} twice, expected each word once; remove one")
    if len(words) < least:
        raise ValueError(f"{place} has {counted(len(words), 'word')}, expected at least {least}; add some")


def texts_of(pairs: ScoredPairs) -> list[str]:
    """Return the different texts of all pairs, sorted."""
    return sorted(set(chain.from_iterable(pair[:2] for pair in pairs.pairs)))
