"""A directory is the old one or the new one, whatever happens on the way."""

from pathlib import Path

import pytest

from hf_embeddings.files import staging
from hf_embeddings.files.ownership import claim
from hf_embeddings.files.staging import check_target, staged_directory


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").write_text("old", encoding="utf-8")
    return folder


@pytest.mark.parametrize("exchanges", [True, False], ids=["at once", "two renames"])
def test_a_block_that_succeeds_replaces_the_whole(
    exchanges: bool, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchanges:
        monkeypatch.setattr(staging, "_exchange", lambda one, other: False)
    with staged_directory(target, inputs={}, overwrite=True) as stage:
        (stage / "new").write_text("new", encoding="utf-8")
        assert content(target) == {"old": "old"}
    assert content(target) == {"new": "new"} and list(target.parent.iterdir()) == [target]


def test_a_block_that_fails_changes_nothing(target: Path) -> None:
    with pytest.raises(OSError, match="full"), staged_directory(target, inputs={}, overwrite=True) as stage:
        (stage / "new").write_text("ne", encoding="utf-8")
        raise OSError("full")
    assert content(target) == {"old": "old"} and list(target.parent.iterdir()) == [target]


def test_what_a_killed_writer_left_is_swept_up(target: Path) -> None:
    left = target.parent / ".model.staged"
    claim(left)
    (left / "model").mkdir()
    for name in (".lock", ".lock.json", "model/half"):  # the system lets go of the lock of a process that died
        (left / name).touch()
    with staged_directory(target, inputs={}, overwrite=True) as stage:
        assert not list(stage.iterdir())


def test_two_writers_of_one_target_are_refused(target: Path) -> None:
    with staged_directory(target, inputs={}, overwrite=True), pytest.raises(ValueError, match="by process"):
        staged_directory(target, inputs={}, overwrite=True).__enter__()
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("kind", ["full", "file", "link", "source"])
def test_a_target_that_must_not_be_replaced_is_refused(kind: str, target: Path) -> None:
    inputs, overwrite, place = {}, True, target
    match kind:
        case "full":
            overwrite = False
        case "file":
            place = target / "old"
        case "link":
            place = target.parent / "link"
            place.symlink_to(target)
        case "source":
            inputs = {"SOURCE": target / "old"}
    expected = {"full": "not empty", "file": "a file", "link": "is a link to", "source": "SOURCE: .* lies in"}[kind]
    with pytest.raises(ValueError, match=expected):
        staged_directory(place, inputs=inputs, overwrite=overwrite).__enter__()
    assert content(target) == {"old": "old"}
    assert {path.name for path in target.parent.iterdir()} <= {"model", "link"}


def test_errors_name_the_directory_that_was_meant(target: Path) -> None:
    with pytest.raises(FileNotFoundError) as refusal, staged_directory(target, inputs={}, overwrite=True) as stage:
        (stage / "absent" / "file").write_text("text")
    assert refusal.value.filename == str(target / "absent" / "file")
    with pytest.raises(ValueError) as refusal, staged_directory(target, inputs={}, overwrite=True) as stage:
        raise ValueError(f"{stage}/config.json: odd")
    assert str(refusal.value) == f"{target}/config.json: odd"


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors", "Corpus.JSONL", "run.yaml"])
def test_no_directory_gets_the_name_of_a_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"got the name of a file, .* leave {Path(name).suffix} out"):
        check_target(tmp_path / name, inputs={}, overwrite=True)
    for other in ("bert-1.5", "model.v2", "data.work"):
        check_target(tmp_path / other, inputs={}, overwrite=True)
