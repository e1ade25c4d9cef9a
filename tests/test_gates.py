"""The gates of the checkout: what they leave out may only get less, and what they run is written once."""

import re
import tomllib
from pathlib import Path

import yaml

from tests.structure import files

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MOST_IGNORES = 30  # comments that tell mypy to look away, each with the kind of error


def test_mypy_reads_every_file() -> None:
    """Strictly; what is left out are libraries without types."""
    assert all("ignore_missing_imports" in rule for rule in PROJECT["tool"]["mypy"]["overrides"])
    assert PROJECT["tool"]["mypy"]["strict"] is True


def test_mypy_looks_away_in_few_places_and_each_says_from_what() -> None:
    comments = [
        line for path in files() for line in path.read_text(encoding="utf-8").splitlines() if "type: ignore" in line
    ]
    assert all(re.search(r"type: ignore\[[a-z-]+\]", line) for line in comments), comments
    assert len(comments) <= MOST_IGNORES


def test_the_version_is_written_once() -> None:
    version = re.search(r'^__version__ = "(.+)"', (ROOT / "hf_embeddings/__init__.py").read_text(), re.MULTILINE)
    assert version and "version" in PROJECT["project"]["dynamic"] and "version" not in PROJECT["project"]
    again = [
        path for path in files() if path.name != "__init__.py" and f'"{version[1]}"' in path.read_text(encoding="utf-8")
    ]
    assert again == []


def test_hosted_runs_call_the_script_of_the_checkout() -> None:
    """On three systems; what it does stands in the script alone."""
    [path] = (ROOT / ".github/workflows").glob("*.yml")
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    [job] = workflow["jobs"].values()
    systems = " ".join(job["strategy"]["matrix"]["os"])
    assert all(system in systems for system in ("ubuntu", "macos", "windows"))
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
