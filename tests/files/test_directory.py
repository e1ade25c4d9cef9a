"""The law of a directory that is tried: it is refused before anything is there, and what is fine is left as it was."""

from pathlib import Path

import pytest

from hf_embeddings.files.directory import TRIAL, try_directory


@pytest.mark.parametrize("name", ["file/run", "file", "x" * 300, "a\0b", "new/x" + "x" * 300])
def test_what_cannot_be_made_is_refused_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ValueError, match="^output_dir: cannot write to .*choose another"):
        try_directory(tmp_path / name, "output_dir")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_can_be_made_is_left_as_it_was(tmp_path: Path) -> None:
    try_directory(tmp_path / "a" / "b", "output_dir")
    assert not list(tmp_path.iterdir())
    (tmp_path / "there").mkdir()
    try_directory(tmp_path / "there", "output_dir")
    assert not list((tmp_path / "there").iterdir())


def test_what_a_killed_trial_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / TRIAL).touch()
    try_directory(tmp_path, "output_dir")
    assert not list(tmp_path.iterdir())
