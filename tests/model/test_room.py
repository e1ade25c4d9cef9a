"""The published room: what older transformers needs in order to copy all of it next to a checkpoint."""

import re
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[2] / "hf_embeddings" / "model"
IMPORT = re.compile(r"^from \.(\w+) import", flags=re.MULTILINE)


def siblings(name: str) -> set[str]:
    return set(IMPORT.findall((ROOM / f"{name}.py").read_text(encoding="utf-8")))


@pytest.mark.parametrize("entry", ["configuration_triembed", "modeling_triembed", "multi_task"])
def test_an_entry_imports_all_that_it_needs_by_itself(entry: str) -> None:
    """transformers 5.3 copies the siblings that a file names, but not those that they name."""
    needed, pending = set(), {entry}
    while pending:
        found = siblings(pending.pop()) - needed
        needed |= found
        pending |= found
    assert siblings(entry) >= needed - {entry}
