"""`hf-embeddings index`, `search` and `remove`, from files to results."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hf_embeddings.cli.main import app, main
from hf_embeddings.hardware import bf16_is_fast
from hf_embeddings.search.index import Index
from hf_embeddings.search.query_encoder import load_encoder
from tests.search.conftest import model_folder, texts  # noqa: F401  fixtures


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def corpus(tmp_path: Path, texts: list[str]) -> Path:  # noqa: F811
    path = tmp_path / "corpus.jsonl"
    path.write_text(
        "".join(json.dumps({"text": text, "id": f"t{i}", "half": i % 2}) + "\n" for i, text in enumerate(texts))
    )
    return path


@pytest.fixture
def folder(tmp_path: Path, corpus: Path, model_folder: Path) -> Path:  # noqa: F811
    figures = json.loads(run("index", corpus, tmp_path / "index", "--model", model_folder, "--json"))
    assert figures["documents"] == figures["passages"] == 40
    return tmp_path / "index"


def test_the_text_itself_is_found_first(folder: Path, texts: list[str]) -> None:  # noqa: F811
    found = json.loads(run("search", folder, texts[17], texts[4], "-k", 3, "--json"))
    assert [hits[0]["id"] for hits in found.values()] == ["t17", "t4"]
    assert found[texts[17]][0]["score"] == pytest.approx(1, abs=1e-5) and len(found[texts[4]]) == 3
    printed = run("search", folder, texts[17], "-k", 3, "--where", "half=1")
    assert printed.startswith(" 1. 1.000  t17\n") and "[half 1]" in printed and "half 0" not in printed


def test_what_the_vocabulary_cannot_spell_is_said(tmp_path: Path, folder: Path, model_folder: Path) -> None:  # noqa: F811
    (tmp_path / "c.txt").write_text("the cat\n\n字字字字 the dog\n", encoding="utf-8")
    said = run("index", tmp_path / "c.txt", tmp_path / "other", "--model", model_folder)
    assert "warning: the vocabulary cannot spell 25.0% of the characters" in said
    result = CliRunner().invoke(app, ["search", str(folder), "the cat", "the 字"])
    assert result.stderr.count("cannot spell") == 1 and "the 字: the vocabulary" in result.stderr


def test_removing(folder: Path, texts: list[str]) -> None:  # noqa: F811
    removed = json.loads(run("remove", folder, "t17", "--compact", "--json"))
    assert removed == {"removed_passages": 1, "rewritten_without": 1, "passages": 39}
    assert json.loads(run("search", folder, texts[17], "--json"))[texts[17]][0]["id"] != "t17"
    assert run("remove", folder, "--where", "half=0") == f"{folder}: 20 passages removed, 19 left\n"


@pytest.mark.parametrize("place", ["qdrant:{}/q#docs", "milvus:{}/m.db#docs"])
def test_an_index_is_copied_to_a_database_and_searched_there(
    folder: Path,
    texts: list[str],  # noqa: F811
    tmp_path: Path,
    place: str,
) -> None:
    place = place.format(tmp_path)
    assert json.loads(run("index", folder, place, "--json")) == {"index": place, "passages": 40}
    found = json.loads(run("search", place, texts[17], "-k", 3, "--where", "half=1", "--json"))[texts[17]]
    assert found[0]["id"] == "t17" and {hit["metadata"]["half"] for hit in found} == {1}


@pytest.mark.precision
def test_documents_without_ids_get_stable_ones(tmp_path: Path, model_folder: Path) -> None:  # noqa: F811
    (tmp_path / "notes.txt").write_text("the cat\n\nthe dog\n\nthe cat\n")
    for _ in range(2):
        run("index", tmp_path / "notes.txt", tmp_path / "index", "--model", model_folder, "--precision", "bf16")
    with Index(tmp_path / "index") as index:
        assert len(index) == 2  # indexing the same file again replaces, and equal paragraphs are one document
        assert index.get("settings")["precision"] == "bf16"
        assert load_encoder(index).precision == ("bf16" if bf16_is_fast() else "fp32")


def test_an_index_holds_what_its_files_hold_and_what_has_an_id(tmp_path: Path, model_folder: Path) -> None:  # noqa: F811
    notes, index = tmp_path / "notes", tmp_path / "index"
    notes.mkdir()
    (notes / "a.txt").write_text("the cat\n\nthe dog\n")
    (notes / "b.txt").write_text("the king\n")
    (notes / "c.jsonl").write_text('{"id": "own", "text": "the queen"}\n{"text": "the house", "kept": 1}\n')
    run("index", notes, index, "--model", model_folder, "--max-length", 24)

    def texts_of() -> set[str]:
        with Index(index) as opened:
            return {record.text for records, _ in opened.iterate() for record in records}

    (notes / "a.txt").write_text("a stone\n\nthe cat\n")
    (notes / "b.txt").unlink()
    (notes / "c.jsonl").write_text('{"text": "the house", "kept": 1}\n')
    part = json.loads(run("index", notes, index, "--where", "kept=1", "--json"))  # with the model that it knows
    assert part["kept"] == 3 and part["removed"] == 0 and len(texts_of()) == 5
    assert "2 passages removed that their files no longer hold" in run("index", notes, index)
    assert texts_of() == {"the cat", "a stone", "the house", "the queen"}
    with Index(index) as opened:
        assert opened.settings.recipe["max_length"] == 24


def test_packages_bring_their_names(tmp_path: Path, model_folder: Path) -> None:  # noqa: F811
    run("index", "pydoc:yaml", tmp_path / "index", "--model", model_folder)
    hits = json.loads(run("search", tmp_path / "index", "x", "-k", 1, "--where", "title=yaml.safe_load", "--json"))["x"]
    assert hits[0]["id"] == "yaml.safe_load" and hits[0]["metadata"]["module"] == "yaml"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "{tmp}/none", "query"], "no index there"),
        (["index", "{tmp}/none.txt", "{tmp}/index", "--model", "{tmp}"], "none.txt"),
        (["remove", "{tmp}/none"], "no index there"),
        (["index", "{tmp}", "{tmp}/index"], "--model: missing, expected a model directory or Hub id, as the index is"),
        (["search", "qdrant:{tmp}/q#docs", "x"], "no complete copy of an index is there"),
        (["index", "{tmp}/none", "qdrant:{tmp}/q#docs"], "no index there"),
        (["index", "{tmp}", "qdrant:{tmp}/q#docs", "--layer", "2"], "layer: given, but an index is copied"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["hf-embeddings", *(text.format(tmp=tmp_path) for text in arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2 and error.startswith("error: ") and message in error
    assert not (tmp_path / "index").exists()


def test_what_is_left_out_is_said_and_twin_ids_are_refused_before_work(
    tmp_path: Path,
    model_folder: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus, index = tmp_path / "c.jsonl", tmp_path / "index"
    rows = [{"id": "a", "text": "the cat"}, {"id": "b", "text": " "}, {"id": "a", "text": "the cat"}]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["index", corpus, index, "--model", model_folder]
    left_out = "left out 1 blank documents, 1 repeated documents"
    assert left_out in run(*given)
    assert json.loads(run(*given, "--json"))["left_out"] == {"blank_documents": 1, "repeated_documents": 1}
    for bad, message in (
        ([*rows, {"id": "a", "text": "the dog"}], f"id 'a': two documents have it, in {corpus}:1 and {corpus}:4, and"),
        ([{"text": ""}], "got no documents (1 blank documents)"),
    ):
        corpus.write_text("".join(json.dumps(row) + "\n" for row in bad))
        monkeypatch.setattr(sys, "argv", ["hf-embeddings", "index", str(corpus), "new", "--model", str(model_folder)])
        with pytest.raises(SystemExit, match="2"):
            main()
        assert message in capsys.readouterr().err.splitlines()[-1] and not Path("new").exists()
