"""What cannot be printed stops no command: it does its work, and one line says what is lost."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from hf_embeddings.cli.main import main
from hf_embeddings.cli.standard_streams import checked_streams


class Full(io.StringIO):
    """A stream onto a full disk, whose buffer is written when it is flushed."""

    def __init__(self, number: int = errno.ENOSPC) -> None:
        super().__init__()
        self.number = number

    def flush(self) -> None:
        if self.getvalue():
            raise OSError(self.number, os.strerror(self.number))


def leave(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["hf-embeddings", *arguments])
    try:
        main()
    except SystemExit as left:
        return left.code
    return 0


def test_a_full_standard_output_is_named_and_the_work_is_done(tmp_path: Path, tiny_model: Path, monkeypatch) -> None:
    messages = io.StringIO()
    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "stderr", messages)
    assert leave(monkeypatch, "convert", str(tiny_model), str(tmp_path / "bert"), "--to", "bert", "--no-check") == 2
    assert (tmp_path / "bert" / "config.json").is_file()
    last = messages.getvalue().splitlines()[-1]
    assert last.startswith("error: standard output: No space left on device; the command has done its work")


def test_what_fails_keeps_its_own_words(monkeypatch) -> None:
    messages = io.StringIO()
    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "stderr", messages)
    assert leave(monkeypatch, "inspect", "nowhere.json") == 2
    assert "nowhere.json" in messages.getvalue() and "has done its work" not in messages.getvalue()


@pytest.mark.parametrize("stream", [None, Full()], ids=["closed", "full"])
def test_no_message_stops_the_work(tmp_path: Path, tiny_model: Path, monkeypatch, stream) -> None:
    results = io.StringIO()
    monkeypatch.setattr(sys, "stdout", results)
    monkeypatch.setattr(sys, "stderr", stream)
    assert leave(monkeypatch, "convert", str(tiny_model), str(tmp_path / "bert"), "--to", "bert", "--no-check") == 0
    assert results.getvalue().startswith(str(tmp_path / "bert"))


def test_a_reader_who_goes_away_is_no_error(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full(errno.EPIPE))
    with checked_streams():
        print("text")
