"""BEIR folders: the same numbers as BEIR's own evaluator, also on folders as they are published."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from hf_embeddings.analysis.similarity import ranking
from hf_embeddings.evaluation.beir_folder import read_beir

DOCUMENTS = {"d1": ("T", "one"), "d2": ("", "two\u2028lines"), "q3": (None, "a query too"), "d4": ("", "one")}
QUERIES = {"q1": "which", "q2": "unjudged", "q3": "a query too", "q4": "nothing right", "q5": "the missing one"}
QRELS = [("q1", "d2", "1.0"), ("q1", "d1", "0"), ("q3", "d1", "2"), ("q3", "q3", "1"), ("q4", "d1", "0")]
QRELS += [("q5", "d9", "1"), ("q5", "d4", "1"), ("q9", "d1", "1"), ("q1", "d4", "nan")]


def beir(folder: Path, qrels: str | None = None, name: str = "test.tsv") -> Path:
    corpus = [{"_id": key, "title": title, "text": text} for key, (title, text) in DOCUMENTS.items()]
    queries = [{"_id": key, "text": text, "metadata": {}} for key, text in QUERIES.items()]
    for file, rows in (("corpus", corpus), ("queries", queries)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{file}.jsonl").write_text(lines, encoding="utf-8", newline="\n")
    (folder / "qrels").mkdir()
    lines = ["query-id\tcorpus-id\tscore", *map("\t".join, QRELS)]
    (folder / "qrels" / name).write_text(qrels or "\n".join(lines))
    return folder


def test_the_figures_are_those_of_beirs_evaluator(tmp_path: Path) -> None:
    """Its steps, on pytrec_eval as there: the judged queries, identical ids left out, absent documents never found."""
    found = read_beir(beir(tmp_path))
    drawn = np.random.default_rng(0)
    ids = sorted(DOCUMENTS, reverse=True)
    assert found.candidates == [f"{DOCUMENTS[key][0] or ''} {DOCUMENTS[key][1]}".strip() for key in ids]
    vectors = {text: drawn.normal(size=4) for text in [*found.candidates, *found.queries]}
    unit = {text: vector / np.linalg.norm(vector) for text, vector in vectors.items()}
    assert found.queries == [QUERIES[key] for key in ("q1", "q3", "q4", "q5")]
    run = {
        query: {
            key: float(unit[QUERIES[query]] @ unit[text])
            for key, text in zip(ids, found.candidates, strict=True)
            if key != query
        }
        for query in ("q1", "q3", "q4", "q5")
    }
    truth: dict[str, dict[str, int]] = {}
    for query, document, score in QRELS:
        if query in run and score != "nan":
            truth.setdefault(query, {})[document] = int(float(score))
    theirs = pytrec_eval.RelevanceEvaluator(truth, {"recall.1,5,10", "ndcg_cut.10", "recip_rank"}).evaluate(run)
    queries, candidates = (np.stack([vectors[text] for text in texts]) for texts in (found.queries, found.candidates))
    ours = ranking(queries, candidates, found.relevant, missing=found.missing, ignored_rows=found.ignored)
    mean = {name: np.mean([own[name] for own in theirs.values()]) for name in theirs["q1"]}
    assert ours.recall == pytest.approx({k: mean[f"recall_{k}"] for k in (1, 5, 10)})
    assert ours.ndcg[10] == pytest.approx(mean["ndcg_cut_10"]) and ours.mrr == pytest.approx(mean["recip_rank"])


def test_what_is_special_about_a_folder_is_said(tmp_path: Path) -> None:
    account = read_beir(beir(tmp_path)).account
    assert [re.sub(".*qrels/", "", line) for line in account.left_out] == ["test.tsv:10: the score is 'nan'"]
    for part in (
        "1 judged queries are not in it and are left out: q9",
        "1 judged documents are not in it and count as never found: d9",
        "1 queries have no right document: q4",
        "1 queries have the id of a document, which is not ranked for them, as BEIR does it: q3",
    ):
        assert any(note.endswith(part) for note in account.notes), part


def test_other_judgements_are_taken_by_name_and_without_a_header(tmp_path: Path) -> None:
    found = read_beir(beir(tmp_path, "q1\td2\t1\nq3\td1\t1\n", "dev.tsv"))
    assert len(found.queries) == 2 and "there is no test.tsv" in found.account.notes[0]


def test_numbers_that_stand_for_queries_and_documents_alike_are_told(tmp_path: Path) -> None:
    """As BEIR's evaluator has it, a document with the id of the query is not ranked for it: not even the right one."""
    found = read_beir(beir(tmp_path))
    both = sorted({*QUERIES} & {*DOCUMENTS})
    (tmp_path / "qrels/test.tsv").write_text(f"{both[0]}\t{both[0]}\t1\nq1\td1\t1\n")
    notes = read_beir(tmp_path).account.notes
    words = "1 queries have no right document but the one with their own id, and so find none"
    assert any(words in note for note in notes) and not any(words in note for note in found.account.notes)


@pytest.mark.parametrize(
    "file, text, message",
    [
        ("corpus.jsonl", '{"_id": "d1"}', "corpus.jsonl:1: got the fields _id, expected also text"),
        ("corpus.jsonl", '{"_id": 1.5, "text": "a"}', "corpus.jsonl:1: got the number 1.5 in the field '_id'"),
        ("corpus.jsonl", '{"_id": true, "text": "a"}', "corpus.jsonl:1: got a boolean in the field '_id'"),
        ("corpus.jsonl", '{"_id": "1", "text": null}', "corpus.jsonl:1: got null in the field 'text', expected a text"),
        ("corpus.jsonl", '{"_id": "1", "text": "a", "title": ["b"]}', "got a list in the field 'title'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t0\n", "no query has a right text"),
        ("queries.jsonl", "{", "queries.jsonl:1: got text that is not JSON"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\tgood\n", "test.tsv:2: got the score 'good'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1 d1 1\n", "test.tsv:2: got 1 column, expected 3"),
        ("qrels/test.tsv", "1\t0\t1185869\t1\n", "test.tsv:1: got 4 columns without a header, expected 3"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nz\td1\t1\n", "none of its queries is judged"),
        ("queries.jsonl", None, "queries.jsonl: no such file"),
        ("qrels/test.tsv", None, "no qrels/*.tsv in it"),
    ],
)
def test_bad_files_are_named(file: str, text: str | None, message: str, tmp_path: Path) -> None:
    folder = beir(tmp_path)
    (folder / file).unlink() if text is None else (folder / file).write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_beir(folder)


def test_a_document_that_is_judged_twice_is_said(tmp_path: Path) -> None:
    qrels = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td1\t2\nq1\td1\t1\n"
    found = read_beir(beir(tmp_path, qrels))
    assert found.relevant == [{found.candidates.index("T one"): 1.0}]
    assert len(found.account.left_out) == 1 and "test.tsv:4: document 'd1' was judged 2" in found.account.left_out[0]
