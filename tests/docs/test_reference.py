"""The reference equals what its generator writes, and leaves nothing of the code out."""

import re
from pathlib import Path

import pytest

from docs.generator.reference import FOLDER, pages
from hf_embeddings.cli.main import VERBS
from hf_embeddings.cli.plot import PICTURES
from hf_embeddings.model.configuration_triembed import TriEmbedConfig

PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_that_of_the_code(name: str) -> None:
    said = f"{name} differs from the code; run: python -m docs.generator.reference"
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name], said


def test_nothing_else_is_committed_there() -> None:
    assert {path.name for path in Path(FOLDER).glob("*.md")} == {*PAGES, "encoders.md"}  # test_encoders.py


def test_every_verb_and_option_has_a_meaning() -> None:
    text = PAGES["commands.md"]
    assert {*VERBS, *(f"plot {name}" for name in PICTURES)} == set(re.findall(r"^## (.+)$", text, flags=re.MULTILINE))
    assert not re.findall(r"^\| .*\|  \|$", text, flags=re.MULTILINE)


def test_every_option_of_a_run_has_a_meaning() -> None:
    rows = [line for page in ("options.md", "configuration.md") for line in PAGES[page].splitlines()]
    assert not [line for line in rows if re.search(r"\|  \|$", line)]


def test_every_field_of_the_config_is_there() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGES["configuration.md"], flags=re.MULTILINE))
    assert named == set(TriEmbedConfig.__annotations__) | {"rope_parameters"}
