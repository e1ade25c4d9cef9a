"""A file is the old one or the new one, whatever happens on the way."""

import errno
import os
from pathlib import Path

import pytest

from hf_embeddings.files import atomic
from hf_embeddings.files.atomic import fsync_directory, replace_text, replacing


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match="full"), replacing(path) as staged:
        staged.write_text("ne", encoding="utf-8")
        raise OSError(errno.ENOSPC, "full")
    assert path.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [path]


@pytest.fixture
def directories_answer(monkeypatch: pytest.MonkeyPatch):
    def answer(code: int) -> None:
        flush = os.fsync

        def refuse(handle: int) -> None:
            if os.path.isdir(f"/proc/self/fd/{handle}"):
                raise OSError(code, os.strerror(code))
            flush(handle)

        monkeypatch.setattr(os, "fsync", refuse)

    return answer


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_without_fsync_of_directories_is_told_once(
    code: int, directories_answer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "_TOLD", set())
    directories_answer(code)
    for text in ("a", "b"):
        replace_text(tmp_path / "file", text)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "b"
    assert capsys.readouterr().err.count("has no fsync of directories") == 1


def test_any_other_failure_of_the_disk_is_an_error(directories_answer, tmp_path: Path) -> None:
    directories_answer(errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        fsync_directory(tmp_path)
