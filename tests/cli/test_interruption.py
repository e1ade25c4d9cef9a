"""An interrupted verb says what is true of that verb, and leaves with exit code 130."""

import inspect
import os
import signal
import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from hf_embeddings.cli import interruption
from hf_embeddings.cli.command import as_command
from hf_embeddings.cli.interruption import SENTENCES
from hf_embeddings.cli.main import VERBS
from hf_embeddings.cli.plot import PICTURES

ALL = {**VERBS, **{f"plot {name}": picture for name, picture in PICTURES.items()}}


def test_every_verb_has_a_sentence():
    assert SENTENCES.keys() == ALL.keys()


@pytest.mark.parametrize("name", ALL)
def test_a_sentence_names_only_arguments_of_its_verb(name: str):
    fields = {field for _, field, _, _ in string.Formatter().parse(SENTENCES[name]) if field}
    assert fields <= inspect.signature(ALL[name]).parameters.keys()


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("convert", {"source": "a", "target": "b"}, "interrupted: b is as it was before\n"),
        ("prepare", {"options_file": "a", "target": "b"}, "interrupted: nothing was written yet\n"),
        ("prepare", {"options_file": "a", "target": "c"}, "interrupted: what was finished is kept in c.partial; rerun"),
        ("index", {"corpus": "a", "folder": "b"}, "interrupted: nothing was written yet\n"),
        ("index", {"corpus": "a", "folder": "qdrant:b#c"}, "interrupted: qdrant:b#c may hold a part of the passages"),
        ("publish", {"folder": "a", "repo_id": "me/b"}, "interrupted: the card and the code in a may have been"),
    ],
)
def test_the_sentence_is_of_the_call(
    name: str, arguments: dict[str, str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("c.partial").mkdir()
    with pytest.raises(typer.Exit) as left:
        as_command(name, _interrupted_like(ALL[name]))(**arguments)
    assert left.value.exit_code == 130
    assert capsys.readouterr().err.startswith(sentence)


def _interrupted_like(verb: Callable[..., None]) -> Callable[..., None]:
    def interrupted(**arguments: str) -> None:
        raise KeyboardInterrupt

    interrupted.__signature__ = inspect.signature(verb)
    return interrupted


INTERRUPTED_IMPORT = """
import os, signal, sys

class Interruption:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interruption())
from hf_embeddings.__main__ import main
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to a process of its own")
def test_ctrl_c_is_answered_while_python_still_imports() -> None:
    child = subprocess.run([sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, text=True)
    assert (child.returncode, child.stderr) == (130, "interrupted: nothing was changed\n")


def test_a_verb_gets_its_keyboard_interrupt_and_leaves_none_behind() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interruption.listen()
        with interruption.interruptible():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup and `&` in scripts start a process
        interruption.listen()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
