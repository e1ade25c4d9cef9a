"""`verify` reads whatever holds the sums of its files, and says in one line what holds none."""

from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.cli.main import main
from hf_embeddings.search.index import Index
from hf_embeddings.search.records import Record


def verified(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command, and return how it left."""
    monkeypatch.setattr("sys.argv", ["hf-embeddings", "verify", str(folder)])
    with pytest.raises(SystemExit) as leaving:
        main()
    return int(str(leaving.value.code or 0))


@pytest.mark.parametrize("damaged", [False, True])
def test_an_index_is_compared_with_its_sums(
    damaged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Index.create(tmp_path / "index", 4) as index:
        index.add([Record("a", "one"), Record("b", "two")], np.eye(2, 4))
    codes = tmp_path / "index" / "codes-1.i8"
    if damaged:
        codes.write_bytes(b"\1" + codes.read_bytes()[1:])
    code, said = verified(tmp_path / "index", monkeypatch), capsys.readouterr().out
    if damaged:
        assert code == 1 and said.startswith("index of 2 passages: ") and "rows 0 to 1 are damaged" in said
    else:
        assert code == 0 and said == "index of 2 passages: intact\n"


@pytest.mark.parametrize(
    "name, words",
    [
        ("model.safetensors", "a model directory, without sums"),
        ("onnx/model.onnx", "an ONNX export, without sums"),
        ("notes.md", "no manifest.json in it, without sums"),
    ],
)
def test_what_has_no_sums_is_named(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    code, said = verified(tmp_path, monkeypatch), capsys.readouterr().err
    assert code == 2 and words in said and said.count("\n") == 1
