"""Every verb is shown in one form: arguments in capitals, each default once."""

import re

import pytest
from safetensors import SafetensorError
from typer.testing import CliRunner

from hf_embeddings.cli import main
from hf_embeddings.cli.main import VERBS, app
from hf_embeddings.cli.plot import PICTURES

ALL = [[name] for name in VERBS] + [["plot", name] for name in PICTURES]


def shown(words: list[str]) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_arguments_are_in_capitals_and_a_default_is_said_once(words: list[str]) -> None:
    text = shown(words)
    (usage,) = re.findall(r"Usage: \S+ (.*)", text)
    arguments = usage.replace(" ".join(words), "", 1)
    assert arguments == arguments.upper(), usage
    cells = re.split(r"\n│ +-", text)
    assert not [cell for cell in cells if cell.count("default:") > 1]


def test_the_verbs_are_in_order() -> None:
    assert list(VERBS) == sorted(VERBS)


def test_what_the_system_refuses_to_other_libraries_is_one_line(monkeypatch, capsys) -> None:
    def save(**options: object) -> None:
        raise SafetensorError(
            'Error while serializing: I/O error: No space left on device (os error 28) at path "/a/.tmp1"'
        )

    monkeypatch.setattr(main, "app", save)
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == 2 and capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr(main, "app", lambda **options: [][0])
    with pytest.raises(IndexError):  # ours to mend
        main.main()
