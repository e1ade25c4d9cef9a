"""The floors of the package: imports point down, siblings on a floor do not know each other."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"pretraining", "analysis", "visualization", "search", "conversion", "publishing"}
MAY_IMPORT = {"model": set(), **{room: {"model"} for room in ROOMS}, "cli": {"model", *ROOMS}}
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "base"}


def files() -> list[Path]:
    return sorted([*(ROOT / "hf_embeddings").rglob("*.py"), *(ROOT / "conversion").rglob("*.py")])


def room_of(path: Path) -> str | None:
    """The room a file stands in; None for the package's own `__init__`."""
    parts = path.relative_to(ROOT).parts
    return "conversion" if parts[0] == "conversion" else parts[1] if len(parts) > 2 else None


def imported_modules(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_room_has_a_floor() -> None:
    assert {room_of(path) for path in files()} - {None} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    rooms = {name.split(".")[1] for name in imported_modules(path) if name.startswith("hf_embeddings.")}
    known = rooms & set(MAY_IMPORT)
    if room is not None:
        assert known <= MAY_IMPORT[room] | {room}, f"{room} imports {sorted(known - MAY_IMPORT[room] - {room})}"
    assert path.stem not in FORBIDDEN_NAMES


@pytest.mark.parametrize("path", sorted((ROOT / "hf_embeddings/model").glob("*.py")), ids=lambda path: path.name)
def test_the_published_room_needs_torch_and_transformers_alone(path: Path) -> None:
    import sys

    tops = {name.split(".")[0] for name in imported_modules(path)}
    assert tops <= {"torch", "transformers", "huggingface_hub", *sys.stdlib_module_names}
