"""The floors of the package: imports point down, rooms on one floor do not know each other, and there is no circle."""

import re
import sys
from pathlib import Path

import pytest

from tests.structure import MODULES, ROOT, imported_modules, longest_chain, own_imports

# From the ground. Files beside the rooms (hardware.py, progress.py, ...) stand on the ground too.
FLOORS = (
    {"files", "model", "analysis"},
    {"records", "uploads", "loading", "typed_yaml"},
    {"visualization", "corpora"},
    {"pretraining", "conversion", "publishing"},
    {"search"},
    {"evaluation", "serving", "exporting"},
    {"lab", "embedding", "explaining", "debiasing"},
    {"cli"},
)
# The rooms within pretraining, and the files beside them.
PRETRAINING_FLOORS = (
    {"phase_options"},
    {"options", "architecture"},
    {"options_file", "examples", "checkpoints"},
    {"prepared"},
    {"training"},
    {"run"},
)
LONGEST_CHAIN = 11  # of imports within pretraining
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "base"}


def place(module: str, floors: tuple[set[str], ...], depth: int) -> tuple[int, str]:
    """The number of the floor that a module stands on, from 0, and its room."""
    parts = module.split(".")
    name = parts[depth] if len(parts) > depth else ""
    return next(((number, name) for number, rooms in enumerate(floors) if name in rooms), (-1, ""))


def test_every_room_has_a_floor() -> None:
    rooms = {module.split(".")[1] for module, path in MODULES.items() if len(path.relative_to(ROOT).parts) > 2}
    assert rooms | {"conversion"} == set().union(*FLOORS)
    within = {module.split(".")[2] for module in MODULES if module.startswith("hf_embeddings.pretraining.")}
    assert within == set().union(*PRETRAINING_FLOORS)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down(module: str) -> None:
    """A file imports from its own room, and from floors below; those beside the rooms, from the ground."""
    if module in ("hf_embeddings", "hf_embeddings.__main__"):  # the door: what the package offers, and its command
        return
    floors = [(FLOORS, 1)]
    if module.startswith("hf_embeddings.pretraining."):
        floors.append((PRETRAINING_FLOORS, 2))
    for rooms, depth in floors:
        floor, room = place(module, rooms, depth)
        for name in own_imports(module) - {"hf_embeddings"}:
            if depth == 2 and not name.startswith("hf_embeddings.pretraining."):
                continue
            below, other = place(name, rooms, depth)
            ground = below <= 0 if floor == -1 else below < floor
            assert other == room or ground, f"{module} stands on floor {floor}, and imports {name} of floor {below}"
    assert module.rpartition(".")[2] not in FORBIDDEN_NAMES


def test_the_map_shows_these_floors() -> None:
    rows = re.findall(r"^\| (\d) \| (.+?) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    shown: dict[int, set[str]] = {}
    for number, names in rows:
        shown.setdefault(int(number), set()).update(re.findall(r"(\w+)/`", names))
    assert [shown[number] for number in range(len(FLOORS))] == list(FLOORS)


def test_no_chain_of_imports_is_long() -> None:
    """Nor is there a circle, which would have no end."""
    chain = longest_chain("hf_embeddings.pretraining.")
    assert len(chain) <= LONGEST_CHAIN, " -> ".join(name.removeprefix("hf_embeddings.pretraining.") for name in chain)


@pytest.mark.parametrize("path", sorted((ROOT / "hf_embeddings/model").glob("*.py")), ids=lambda path: path.name)
def test_the_published_room_needs_torch_and_transformers_alone(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported_modules(path) if not name.startswith("hf_embeddings.model")}
    assert tops <= {"torch", "transformers", "huggingface_hub", *sys.stdlib_module_names}
