"""What verbs are given: `~` is expanded in every place, and words are text."""

import inspect
from pathlib import Path
from typing import get_type_hints

import pytest

from hf_embeddings.cli.arguments import WORDS, is_place, meant_value
from hf_embeddings.cli.command import as_command
from hf_embeddings.cli.main import GROUPS, VERBS
from hf_embeddings.cli.shipped_configs import find_config

ALL = VERBS | {
    f"{name} {command.name}": inspect.unwrap(command.callback)
    for name, group in GROUPS.items()
    for command in group.registered_commands
}


def holds_text(kind: object) -> bool:
    return any(word in str(kind) for word in ("str", "Path"))


@pytest.mark.parametrize("verb", ALL)
def test_every_parameter_of_text_is_a_place_or_a_word(verb: str) -> None:
    kinds = get_type_hints(ALL[verb])
    unknown = {name for name, kind in kinds.items() if holds_text(kind) and not is_place(verb, name)} - WORDS
    assert not unknown, f"enter them in PLACES or WORDS of hf_embeddings/cli/arguments.py: {unknown}"
    for name, kind in kinds.items():
        if "Path" in str(kind):
            assert is_place(verb, name)


def test_home_is_expanded_in_places_and_in_no_word(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    seen: dict[str, object] = {}

    def verb(folder: str, out: Path, where: list[str]) -> None:
        seen.update(folder=folder, out=out, where=where)

    as_command("index", verb)(folder="qdrant:~/store#name", out=Path("~/out"), where=["path=~/x", "~"])
    assert seen == {"folder": f"qdrant:{tmp_path}/store#name", "out": tmp_path / "out", "where": ["path=~/x", "~"]}
    assert meant_value("plot sum", "text", "~ about") == "~ about"


def test_words_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="got the byte 0xff, expected UTF-8 text"):
        meant_value("search", "queries", ["good", "\udcff"])
    assert meant_value("search", "folder", "\udcff") == "\udcff"  # a file may have such a name


def test_a_config_that_is_not_there_is_none_of_the_shipped_ones(tmp_path: Path) -> None:
    given = tmp_path / "configs/pretraining/demo.yaml"
    assert find_config(str(given)) == given
    assert find_config("configs/pretraining/demo.yaml").is_file()
