"""Laws of files as sources: what people have is read, or refused by its name with what to do."""

import bz2
import gzip
import json
import lzma
import re
from pathlib import Path

import pyarrow
import pytest

from hf_embeddings.corpora.document import NO_PATHS, CorpusError, SourceReader
from hf_embeddings.corpora.sentences import split_sentences
from hf_embeddings.corpora.sources import SCHEMES, read_described_documents, read_documents
from hf_embeddings.corpora.text_rules import TextRules

ROWS = [{"n": 1, "text": 'one "quoted'}, {"n": 2, "text": "two; and, more"}]
TEXTS = [row["text"] for row in ROWS]
CONTENTS = {
    "a.txt": "\n\n".join(TEXTS),
    "a.md": "\n\n".join(TEXTS),
    "a.rst": "\n\n".join(TEXTS),
    "a.jsonl": "\n".join(map(json.dumps, ROWS)),
    "a.ndjson": "\n".join(map(json.dumps, ROWS)),
    "a.json": json.dumps(ROWS, indent=2),
    "lines.json": "\n".join(map(json.dumps, ROWS)),
    "a.csv": 'n,text\n1,"one ""quoted"\n2,"two; and, more"\n',
    "excel.csv": 'n;text\n1;"one ""quoted"\n2;"two; and, more"\n',
    "tabs.csv": 'n\ttext\n1\t"one ""quoted"\n2\ttwo; and, more\n',
    "a.fasta": '>1\none "quoted\n>2 the second\ntwo; and\n, more\n',
    "a.tsv": 'n\ttext\n1\tone "quoted\n2\ttwo; and, more\n',
}
COMPRESS = {
    "": bytes,
    ".gz": lambda content: gzip.compress(content[:9]) + gzip.compress(content[9:]),  # as parallel compressors write
    ".bz2": lambda content: bz2.compress(content[:9]) + bz2.compress(content[9:]),
    ".xz": lambda content: lzma.compress(content[:9]) + lzma.compress(content[9:]),
    ".zst": lambda content: bytes(pyarrow.Codec("zstd").compress(content, asbytes=True)),
}


def read(path: Path, **options: object) -> list[str]:
    return list(read_documents(str(path), SourceReader(**options)))


def refused(path: Path) -> str:
    with pytest.raises(CorpusError) as error:
        read(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("name", CONTENTS)
def test_every_kind_of_file_is_read_whatever_ends_its_lines(name: str, end: str, tmp_path: Path) -> None:
    content = CONTENTS[name].replace("\n", end).encode("utf-8-sig")
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name) == TEXTS


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("name", CONTENTS)
def test_every_kind_of_file_is_read_compressed_and_in_capitals(name: str, compression: str, tmp_path: Path) -> None:
    path = tmp_path / (name + compression).upper()
    path.write_bytes(COMPRESS[compression](CONTENTS[name].encode()))
    assert read(path) == TEXTS


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c"])
def test_separators_of_unicode_are_white_space_within_a_line(end: str, tmp_path: Path) -> None:
    text = f"one{end}{end}two"
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}, ensure_ascii=False), encoding="utf-8")
    (tmp_path / "a.csv").write_text(f"text\n{text}\n", encoding="utf-8")
    assert [read(tmp_path / name) for name in ("a.txt", "a.jsonl", "a.csv")] == [[text]] * 3


def test_sentences_end_with_the_lines_of_every_system() -> None:
    for end in ("\n", "\r\n", "\r"):
        assert split_sentences(f"one{end}two", TextRules("lines")) == ["one", "two"]
        assert split_sentences(f"one{end}{end}two", TextRules("stops")) == ["one", "two"]
    assert split_sentences("one\u2028two", TextRules("lines")) == ["one\u2028two"]


@pytest.mark.parametrize(
    ("name", "cure"),
    [("a.html", "extract"), ("a.zip", "unpack"), ("a.tar.gz", "unpack"), ("a.PDF", "as .txt"), ("a.xlsx", "as .csv"),
     ("a.arrow", "save_to_disk"), ("a.txt.lz4", "as .zst or .gz"), ("a", "suffix"), ("a.log", "suffix")],
)  # fmt: skip
def test_what_is_not_read_is_refused_by_name_alone_and_in_a_folder(name: str, cure: str, tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / name).lower()
    (tmp_path / name).write_bytes(b"x")
    assert re.search(f"expected.*{cure}", refused(tmp_path / name))
    if cure != "suffix":
        assert re.search(rf"got a folder with \.\w+, expected.*{cure}", refused(tmp_path))


def test_a_file_of_source_code_is_one_document_where_it_is_named(tmp_path: Path) -> None:
    code = "def f():\n\n    return 1\n\n\ndef g():\n\treturn f()"
    for name in ("a.py", "b.rs", "c.py.gz"):
        content = f"{code}\n".encode()
        (tmp_path / name).write_bytes(COMPRESS[".gz"](content) if name.endswith(".gz") else content)
        assert read(tmp_path / name) == [code]
    assert read(tmp_path / "*.py") == [code]
    assert re.search(r"got a folder with \.py, \.rs, expected .* by a glob: .*/\*\*/\*\.py", refused(tmp_path))
    (tmp_path / "notes.txt").write_text("prose")
    assert read(tmp_path) == ["prose"]  # a script among texts is no text


def test_the_source_code_of_a_package_is_read() -> None:
    documents = list(read_described_documents("pycode:filelock"))
    assert {document.metadata["module"] for document in documents} > {"filelock", "filelock.asyncio"}
    assert any("\n\n\nclass " in document.text for document in documents)
    assert set(NO_PATHS) == set(SCHEMES)


def test_sequences_are_read_in_one_piece_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.fasta").write_bytes(b">one the first\r\nACGT\r\nAC\r\n>two\nGG\n\nTT\n>empty\n")
    documents = list(read_described_documents(str(tmp_path)))
    assert [document.text for document in documents] == ["ACGTAC", "GGTT"]
    assert [document.metadata["title"] for document in documents] == ["one", "two"]
    assert documents[0].metadata["description"] == "the first" and documents[1].place.endswith("a.fasta:4")
    (tmp_path / "b.fa").write_text("ACGT\n")
    assert "b.fa:1: got a sequence without a line that names it" in refused(tmp_path / "b.fa")


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    assert "got a folder with no files" in refused(tmp_path)


@pytest.mark.parametrize("compression", [".gz", ".bz2", ".xz", ".zst"])
def test_content_of_another_kind_than_the_name_says_is_refused(compression: str, tmp_path: Path) -> None:
    content = COMPRESS[compression](("A line of text, " + "with more of it " * 99).encode())
    (tmp_path / "a.txt").write_bytes(content)
    assert re.search("got (gzip|bz2|xz|zstd), expected text", refused(tmp_path / "a.txt"))
    (tmp_path / f"b.txt{compression}").write_bytes(b"text")
    assert re.search("got no (gzip|bz2|xz|zstd) data", refused(tmp_path / f"b.txt{compression}"))
    (tmp_path / f"c.txt{compression}").write_bytes(content[:-9])
    assert "cannot be read" in refused(tmp_path / f"c.txt{compression}")
    for start in (b"PK\x03\x04", b"%PDF-1.4\n"):
        (tmp_path / "d.txt").write_bytes(start)
        assert "expected text" in refused(tmp_path / "d.txt")


def test_a_json_file_that_is_neither_an_array_nor_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"data": ROWS}, indent=2))
    assert "a.json:1: got a line that is not JSON" in refused(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("[1]")
    assert "b.json, row 1: got the number 1, expected an object" in refused(tmp_path / "b.json")
    (tmp_path / "c.json").write_text("[1")
    assert "not JSON" in refused(tmp_path / "c.json")


def test_the_line_that_excel_reads_first_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sep=;\nid;text\n1;a, b\n2;c;d\n", encoding="utf-8")
    assert read(tmp_path / "a.csv", on_invalid_text="skip") == ["a, b"]
    assert "a.csv:4: got 3 cells, expected 2 (id, text)" in refused(tmp_path / "a.csv")
