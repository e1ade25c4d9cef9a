"""Wherever a verb is given a source of documents, it can be told which field holds the text."""

import importlib
import inspect
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hf_embeddings.cli.main import app

CLI = Path(importlib.import_module("hf_embeddings.cli").__file__).parent
NAMED_OTHERWISE = {"embed"}  # its options name all columns
READERS = [path.stem for path in CLI.glob("*.py") if re.search(r"(?m)^    +check_source\(", path.read_text())]
SENTENCES = [f"The {one} sleeps in the {other}. " for one in ("cat", "king") for other in ("house", "cat", "king")]
LINES = [{"id": number, "body": f"Number {number}. {''.join(SENTENCES)}"} for number in range(60)]


@pytest.mark.parametrize("name", sorted({*READERS} - {"shipped_configs"} - NAMED_OTHERWISE))
def test_every_verb_with_a_source_has_the_option(name: str) -> None:
    module = importlib.import_module(f"hf_embeddings.cli.{name}")
    verbs = [own for _, own in inspect.getmembers(module, inspect.isfunction) if own.__module__ == module.__name__]
    assert any("text_field" in inspect.signature(verb).parameters for verb in verbs)


@pytest.mark.parametrize(
    "arguments",
    [
        ["plot", "words", "MODEL", "--sentences", "5", "--text", "CORPUS", "--out", "OUT"],
        ["plot", "words", "MODEL", "--frequent", "5", "--text", "CORPUS", "--out", "OUT"],
        ["vocabulary", "trim", "MODEL", "OUT", "--corpus", "CORPUS"],
        ["reposition", "MODEL", "OUT", "--to", "alibi", "--corpus", "CORPUS", "--healing-steps", "0"],
        ["index", "CORPUS", "OUT", "--model", "MODEL"],
    ],
)
def test_the_option_is_followed(arguments: list[str], tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    places = {"MODEL": str(tiny_model), "CORPUS": str(tmp_path / "corpus.jsonl"), "OUT": str(tmp_path / "out")}
    given = [places.get(argument, argument) for argument in arguments]
    refused = CliRunner().invoke(app, given)
    assert "expected 'text'" in str(refused.exception) and not list(tmp_path.glob("out*/*"))
    done = CliRunner().invoke(app, [*given, "--text-field", "body"], catch_exceptions=False)
    assert done.exit_code == 0 and list(tmp_path.glob("out*"))
