"""The notebooks, cell by cell: code runs as it stands, and commands behind `!` as those of the pages do, made small."""

import json
from pathlib import Path

import matplotlib
import pytest
from accelerate.state import AcceleratorState

from tests.docs.pages import ROOT, commands
from tests.docs.running import follow
from tests.docs.stand_ins import stand_in_packages

NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


IN_ANY_RUN = "the-sum-explained"  # the others train and convert: minutes


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=() if path.stem == IN_ANY_RUN else pytest.mark.slow) for path in NOTEBOOKS],
)
def test_a_notebook_from_top_to_bottom(path: Path, tmp_path: Path, tmp_path_factory, monkeypatch) -> None:
    stand_in_packages(tmp_path_factory.mktemp("packages"), monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    AcceleratorState._reset_state(reset_partial_state=True)  # of earlier tests in this process
    matplotlib.use("agg")
    names: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        if source.startswith("!"):
            for command in commands(source.replace("\n!", "\n").removeprefix("!")):
                follow(command, monkeypatch)
        else:
            exec(compile(source, f"{path.name}, cell {number}", "exec"), names)  # noqa: S102


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_plain_and_shows_its_outputs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert notebook["nbformat"] == 4 and len(text) < 250_000
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in cells)
    assert not [cell for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    assert "/home/" not in text and "/root/" not in text and "/tmp/" not in text


def test_there_are_three() -> None:
    assert len(NOTEBOOKS) == 3
