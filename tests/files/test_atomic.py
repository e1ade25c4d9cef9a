"""A file is the old one or the new one, whatever happens on the way."""

import errno
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hf_embeddings.files import atomic
from hf_embeddings.files.atomic import fsync_directory, replace_text, replacing


def test_a_disk_that_is_full_before_anything_is_written_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def full(handle: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "ftruncate", full)
    with pytest.raises(OSError, match="full"), replacing(tmp_path / "a"):
        pytest.fail("nothing was made room for")
    assert not list(tmp_path.iterdir())


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


def test_two_writers_of_one_file_wait_for_each_other(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "file", [], []

    def write(letter: str) -> None:
        with replacing(path, durable=False) as staged:
            inside.append(letter)
            most.append(len(inside))
            staged.write_text(letter * 1000, encoding="utf-8")
            inside.remove(letter)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcdabcd"))
    assert set(most) == {1} and len(set(path.read_text())) == 1 and list(tmp_path.iterdir()) == [path]


def test_who_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "PATIENCE", 0)
    with replacing(tmp_path / "file", durable=False) as staged:
        staged.touch()
        with pytest.raises(ValueError, match="another process is writing it"), replacing(tmp_path / "file"):
            pass


def test_what_a_killed_writer_left_is_no_part_of_the_next_file(tmp_path: Path) -> None:
    (tmp_path / ".file.staged").write_text("a long text of the one that was killed")
    with replacing(tmp_path / "file", durable=False) as staged:
        assert staged.read_text() == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="no pipes and devices in folders")
def test_a_pipe_or_a_device_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    for name, kind in (("pipe", "named pipe"), ("device", "device")):
        with pytest.raises(ValueError, match=f"got a {kind}, expected a file"), replacing(tmp_path / name):
            pass
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "device").is_char_device()


def test_errors_name_the_file_that_was_meant(tmp_path: Path) -> None:
    target = tmp_path / "absent" / "a.txt"
    with pytest.raises(OSError) as refusal:
        replace_text(target, "text")
    assert refusal.value.filename == str(target)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(tmp_path / 'b.txt'))}: odd$"):
        with replacing(tmp_path / "b.txt") as stage:
            raise ValueError(f"{stage}: odd")
