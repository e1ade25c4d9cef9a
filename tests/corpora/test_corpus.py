"""Laws of the corpus: every document is found once, in order, on one side of the split, and bad input is refused."""

import csv
import gzip
import json
import math
import os
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow
import pytest
from datasets import Dataset, DatasetDict
from pyarrow import parquet

from hf_embeddings.corpora import document as reading
from hf_embeddings.corpora import text_files
from hf_embeddings.corpora.corpus import CorpusError, by_source, load_corpus, read_corpus, read_documents
from hf_embeddings.corpora.document import SourceReader
from hf_embeddings.corpora.options import CorpusOptions, SourceOptions
from hf_embeddings.corpora.sources import check_source, read_described_documents, source_bytes
from hf_embeddings.corpora.text_files import EXPANSION
from hf_embeddings.files import lines


def read(source: object, max_documents: int | None = None, **options: object) -> list[str]:
    return list(read_documents(str(source), SourceReader(**options), max_documents=max_documents))


def refused(source: object, **options: object) -> str:
    """Return the message with which a source is refused, having checked that it is one line."""
    with pytest.raises(CorpusError) as error:
        read(source, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


# Files


def test_text_documents_are_separated_by_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf\n one\nmore\n\n \t\r\n\r\ntwo\r\n\n\n\xe4\xb8\x89")
    assert read(tmp_path / "a.txt") == ["one\nmore", "two", "三"]


def test_sources_of_files_are_equal(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("2\n\n3\n")
    (tmp_path / "a.jsonl").write_text('{"text": "0"}\n\n{"text": "1"}')
    (tmp_path / "sub" / "c.txt").write_text("4")
    (tmp_path / "image.png").write_bytes(b"\xff")
    assert read(tmp_path) == ["0", "1", "2", "3", "4"]
    assert read(tmp_path / "**" / "*.txt") == ["2", "3", "4"]
    assert read(tmp_path, max_documents=3) == ["0", "1", "2"]
    assert read(f"hub:{tmp_path / 'sub'}") == ["4"]


def test_json_lines_take_the_named_field(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"title": "t", "body": "b\n\nb 😀"}) + "\n")
    assert read(path, text_field="body") == ["b\n\nb 😀"]
    assert "a.jsonl:1: got the fields 'title', 'body', expected 'text'" in refused(path)


ROWS = ["b\n\nb 😀", 'say "x", y', "plain"]


def write_csv(path: Path) -> None:
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerows([["n", "text"], *enumerate(ROWS)])


def write_parquet(path: Path) -> None:
    parquet.write_table(pyarrow.table({"n": [1, 2, 3], "text": ROWS}), path)


def write_json_lines(path: Path) -> None:
    path.write_text("\n".join(json.dumps({"text": row}) for row in ROWS))


def test_the_other_columns_of_a_parquet_file_come_along_where_they_are_wanted(tmp_path: Path) -> None:
    columns = {
        "id": ["a", "b"],
        "text": ["one", "two"],
        "n": [1, 2],
        "day": [date(2026, 1, 2), None],
        "score": [0.5, float("nan")],
        "image": [b"0", b"1"],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    documents = list(read_described_documents(str(tmp_path / "a.parquet"), SourceReader(with_fields=True)))
    assert [document.metadata for document in documents] == [
        {"id": "a", "n": 1, "day": "2026-01-02", "score": 0.5},
        {"id": "b", "n": 2, "day": None, "score": None},
    ]
    assert not any(one.metadata for one in read_described_documents(str(tmp_path / "a.parquet"), SourceReader()))
    Dataset.from_dict(columns).save_to_disk(tmp_path / "saved")
    saved = read_described_documents(str(tmp_path / "saved"), SourceReader(with_fields=True))
    assert [document.metadata for document in saved] == [document.metadata for document in documents]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
@pytest.mark.parametrize("compression", ["", ".gz", ".bz2", ".zst"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, suffix: str, compression: str) -> None:
    plain, path = tmp_path / f"plain{suffix}", tmp_path / f"rows{suffix}{compression}"
    {".csv": write_csv, ".parquet": write_parquet, ".jsonl": write_json_lines}[suffix](plain)
    names = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
    with pyarrow.output_stream(str(path), compression=names.get(compression)) as file:
        file.write(plain.read_bytes())
    if suffix == ".parquet" and compression:
        assert "cannot be read" in refused(path)  # Parquet compresses by itself
    else:
        assert read(path) == ROWS


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.txt.gz"])
def test_reading_tells_how_far_it_is(tmp_path: Path, name: str) -> None:
    """The bytes that are told add up to those that are expected, or near where the file is compressed."""
    lines = {".txt": "a text\n\n", ".jsonl": '{"text": "a text"}\n', ".csv": "a text\n"}
    kind = next(suffix for suffix in lines if suffix in name)
    content = ("text\n" if kind == ".csv" else "") + lines[kind] * 5000
    with (gzip.open if name.endswith(".gz") else open)(tmp_path / name, "wt") as file:
        file.write(content)
    told: list[float] = []
    assert sum(1 for _ in read_documents(str(tmp_path / name), SourceReader(advance=told.append))) == 5000
    assert sum(told) == len(content) and len(told) > 1000
    expected = source_bytes(str(tmp_path / name))
    assert expected == (EXPANSION * (tmp_path / name).stat().st_size if name.endswith(".gz") else len(content))


def test_reading_docstrings_tells_how_far_it_is() -> None:
    told: list[float] = []
    assert sum(1 for _ in read_documents("pydoc:json", SourceReader(advance=told.append)))
    assert sum(told) == source_bytes("pydoc:json") > 0


def test_tables_without_the_field_or_with_damage_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv")
    write_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        assert "got the fields 'n', 'text', expected 'body'" in refused(tmp_path / name, text_field="body")
    (tmp_path / "b.csv").write_bytes(b'text\n"a\xff"\n')
    assert "b.csv:2, field 'text': got the lone surrogate" in refused(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text('text\n"open')
    assert "c.csv:" in refused(tmp_path / "c.csv") and "not CSV" in refused(tmp_path / "c.csv")
    (tmp_path / "d.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-9])
    assert "cannot be read" in refused(tmp_path / "d.parquet")
    (tmp_path / "e.txt.gz").write_bytes(b"not compressed")
    assert "got no gzip data" in refused(tmp_path / "e.txt.gz")
    parquet.write_table(pyarrow.table({"text": ["a", None]}), tmp_path / "f.parquet")
    assert "f.parquet, row 2: got null in the field 'text'" in refused(tmp_path / "f.parquet")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "got a list, expected an object"),
        ('{"text": null}', "got null in the field 'text'"),
        ('{"text": 5}', "got the number 5 in the field 'text'"),
        ('{"text": "a"', "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_json_lines_are_refused_by_number(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n' + line + "\n")
    found = refused(tmp_path / "a.jsonl")
    assert "a.jsonl:2: " in found and message in found


def test_hub_errors_name_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "good", "label": 1}\n')
    assert "hub_split" in refused(f"hub:{tmp_path}", hub_split="test")
    assert f"hub:{tmp_path}, row 1: got the number 1" in refused(f"hub:{tmp_path}", text_field="label")
    assert "got the fields 'text', 'label'" in refused(f"hub:{tmp_path}", text_field="body")
    assert str(tmp_path / "absent") in refused(f"hub:{tmp_path / 'absent'}")


def test_a_saved_dataset_is_read_wherever_it_is_named(tmp_path: Path) -> None:
    rows = {"text": [f"text {number}" for number in range(5)], "n": range(5)}
    Dataset.from_dict(rows).save_to_disk(tmp_path / "one", num_shards=2)
    DatasetDict({"train": Dataset.from_dict(rows), "test": Dataset.from_dict({"text": ["t"]})}).save_to_disk(
        tmp_path / "many"
    )
    for source in (tmp_path / "one", f"hub:{tmp_path / 'one'}", tmp_path / "many", f"hub:{tmp_path / 'many'}"):
        assert read(source) == rows["text"]
        check_source(str(source))
    assert read(tmp_path / "many", hub_split="test") == ["t"]
    assert "got the splits 'train', 'test', expected 'dev'; set hub_split" in refused(
        tmp_path / "many", hub_split="dev"
    )
    assert "got the fields 'text', 'n', expected 'body'" in refused(tmp_path / "one", text_field="body")
    assert read(tmp_path) == [*rows["text"], *rows["text"]]  # and within a folder


def test_links_to_folders_are_followed_and_each_folder_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "corpus" / "a.txt").write_text("here")
    (tmp_path / "elsewhere" / "deep" / "b.txt").write_text("there")
    for name, target in (("link", "elsewhere"), ("link2", "elsewhere"), ("loop", "corpus")):
        os.symlink(tmp_path / target, tmp_path / "corpus" / name)
    os.symlink(tmp_path / "corpus", tmp_path / "whole")
    assert read(tmp_path / "corpus") == read(tmp_path / "whole") == ["here", "there"]


# Bad input


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_cells_beyond_the_first_line_are_never_dropped(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    with (gzip.open if suffix.endswith("gz") else open)(path, "wt") as file:
        file.write('id,text\n0,"quoted, and\nwhole"\n1,The cat sees the house, the river and a dog\n2,good\n')
    expected = r"rows.csv.*:4: got 3 cells, expected 2 \(id, text\); put double quotes around"
    assert re.search(expected, refused(path))
    statistics: Counter[str] = Counter()
    assert read(path, on_invalid_text="skip", statistics=statistics) == ["quoted, and\nwhole", "good"]
    assert statistics == {"invalid_text": 1}


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", "text,text\na,b\n"), ("a.jsonl", '{"text": "a", "text": "b"}\n')]
)
def test_two_texts_of_one_name_are_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert re.search("'text'.*twice", refused(tmp_path / name))


def test_a_line_of_white_space_of_any_script_is_blank(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("一。\n\u3000\u3000\n二。\n\xa0\n三。\n\u3000四。", encoding="utf-8")
    assert read(tmp_path / "a.txt") == ["一。", "二。", "三。\n\u3000四。"]


def test_files_of_other_kinds_in_a_folder_are_counted(tmp_path: Path) -> None:
    for name in ("a.txt", "b.html", "c.txt.lz4", "inner/d", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    statistics: Counter[str] = Counter()
    assert read(tmp_path, statistics=statistics) == ["text"]
    assert statistics == {"files_of_other_kinds": 3}


def test_the_kinds_of_files_in_a_folder_are_counted_where_they_are_several(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("about the data")
    (tmp_path / "a.jsonl").write_text('{"text": "text"}\n')
    statistics: Counter[str] = Counter()
    assert read(tmp_path, statistics=statistics) == ["about the data", "text"]
    assert statistics == {"md_files": 1, "jsonl_files": 1}


def write_nulls(path: Path) -> None:
    rows = [{"text": "one"}, {"text": None}, {"text": " "}, {"text": "two"}]
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, [*rows, {"text": math.nan}, {"n": 1}])))
    elif path.suffix == ".parquet":
        parquet.write_table(pyarrow.table({"text": [row["text"] for row in rows]}), path)
    elif path.suffix == ".csv":
        path.write_text("n,text\n1,one\n2\n3, \n4,two\n")
    else:
        Dataset.from_list(rows).save_to_disk(path)


@pytest.mark.parametrize(("suffix", "without"), [(".jsonl", 3), (".parquet", 1), (".csv", 1), (".saved", 1)])
def test_rows_without_text_are_refused_or_counted(tmp_path: Path, suffix: str, without: int) -> None:
    path = tmp_path / f"rows{suffix}"
    write_nulls(path)
    assert "got null in the field 'text', expected a string; fill it in" in refused(path)
    assert "or set corpus.on_invalid_text to skip" in refused(path, policy_option="corpus.on_invalid_text")
    statistics: Counter[str] = Counter()
    assert read(path, on_invalid_text="skip", statistics=statistics) == ["one", "two"]
    assert statistics == {"rows_without_text": without, "blank_documents": 1}


def test_a_field_that_no_row_has_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "b"}\n' * 3)
    message = refused(tmp_path / "a.jsonl", on_invalid_text="skip")
    assert "got no documents (3 rows without text)" in message and "set text_field" in message


@pytest.mark.parametrize(
    ("name", "content", "message", "replaced"),
    [
        ("a.txt", b"good\n\nb\xffd", "the invalid byte 0xff at byte offset 7 of the file", "b\ufffdd"),
        ("a.txt", b"good\n\n\xe4\xb8\x89b\0d", "a NUL character at byte offset 10 of the file", "三b\ufffdd"),
        (
            "a.txt",
            b"good\n\nb\xed\xa0\x80d",
            "the invalid byte 0xed at byte offset 7 of the file",
            "b\ufffd\ufffd\ufffdd",
        ),
        ("a.jsonl", b'{"text": "good"}\n{"text": "b\xffd"}', "0xff at byte offset 28 of the file", "b\ufffdd"),
        ("a.jsonl", b'{"text": "good"}\n{"text": "b\\ud800d"}', "U+D800 at byte offset 1 of the text", "b\ufffdd"),
        (
            "a.jsonl",
            b'{"text": "good"}\n{"text": "b\\u0000d"}',
            "NUL character at byte offset 1 of the text",
            "b\ufffdd",
        ),
    ],
)
def test_invalid_text_follows_the_policy(
    tmp_path: Path, name: str, content: bytes, message: str, replaced: str
) -> None:
    (tmp_path / name).write_bytes(content)
    statistics: Counter[str] = Counter()
    found = refused(tmp_path / name)
    assert message in found and name in found and "on_invalid_text" not in found  # a verb may have no such option
    assert "set data.on_invalid_text to" in refused(tmp_path / name, policy_option="data.on_invalid_text")
    assert read(tmp_path / name, on_invalid_text="skip", statistics=statistics) == ["good"]
    assert read(tmp_path / name, on_invalid_text="replace", statistics=statistics) == ["good", replaced]
    assert statistics == {"invalid_text": 1, "replaced_text": 1}


def test_offsets_are_right_far_into_a_file(tmp_path: Path) -> None:
    content = ("é三😀 text\nmore\n\n" * 50).encode()
    for position in range(600, 650):
        (tmp_path / "a.txt").write_bytes(content[:position] + b"\0" + content[position:])
        if (content[position] & 0xC0) != 0x80:  # not inside a character, which would be invalid before the NUL
            assert f"offset {position} of the file" in refused(tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_overlong_documents_are_refused_in_bounded_memory(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "MAX_DOCUMENT_BYTES", 5000)
    monkeypatch.setattr(reading, "MAX_DOCUMENT_BYTES", 5000)
    monkeypatch.setattr(lines, "PIECE_BYTES", 1000)
    good = '{"text": "good"}\n\n' if name == "a.jsonl" else "good\n\n"
    (tmp_path / name).write_text(good + "x" * 100_000 + " \n\n" + good + "y" * 4000 * (name == "a.txt"))
    assert f"{name}: got a document of more than 5000 bytes from byte offset {len(good)} on" in refused(tmp_path / name)
    statistics: Counter[str] = Counter()
    expected = ["good", "good", "y" * 4000] if name == "a.txt" else ["good", "good"]
    assert read(tmp_path / name, on_invalid_text="skip", statistics=statistics) == expected
    assert statistics["overlong_documents"] == 1


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_overlong_rows_are_refused_too(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_DOCUMENT_BYTES", 5000)
    texts = ["good", "é" * 2500, "é" * 2501]
    if name == "a.parquet":
        parquet.write_table(pyarrow.table({"text": texts}), tmp_path / name)
    else:
        (tmp_path / name).write_text("\n".join(["text", *texts]), encoding="utf-8")
    assert "got a document of more than 5000 bytes, expected shorter ones; cut it" in refused(tmp_path / name)
    statistics: Counter[str] = Counter()
    assert read(tmp_path / name, on_invalid_text="skip", statistics=statistics) == texts[:2]
    assert statistics["overlong_documents"] == 1


def test_a_line_of_a_gigabyte_is_not_read_whole(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # sparse: takes no room
    tracemalloc.start()
    assert "more than 16777216 bytes from byte offset 0" in refused(path)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_special_files_are_refused_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    os.symlink(tmp_path / "loop.txt", tmp_path / "loop.txt")
    os.symlink("/dev/zero", tmp_path / "device.txt")
    (tmp_path / "folder.txt").mkdir()
    assert "got a named pipe, expected a file" in refused(tmp_path / "pipe.txt")
    assert "symbolic link" in refused(tmp_path / "loop.txt")
    assert "got a device, expected a file" in refused(tmp_path / "device.txt")
    assert "got a folder" in refused(tmp_path / "folder.txt")
    assert "got a directory, expected a file" in refused(tmp_path / "f*.txt")
    assert "got a device" in refused(tmp_path)  # in the folder, none of them is passed over


def test_missing_and_unknown_sources_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_text("a")
    assert "No such file" in refused(tmp_path / "absent.txt")
    assert "no file matches" in refused(tmp_path / "*.txt")
    assert "got a folder with .pdf, expected one with files" in refused(tmp_path)
    for source in (tmp_path / "a.pdf", "s3://bucket/a.txt", "absent.pdf"):
        assert ", expected pydoc:PACKAGE,PACKAGE; pycode:PACKAGE,PACKAGE; hub:USER/NAME; or the path" in refused(source)


@pytest.mark.parametrize("content", ["", "\n \n\t\n\r\n"])
def test_empty_corpora_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.txt").write_text(content)
    assert "got no documents" in refused(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text(content + "\0")
    assert "got no documents (1 invalid text)" in refused(tmp_path / "a.txt", on_invalid_text="skip")


# The corpus


@pytest.mark.parametrize("heavier_first", [True, False])
def test_a_document_in_two_sources_has_the_higher_weight(tmp_path: Path, heavier_first: bool) -> None:
    texts = [f"document {number}" for number in range(100)]
    (tmp_path / "crawl.txt").write_text("\n\n".join(texts))
    (tmp_path / "good.txt").write_text("\n\n".join(texts[20:50]))
    sources = [SourceOptions(source=f"{tmp_path}/crawl.txt"), SourceOptions(source=f"{tmp_path}/good.txt", weight=50)]
    corpus = read_corpus(CorpusOptions(sources=sources[::-1] if heavier_first else sources))
    assert [(Path(name).name, weight) for name, weight, _ in corpus.sources] == [("good.txt", 50), ("crawl.txt", 1)]
    assert [len(part) for part in by_source(corpus)] == [30, 70]


def test_documents_are_counted_and_on_one_side(tmp_path: Path) -> None:
    texts = [f"document {number % 150}" for number in range(200)]
    (tmp_path / "a.txt").write_text("\n\n".join([*texts, "document   \n 7", "\0"]))
    corpus = load_corpus(str(tmp_path), evaluation_fraction=0.3, on_invalid_text="skip")
    assert sorted(corpus.training + corpus.evaluation) == sorted(set(texts))
    assert corpus.training == sorted(corpus.training, key=texts.index)
    statistics = corpus.statistics
    assert statistics["documents_read"] == 201 and statistics["duplicates"] == 51 and statistics["invalid_text"] == 1
    assert statistics["training_documents"] == len(corpus.training)
    assert statistics["evaluation_documents"] == len(corpus.evaluation)
    assert 20 < len(corpus.evaluation) < 70  # 45 +- 4 sigma


def test_the_split_depends_on_the_text_alone(tmp_path: Path) -> None:
    texts = [f"document {number}" for number in range(300)]
    (tmp_path / "a.txt").write_text("\n\n".join(texts[:200]))
    (tmp_path / "b.txt").write_text("\n\n".join(reversed(texts)).replace(" ", "  "))
    few, all_ = (load_corpus(str(tmp_path / name), evaluation_fraction=0.2) for name in ("a.txt", "b.txt"))
    assert set(few.evaluation) == {text.replace("  ", " ") for text in all_.evaluation} & set(texts[:200])


@pytest.mark.parametrize("fraction", [0.0001, 0.9999])
def test_tiny_corpora_fill_both_sides(tmp_path: Path, fraction: float) -> None:
    (tmp_path / "a.txt").write_text("a\n\nb\n\nc\n\nd")
    corpus = load_corpus(str(tmp_path), evaluation_fraction=fraction)
    assert (len(corpus.training), len(corpus.evaluation)) == (2, 2)
    (tmp_path / "a.txt").write_text("a\n\nb\n\na")
    with pytest.raises(CorpusError, match="got 2 different documents, expected at least 4"):
        load_corpus(str(tmp_path))


def test_described_documents_keep_the_other_fields(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": " one ", "year": 2020, "tags": ["a"]}\n{"text": "two"}\n')
    described = list(read_described_documents(str(path)))
    assert [(document.text, document.metadata) for document in described] == [
        ("one", {"year": 2020, "tags": ["a"]}),
        ("two", {}),
    ]
    assert [document.place for document in described] == [f"{path}:1", f"{path}:2"]
    paragraphs = tmp_path / "rows.txt"
    paragraphs.write_text("one\n\ntwo\n")
    assert [document.metadata["offset"] for document in read_described_documents(str(paragraphs))] == [0, 5]


@pytest.mark.parametrize("name, text", [("a.txt", "some text"), ("a.jsonl", '{"text": "a"}'), ("a.csv", "text\na\n")])
def test_other_encodings_are_named(name: str, text: str, tmp_path: Path) -> None:
    for encoding in ("UTF-16", "UTF-32"):
        (tmp_path / name).write_bytes(text.encode(encoding))
        assert f"{name}: got {encoding}, expected UTF-8 text; save the file as UTF-8" in refused(tmp_path / name)
