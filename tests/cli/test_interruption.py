"""An interrupted verb says what is true of that verb, and leaves with exit code 130."""

import inspect
import string
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

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
