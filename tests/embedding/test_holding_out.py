"""Laws of held-out rows: no text on both sides, decided by texts alone, and nothing goes missing."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hf_embeddings.corpora.document import CorpusError
from hf_embeddings.embedding.holding_out import check_leak, load_split, part
from hf_embeddings.embedding.options import DataOptions
from hf_embeddings.embedding.rows import Row, read_rows
from tests.embedding.small import PAIRS, pairs_file, write_rows

ROWS = [Row(pair) for pair in PAIRS]
LINKED = some.lists(some.tuples(some.integers(0, 300), some.integers(0, 300)), min_size=150, max_size=250, unique=True)


@given(LINKED)
def test_no_text_stands_on_both_sides_whatever_rows_share(links) -> None:
    rows = [Row((f"query {one}", f"text {other}")) for one, other in links]
    try:
        training, held_out = part(rows, 0.3, "rows")
    except CorpusError:  # all hang together
        return
    check_leak(training, held_out)
    assert Counter(training + held_out) == Counter(rows)


def test_the_side_of_a_row_depends_on_its_texts_alone() -> None:
    training, held_out = part(ROWS, 0.2, "rows")
    assert part(ROWS[::-1], 0.2, "rows")[1] == held_out[::-1]
    fewer = [row for row in ROWS if row not in training[:20]]
    assert part(fewer, 0.2, "rows")[1] == held_out
    assert len(held_out) / len(ROWS) == pytest.approx(0.2, abs=0.09)


def test_rows_of_one_document_are_on_one_side() -> None:
    rows = [Row(pair, document=str(number // 4)) for number, pair in enumerate(PAIRS)]
    training, held_out = part(rows, 0.2, "rows")
    assert not {row.document for row in training} & {row.document for row in held_out}


def test_a_large_document_is_trained_on() -> None:
    rows = [Row((query, "one text for all")) for query, _ in PAIRS]
    with pytest.raises(CorpusError, match="0 rows to hold out of 200 in 1 document"):
        part(rows, 0.3, "rows")


def test_texts_of_the_evaluation_source_are_not_trained_on(tmp_path) -> None:
    own = write_rows(tmp_path / "own.jsonl", [{"query": q, "text": t} for q, t in PAIRS[:30]])
    split = load_split(DataOptions(source=str(pairs_file(tmp_path)), evaluation_source=str(own)))
    check_leak(split.training, split.held_out)
    assert len(split.held_out) == 30 and split.counts["rows_with_a_held_out_text"] == 30


def test_a_leak_is_named() -> None:
    with pytest.raises(CorpusError, match="y:1: the held-out text 'a text' is trained on, too, in x:1"):
        check_leak([Row(("b", "a  text"), place="x:1")], [Row(("c", "a text"), place="y:1")])


@pytest.mark.parametrize(
    "row, words",
    [
        ({"query": "a", "text": "b"}, "'score'"),
        ({"query": "a", "text": "b", "score": "high"}, "expected a number"),
        ({"query": "a", "text": "b", "score": None}, "expected a number"),
        ({"query": "a", "text": 3, "score": 1}, "expected text"),
        ({"query": "a", "score": 1}, "expected 'text'"),
    ],
)
def test_a_row_without_what_is_asked_for_is_named(row: dict, words: str, tmp_path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [row])
    options = DataOptions(source=str(path), columns=["query", "text"], score_column="score")
    with pytest.raises(CorpusError, match=f"rows.jsonl:1.*{words}"):
        read_rows(options, str(path), options.columns, Counter(), score="score")


def test_duplicates_and_empty_texts_are_counted(tmp_path) -> None:
    rows = [{"query": "a", "text": "b"}, {"query": "a ", "text": " b"}, {"query": "c", "text": " "}]
    path, counts = write_rows(tmp_path / "rows.jsonl", rows), Counter()
    assert len(read_rows(DataOptions(source=str(path)), str(path), ["query", "text"], counts)) == 1
    assert (counts["rows_read"], counts["duplicate_rows"], counts["rows_with_an_empty_text"]) == (3, 1, 1)


def test_docstrings_are_pairs_of_a_name_and_a_text() -> None:
    options = DataOptions(source="pydoc:json", columns=["title", "text"])
    texts = dict(row.texts for row in read_rows(options, options.source, options.columns, Counter()))
    assert texts["json.dumps"].startswith("Serialize ``obj`` to a JSON formatted")


def test_a_message_on_columns_names_the_option_of_embed(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"query": "a", "body": "b"}\n')
    (tmp_path / "plain.txt").write_text("The cat sleeps.\n")
    for name, words in (("pairs.jsonl", "expected 'title'; set data.columns"), ("plain.txt", r"data.columns=\[text\]")):
        with pytest.raises(CorpusError, match=words):
            read_rows(DataOptions(source=str(tmp_path / name)), str(tmp_path / name), ["title", "text"], Counter())
