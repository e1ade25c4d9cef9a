"""Libraries that the tests have installed take our models; `make libraries` tries those of the page."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.libraries.checkpoints import write_checkpoints
from tests.libraries.matrix import CELL, LIBRARIES, PAGE, REMARKS, ROUTES, environment

PINNED = ("requirements.txt", "requirements-unresolved.txt", "requirements-pylate.txt", "../../constraints.txt")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    return write_checkpoints(tmp_path_factory.mktemp("checkpoints"))


@pytest.mark.parametrize(
    "route", [pytest.param(route, marks=pytest.mark.slow if route == "remote" else ()) for route in ROUTES]
)
def test_libraries_at_hand_train_save_and_load_every_checkpoint(route: str, folders, tmp_path) -> None:
    command = [sys.executable, str(CELL), "accelerate,peft,sentence_transformers", route, *map(str, folders)]
    run = subprocess.run(
        command, env=environment(route, str(tmp_path)), cwd=tmp_path, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    records = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0 and len(records) == 3 * len(folders), run.stderr[-2000:]
    assert not [record for record in records if record["outcome"] != "works"]


def test_the_page_names_every_library_with_the_release_that_is_installed_for_it() -> None:
    pinned = {
        path: dict(re.findall(r"([\w-]+)==([\w.]+)", (Path(__file__).parent / path).read_text())) for path in PINNED
    }
    page = PAGE.read_text(encoding="utf-8")
    assert REMARKS in page
    for packages, use in LIBRARIES.values():
        [row] = [line for line in page.splitlines() if line.startswith(f"| {packages.split()[0]} ")]
        assert f"| {use} |" in row
        for package in packages.split():
            [release] = re.findall(rf"[ |]{package} ([\w.]+)", row)
            assert release in {releases.get(package) for releases in pinned.values()}, package
