"""One reader for all test sets: columns by name, every line counted, what is left out named with place and reason."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_embeddings.evaluation.evaluation_data import read_evaluation_data
from hf_embeddings.evaluation.test_sets import (
    read_analogies,
    read_association_tests,
    read_retrieval,
    read_scored_pairs,
)
from hf_embeddings.evaluation.weat import TESTS

LISTS = {
    "first_targets": ["king", "man"],
    "second_targets": ["queen", "woman"],
    "first_attributes": ["cold"],
    "second_attributes": ["hot", "happy"],
}
PAIR = ("a, b", "c", 0.5)


def written(folder: Path, name: str, text: str | bytes) -> Path:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder / name


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.tsv", "a, b\tc\t0.5\n"),
        ("a.tsv", "\ufeffa, b\tc\t0.5\r\n"),
        ("a.txt", "# about this file\n# Word 1\tWord 2\tHuman (mean)\na, b\tc\t0.5"),
        ("a.tsv", "id\tscore\tsentence2\tyear\tsentence1\n1\t0.5\tc\t2011\ta, b\n"),
        ("A.CSV", '"a, b",c,0.5\n'),
        ("a.csv", '\ufeffsentence1,sentence2,year,score\n"a, b",c,2011,0.5\n'),
        ("a.csv", 'Sentence_2;,score,SENTENCE 1\nc,0.5,"a, b"\n'),
        ("a.jsonl", '\ufeff{"sentence1": "a, b", "year": 2011, "score": 0.5, "sentence2": "c"}\n\n'),
        ("a.jsonl", '{"Text 1": "a, b", "text2": "c", "label": "0.5"}'),
    ],
)
def test_columns_are_found_by_name_or_place_in_every_format(name: str, text: str, tmp_path: Path) -> None:
    assert read_scored_pairs(written(tmp_path, name, text)).pairs == [PAIR]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_line_feeds_end_a_line(separator: str, tmp_path: Path) -> None:
    text = f"one{separator}two"
    pairs = written(tmp_path, "a.tsv", f"{text}\tb\t1\n")
    assert read_scored_pairs(pairs).pairs == [(text, "b", 1.0)]
    assert read_retrieval(written(tmp_path, "b.csv", f"{text},b\n")).queries == [text]
    line = json.dumps({"query": text, "document": "b"}, ensure_ascii=False)
    assert read_retrieval(written(tmp_path, "c.jsonl", line)).queries == [text]


def test_texts_that_begin_with_a_hash_sign_are_texts(tmp_path: Path) -> None:
    found = read_scored_pairs(written(tmp_path, "a.tsv", "#rain\twater\t4\n#sun\t#sky\t3\n# a comment\n"))
    assert found.pairs == [("#rain", "water", 4.0), ("#sun", "#sky", 3.0)]
    assert len(found.account.notes) == 1 and "a.tsv:3: a comment" in found.account.notes[0]
    assert read_retrieval(written(tmp_path, "b.tsv", "#include\tadd it\n#pragma\tguard it\n")).queries == [
        "#include",
        "#pragma",
    ]
    found = read_analogies(written(tmp_path, "c.txt", "\ufeff# a comment\n: f\n#a #b #c #d\n"))
    assert found.sections == {"f": [("#a", "#b", "#c", "#d")]} and "c.txt:1" in found.account.notes[0]


def test_first_pairs_are_no_headers(tmp_path: Path) -> None:
    assert len(read_scored_pairs(written(tmp_path, "a.tsv", "source\ttarget\t7\nquery\tanswer\t8\n")).pairs) == 2
    found = read_retrieval(written(tmp_path, "b.tsv", "query\tSQL statement\nloop\tfor\n"))
    assert found.queries == ["query", "loop"] and "'query' is the name of a column" in found.account.notes[0]


def test_every_line_is_read_or_named(tmp_path: Path) -> None:
    lines = ["a\tb\t1", "c\td\tnan", "e\tf\t", "g\th\tinf", "\ti\t2", "j\tk\tN/A", "", "l\tm\t3"]
    found = read_scored_pairs(written(tmp_path, "a.tsv", "\n".join(lines)))
    assert found.pairs == [("a", "b", 1.0), ("l", "m", 3.0)]
    named = [int(re.search(r"a.tsv:(\d): ", line)[1]) for line in found.account.left_out]
    assert named == [2, 3, 4, 5, 6] and "the score is 'nan'" in found.account.left_out[0]


def test_headers_of_unknown_names_and_surplus_columns_are_said(tmp_path: Path) -> None:
    found = read_scored_pairs(written(tmp_path, "a.tsv", "Wort\tWort\tWert\tJahr\na\tb\t1\t2011\n"))
    assert found.pairs == [("a", "b", 1.0)]
    assert "the first 3 of 4" in found.account.notes[0] and "taken for a header" in found.account.notes[1]


@pytest.mark.parametrize(
    "text",
    [
        "pair_ID\tsentence_A\tsentence_B\trelatedness_score\n1\ta\tb\t3\n",  # SICK
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\ta\tb\t3\n",  # Quora
        "Word 1\tWord 2\tHuman (mean)\na\tb\t3\n",  # WordSim-353
    ],
)
def test_columns_of_published_sets_are_known(tmp_path: Path, text: str) -> None:
    assert read_scored_pairs(written(tmp_path, "a.tsv", text)).pairs == [("a", "b", 3.0)]


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.tsv", "cat\tdog\n", "a.tsv:1: got 2 columns, expected 3 between tabs"),
        ("a.tsv", "cat\tdog\t1\ncat\tdog\tfar\n", "a.tsv:2: got the score 'far', expected a number"),
        ("a.tsv", "word1\tword2\tyear\ncat\tdog\t2011\n", "a.tsv:1: got a header of word1, word2, year, expected also"),
        ("a.tsv", "", "no scored pairs"),
        ("a.tsv", b"cat\tdog\t1\nM\xfcll\tdog\t2\n", "a.tsv:2: got the byte 0xfc, expected UTF-8"),
        ("a.jsonl", '{"left": 1}\n', "a.jsonl:1: got the fields left, expected one of sentence1"),
        ("a.jsonl", "{\n", "a.jsonl:1: got text that is not JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: got a list"),
        ("a.csv", "cat\n", "between commas"),
        ("a.tsv", "text1\ttext2\tscore\na\tb\tc\t1\n", "a.tsv:2: got 4 columns, expected 3 between tabs; take tabs"),
        ("a.csv", "text1,text2,score\na, b,c,1\n", "a.csv:2: got 4 columns, expected 3 between commas"),
        ("a.tsv", "x\ty\tcat\tdog\t1\nx\ty\tcat\tdog\t2\n", "no header names the columns, so the first 3 of 5"),
        ("a.tsv", "a\0\tb\t1\n", "a.tsv:1: got a NUL character"),
        ("a.json", '[{"text1": "a"}]', "a .json file, expected tab-separated text (.tsv, .txt), .csv or"),
        ("a.xlsx", b"PK", "a .xlsx file, expected"),
        ("a.tsv.gz", b"\x1f\x8b", "a .gz file, expected"),
        ("a.csv", 'a,b,1\n"c\nd,e,2\n', "a.csv:2: got a row that is not CSV"),
    ],
)
def test_bad_lines_are_named(name: str, text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read_scored_pairs(written(tmp_path, name, text))


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.csv", "sep=;\ntext1;text2;score\na, b;c;1\n"),  # Excel
        ("a.csv", '\ufeffsep=,\r\ntext1,text2,score\r\n"a, b",c,1\r\n'),
        ("a.tsv", '"text1"\t"text2"\t"score"\n"a, b"\t"c"\t1\n'),  # R
        ("a.tsv", '"a, b"\t"c"\t"1"\n'),
        ("a.jsonl", '{"text1": "a, b", "text2": "c", "is_duplicate": true}\n'),
        ("a.csv", 'text1,text2,score\n"a, b",c,1,,\n'),  # of empty columns
    ],
)
def test_tables_of_spreadsheets_and_other_programs_are_read(name: str, text: str, tmp_path: Path) -> None:
    assert read_scored_pairs(written(tmp_path, name, text)).pairs == [("a, b", "c", 1.0)]


def test_a_text_in_quotes_is_a_text(tmp_path: Path) -> None:
    found = read_scored_pairs(written(tmp_path, "a.tsv", 'text1\ttext2\tscore\n"a"\t"b" c\t1\n'))
    assert found.pairs == [('"a"', '"b" c', 1.0)]


def test_a_cell_may_be_long_and_go_over_lines(tmp_path: Path) -> None:
    text = "one\ntwo " + "x" * 200_000
    found = read_retrieval(written(tmp_path, "a.csv", f'query,positive\nq,"{text}"\nr,s\n'))
    assert found.candidates == [text, "s"]


def test_a_query_is_not_its_own_best_answer(tmp_path: Path) -> None:
    found = read_retrieval(written(tmp_path, "a.tsv", "a\tb\nb\ta\nc\tc\n"))
    assert found.candidates == ["b", "a", "c"] and found.ignored == [{1}, {0}, set()]  # c is given as its own text
    assert "2 queries are texts of others too" in found.account.notes[0]
    asked, back = found.inverse()
    assert asked == [0, 1, 2] and back.ignored == [{1}, {0}, set()]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"first_attributes": []}, "first_attributes has 0 words, expected at least 1"),
        ({"first_targets": "he"}, "first_targets is 'he', expected a list of words; write ['he']"),
        ({"first_targets": ["king", " "]}, "first_targets holds ' ', expected words"),
        ({"second_targets": ["queen", 3]}, "second_targets holds 3, expected words"),
        ({"first_targets": ["king"], "second_targets": ["queen"]}, "first_targets has 1 word, expected at least 2"),
        ({"first_targets": ["a", "b", "c"]}, "first_targets has 3 words and second_targets 2, expected as many"),
        ({"third": []}, "expected the four lists"),
    ],
)
def test_word_lists_are_refused_by_file_test_and_list(change: dict, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, "lists.json", json.dumps({"good": LISTS, "jobs": LISTS | change}))
    with pytest.raises(ValueError, match=re.escape(f"{path}: test 'jobs'") + ".*" + re.escape(message)):
        read_association_tests(str(path))


def test_word_lists_in_whole(tmp_path: Path) -> None:
    text = json.dumps({"jobs": LISTS})
    assert read_association_tests(str(written(tmp_path, "a.json", f"\ufeff{text}"))) == {"jobs": LISTS}
    assert read_association_tests("weat") is TESTS
    twice = f'{{"jobs": {json.dumps(LISTS)}, "jobs": {json.dumps(LISTS)}}}'
    for bad, message in (("{}", "no tests in it"), ("{", "not JSON"), (twice, "the key 'jobs' stands twice")):
        with pytest.raises(ValueError, match=message):
            read_association_tests(str(written(tmp_path, "b.json", bad)))


def test_files_and_tests_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder, "pairs.tsv", f"{folder}\tx\t1\n")
        written(tmp_path / folder, "questions.txt", "a b c d\n")
        written(tmp_path / folder, "lists.json", json.dumps({"jobs": LISTS, folder: LISTS}))
    both = [tmp_path / "a", tmp_path / "b"]
    found = read_evaluation_data(
        similarity=[folder / "pairs.tsv" for folder in both],
        analogies=[folder / "questions.txt" for folder in both],
        retrieval=[folder / "pairs.tsv" for folder in both],
        bias=[str(folder / "lists.json") for folder in both],
    )
    assert found.similarity.keys() == found.retrieval.keys() == {"a/pairs.tsv", "b/pairs.tsv"}
    assert found.similarity["b/pairs.tsv"].pairs == [("b", "x", 1.0)] and len(found.analogies) == 2
    tests = [test for tests in found.bias.values() for test in tests]
    assert tests == ["jobs (a/lists.json)", "a", "jobs (b/lists.json)", "b"]


def test_missing_files_are_named(tmp_path: Path) -> None:
    for given in ({"bias": [str(tmp_path / "none.json")]}, {"similarity": [tmp_path]}, {"analogies": [tmp_path / "x"]}):
        with pytest.raises(ValueError, match="no such file|got a folder"):
            read_evaluation_data(**given)


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.tsv", "query\tdocument\tscore\na\tb\t0\na\tc\t2\nd\tb\t-1\nd\te\t\n"),
        ("a.jsonl", "".join(json.dumps(dict(zip(("query", "text2", "score"), row, strict=True))) + "\n" for row in
                            (("a", "b", 0), ("a", "c", 2), ("d", "b", -1), ("d", "e", None)))),
    ],
)  # fmt: skip
def test_a_score_says_which_text_is_right(tmp_path: Path, name: str, text: str) -> None:
    found = read_retrieval(written(tmp_path, name, text))
    assert found.candidates == ["b", "c", "e"] and found.relevant == [{1: 2.0}, {2: 1.0}]
    some = read_retrieval(written(tmp_path, "b.tsv", "query\tdocument\tscore\na\tb\t0\nc\tb\t1\n"))
    assert some.relevant == [{}, {0: 1.0}] and "1 queries have no right text" in some.account.notes[0]
    with pytest.raises(ValueError, match="c.tsv: no query has a right text, expected scores above 0"):
        read_retrieval(written(tmp_path, "c.tsv", "query\tdocument\tscore\na\tb\t0\n"))


def test_half_characters_two_columns_of_a_name_and_empty_words_are_refused(tmp_path: Path) -> None:
    for name, text, read, message in (
        ("a.jsonl", '{"text1": "a\\ud83d", "text2": "b", "score": 1}\n', read_scored_pairs, "a lone surrogate"),
        ("a.tsv", "score\tword1\tword2\tscore\n1\ta\tb\t2\n", read_scored_pairs, "the column 'score' twice"),
        ("a.json", json.dumps({"t": LISTS | {"first_attributes": ["x", ""]}}), read_association_tests, "holds ''"),
        ("b.json", json.dumps({"t": LISTS | {"first_attributes": [None]}}), read_association_tests, "holds null"),
    ):
        path = written(tmp_path, name, text)
        with pytest.raises(ValueError, match=message):
            read(path) if read is read_scored_pairs else read(str(path))
    whole = '{"text1": "a\\ud83d\\ude00", "text2": "b", "score": 1}\n'
    assert read_scored_pairs(written(tmp_path, "c.jsonl", whole)).pairs == [("a\U0001f600", "b", 1.0)]


BAD = [
    (read_scored_pairs, "a.tsv", "a\tb\t1\na\tb\nc\td\tgood\ne\tf\t2\n", [2, 3]),
    (read_scored_pairs, "a.jsonl", '{"text1": "a", "text2": "b", "score": 1}\n{\n[]\n{"text1": "a"}\n', [2, 3, 4]),
    (read_retrieval, "a.csv", "query,text2,score\na,b,1\na\nb,c,x\n", [3, 4]),
    (read_analogies, "a.txt", "a b c d\na b c\n: s\na b c d e\n", [2, 4]),
]


@pytest.mark.parametrize(("read", "name", "text", "lines"), BAD)
def test_all_lines_that_cannot_be_read_are_named_at_once(
    read: Callable[[Path], object], name: str, text: str, lines: list[int], tmp_path: Path
) -> None:
    with pytest.raises(ValueError) as error:
        read(written(tmp_path, name, text))
    assert [int(number) for number in re.findall(rf"{name}:(\d+): got", str(error.value))] == lines
    assert "\n" not in str(error.value)


def test_of_many_lines_that_cannot_be_read_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a.tsv:2: got .*a.tsv:6: got 2 columns[^;]*; and 4 more lines$"):
        read_scored_pairs(written(tmp_path, "a.tsv", "a\tb\t1\n" + "a\tb\n" * 9))


def test_what_stands_again_and_columns_that_are_not_read_are_told(tmp_path: Path) -> None:
    text = "id,sentence1,sentence2,year,score\n1,a,b,1999,1\n2,b,a,1999,2\n3,a,b,1999,1\n"
    notes = read_scored_pairs(written(tmp_path, "a.csv", text)).account.notes
    assert len(notes) == 2 and "a.csv:1: columns that are not read: id, year" in notes[0]
    assert "2 pairs stand again" in notes[1]
    found = read_retrieval(written(tmp_path, "b.csv", "anchor,positive,negative\na,b,c\n"))
    assert "not read: negative" in found.account.notes[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first_targets": ["king", "man", "king"]}, "first_targets holds 'king' twice"),
        ({"first_attributes": ["hot", "hot"]}, "first_attributes holds 'hot' twice"),
        ({"first_attributes": ["happy", "hot"]}, "hold the same words"),
    ],
)
def test_words_that_stand_twice_in_a_list_are_refused(
    change: dict[str, list[str]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        read_association_tests(str(written(tmp_path, "a.json", json.dumps({"t": LISTS | change}))))


@pytest.mark.parametrize("score", ["3,5", "35%", "1_0", "True", "x"])
def test_what_is_no_plain_number_is_no_score(score: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got the score"):
        read_scored_pairs(written(tmp_path, "a.tsv", f"c\td\t1\na\tb\t{score}\n"))
