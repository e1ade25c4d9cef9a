"""Two sizes of the same tests: few repetitions in `make test`, the full numbers in `make faults`, which keeps a log."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

LOG = os.environ.get("FAULTS_LOG")
if LOG:
    Path(LOG).parent.mkdir(parents=True, exist_ok=True)


@pytest.fixture
def times() -> Callable[[int, int], int]:
    """Choose between a few repetitions and the full number."""
    return lambda few, full: full if LOG else few


@pytest.fixture
def figures() -> Callable[..., None]:
    """Write what was measured into the log of `make faults`."""

    def write(name: str, **measured: object) -> None:
        line = f"{name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in measured.items())
        print(line)
        if LOG:
            with Path(LOG).open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    return write
