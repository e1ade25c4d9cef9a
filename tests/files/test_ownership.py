"""Only what carries the mark is ever emptied or removed."""

import errno
from pathlib import Path

import pytest

from hf_embeddings.files.lock import Lock
from hf_embeddings.files.ownership import (
    MARK,
    claim,
    claim_locked,
    clear,
    refuse_inside,
    refuse_link,
    refuse_within,
    remove_claimed,
    remove_locked,
    sweep,
)


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
    remove_claimed(folder)
    assert not folder.exists() and tmp_path.is_dir()


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_somebody_else_made_is_refused_and_stays(kind: str, tmp_path: Path) -> None:
    folder, own = tmp_path / "work", tmp_path / "own"
    claim(own)
    match kind:
        case "folder":
            folder.mkdir()
            (folder / "thesis.tex").touch()
        case "file":
            folder.touch()
        case "link":  # to a directory of ours: it is still another's link
            folder.symlink_to(own)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="is needed for the work, but is there without the mark of hf-embeddings"):
        claim(folder)
    remove_claimed(folder)
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


def test_nothing_is_made_in_what_is_read(tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.mkdir()
    (tmp_path / "alias").symlink_to(source)
    (source / "a.txt").touch()
    for target in (source, source / "out", source / "a" / "b", tmp_path / "alias" / "out"):
        with pytest.raises(ValueError, match="SOURCE: .* would lie in .*model, which is read"):
            refuse_within(target, {"--corpus": None, "SOURCE": source})
    inputs = {"SOURCE": source, "corpus.source": str(source / "a.txt"), "glob": str(source / "*"), "base": "hub-name"}
    for target in (tmp_path, tmp_path / "model2", tmp_path / "out"):
        refuse_within(target, inputs)
    refuse_within(source / "out", {"corpus.source": str(source / "a.txt"), "glob": str(source / "*.txt")})


def test_an_empty_directory_as_a_kill_leaves_it_is_claimed(tmp_path: Path) -> None:
    """Between the directory and its mark, and between the end of the mark and that of the directory, lies a moment."""
    for name, left in (("begun", []), ("ended", [".lock", ".lock.json"])):
        (tmp_path / name).mkdir()
        for file in left:
            (tmp_path / name / file).touch()
        lock = claim_locked(tmp_path / name)
        remove_locked(tmp_path / name, lock)
    assert not list(tmp_path.iterdir())


def test_who_leaves_removes_nothing_of_the_next_one(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    first = claim_locked(folder)
    clear(folder)
    (folder / MARK).unlink()
    first.release()  # and here the next one comes
    second = claim_locked(folder)
    (folder / "work").touch()
    assert (folder / MARK).is_file() and (folder / "work").is_file()
    remove_locked(folder, second)
    assert not folder.exists()


def test_what_an_interrupted_process_left_is_swept_up_and_nothing_else(tmp_path: Path) -> None:
    live, others = tmp_path / "live", tmp_path / "others"
    lock = claim_locked(live)
    (live / "work").touch()
    others.mkdir()
    (others / "thesis.tex").touch()
    for folder, left in (
        ("killed", [MARK, ".lock", "work"]),
        ("killed at the end", []),
        ("killed at its lock", [".lock"]),
    ):
        (tmp_path / folder).mkdir()
        for file in left:
            (tmp_path / folder / file).touch()
    for path in (*tmp_path.iterdir(), tmp_path / "absent"):
        sweep(path)
    assert {path.name for path in tmp_path.iterdir()} == {"live", "others"}
    assert (live / "work").is_file() and (others / "thesis.tex").is_file()
    remove_locked(live, lock)


def test_a_directory_is_not_replaced_through_a_link_to_it(tmp_path: Path) -> None:
    refuse_link(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="link: is a link to .*; give the directory itself"):
        refuse_link(tmp_path / "link")


@pytest.mark.parametrize("number", [1, 2])
def test_a_claim_on_a_full_disk_leaves_nothing(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full at the mark, or when it is written again behind the lock."""
    touch, calls = Path.touch, []

    def full(path: Path, *arguments: object, **named: object) -> None:
        calls.append(path)
        if path.name == MARK and sum(own.name == MARK for own in calls) == number:
            raise OSError(errno.ENOSPC, "full")
        touch(path, *arguments, **named)

    monkeypatch.setattr(Path, "touch", full)
    with pytest.raises(OSError, match="full"):
        claim_locked(tmp_path / "work")
    assert not any(tmp_path.iterdir())
