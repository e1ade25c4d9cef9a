"""Only what carries the mark is ever emptied or removed."""

from pathlib import Path

import pytest

from hf_embeddings.files.lock import Lock
from hf_embeddings.files.ownership import MARK, claim, clear, refuse_inside, remove


def test_what_was_claimed_can_be_claimed_cleared_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "work"
    claim(folder)
    (folder / "inner").mkdir()
    (folder / "inner" / "file").touch()
    (folder / "link").symlink_to(tmp_path)
    claim(folder)
    lock = Lock(folder)
    clear(folder)
    assert {path.name for path in folder.iterdir()} == {MARK, ".lock", ".lock.json"}
    lock.release()
    remove(folder)
    assert not folder.exists() and tmp_path.is_dir()


@pytest.mark.parametrize("kind", ["folder", "empty", "file", "link"])
def test_what_somebody_else_made_is_refused_and_stays(kind: str, tmp_path: Path) -> None:
    folder, own = tmp_path / "work", tmp_path / "own"
    claim(own)
    match kind:
        case "folder":
            folder.mkdir()
            (folder / "thesis.tex").touch()
        case "empty":
            folder.mkdir()
        case "file":
            folder.touch()
        case "link":  # to a directory of ours: it is still another's link
            folder.symlink_to(own)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="is needed for the work, but is there without the mark of hf-embeddings"):
        claim(folder)
    remove(folder)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_read_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"
    (tmp_path / "alias").symlink_to(target)
    for path in (
        target,
        target / "a" / "b.txt",
        target / "*.txt",
        tmp_path / "alias" / "a",
        tmp_path / "x" / ".." / "out",
    ):
        with pytest.raises(ValueError, match="corpus.source: .* lies in .*out, which would be overwritten"):
            refuse_inside(target, {"model.base": None, "corpus.source": str(path)})
    refuse_inside(target, {"model.base": tmp_path, "corpus.source": tmp_path / "out2", "tokenizer.path": "hub-name"})
