"""A folder in the format of BEIR (https://arxiv.org/abs/2104.08663), judged as its own evaluator judges it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hf_embeddings.evaluation.file_lines import Account, read_json_lines
from hf_embeddings.evaluation.retrieval_set import RetrievalSet, refuse_nothing_right
from hf_embeddings.evaluation.table_files import Column, read_table
from hf_embeddings.json_text import json_kind

QRELS = (Column(("queryid",)), Column(("corpusid",)), Column(("score",), number=True))
SHOWN = 5  # ids that a note names


def read_beir(folder: Path) -> RetrievalSet:
    """Read `corpus.jsonl`, `queries.jsonl` and `qrels/test.tsv`, or the first other file in `qrels`.

    As BEIR's evaluator has it: all judged queries count; a judged document that the corpus lacks is never found; a
    document with the id of the query is not ranked for it (`ignore_identical_ids`). The documents are in the order in
    which trec_eval puts equal scores, by id, the last one first.

    Raises:
        ValueError: a file is missing, or a line is something else; it is named.
    """
    account = Account()
    judgements = _judgements(folder, account)
    texts = {name: _texts(folder / f"{name}.jsonl", account) for name in ("corpus", "queries")}
    ids = sorted(texts["corpus"], reverse=True)
    rows = {key: row for row, key in enumerate(ids)}
    unknown = [query for query in judgements if query not in texts["queries"]]
    _note(account, folder / "queries.jsonl", unknown, "judged queries are not in it and are left out")
    judged_queries = {query: grades for query, grades in judgements.items() if query in texts["queries"]}
    if not judged_queries:
        raise ValueError(f"{folder}: none of its queries is judged in qrels; check the ids")
    right = {
        query: {key: score for key, score in grades.items() if score > 0} for query, grades in judged_queries.items()
    }
    refuse_nothing_right(folder, right.values())
    absent = sorted({key for grades in right.values() for key in grades if key not in rows})
    _note(account, folder / "corpus.jsonl", absent, "judged documents are not in it and count as never found")
    _note(account, folder, [query for query in right if not right[query]], "queries have no right document")
    itself = [query for query in judged_queries if query in rows]
    _note(account, folder, itself, "queries have the id of a document, which is not ranked for them, as BEIR does it")
    alone = [query for query in itself if right[query].keys() == {query}]
    _note(account, folder, alone, "queries have no right document but the one with their own id, and so find none")
    return RetrievalSet(
        [texts["queries"][query] for query in judged_queries],
        [texts["corpus"][key] for key in ids],
        [{rows[key]: score for key, score in grades.items() if key in rows} for grades in right.values()],
        missing=[[score for key, score in grades.items() if key not in rows] for grades in right.values()],
        ignored=[{rows[query]} if query in rows else set() for query in judged_queries],
        account=account,
    )


def _judgements(folder: Path, account: Account) -> Mapping[str, dict[str, float]]:
    """Return for each query the scores of its judged documents."""
    files = sorted((folder / "qrels").glob("*.tsv"))
    if not files:
        raise ValueError(f"{folder}: no qrels/*.tsv in it; expected corpus.jsonl, queries.jsonl and qrels/test.tsv")
    path = next((file for file in files if file.name == "test.tsv"), files[0])
    if path.name != "test.tsv":
        account.notes.append(f"{path}: taken, as there is no test.tsv")
    judgements: dict[str, dict[str, float]] = {}
    for row in read_table(path, QRELS, account, most=len(QRELS)):  # four would be those of TREC
        query, document, cell = row.cells
        score = row.number(2, account)
        if score is None:
            account.leave_out(row.place, f"the score is {cell!r}")
            continue
        grades = judgements.setdefault(query, {})
        if grades.get(document, score) != score:
            account.leave_out(
                row.place,
                f"document {document!r} was judged {grades[document]:g} before; this replaces it, as BEIR does it",
            )
        grades[document] = score
    return judgements


def _texts(path: Path, account: Account) -> dict[str, str]:
    """Return the texts by id, each with its title before it."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; expected corpus.jsonl, queries.jsonl and qrels/test.tsv")
    texts: dict[str, str] = {}
    for place, row in read_json_lines(path, account):
        if wrong := _wrong_field(row):
            account.refuse(f"{place}: {wrong}; fix the line")
            continue
        key = str(row["_id"])
        if key in texts:
            account.leave_out(place, f"the id {key!r} stands again; this text replaces the one before, as BEIR does it")
        texts[key] = f"{row.get('title') or ''} {row['text']}".strip()
    account.check()
    return texts


def _wrong_field(row: Mapping[str, object]) -> str:
    """Return what is wrong with the fields of a line; nothing where they are those of BEIR."""
    if missing := [name for name in ("_id", "text") if name not in row]:
        return f"got the fields {', '.join(row)}, expected also {' and '.join(missing)}"
    kinds = {"_id": (str, int), "text": (str,), "title": (str, type(None))}
    for name, allowed in kinds.items():
        if type(value := row.get(name)) not in allowed:
            return f"got {json_kind(value)} in the field {name!r}, expected a text"
    return ""


def _note(account: Account, place: Path, ids: Sequence[str], what: str) -> None:
    if ids:
        more = ", ..." if len(ids) > SHOWN else ""
        account.notes.append(f"{place}: {len(ids)} {what}: {', '.join(ids[:SHOWN])}{more}")
