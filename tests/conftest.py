"""Proofs with numbers: few repetitions in `make test`, the full numbers in `make faults`, which keeps a log of them."""

import os
import platform
import re
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from hypothesis import settings

# torch 2.13 runs kernels that it compiled for AVX-512 also where ATEN_CPU_CAPABILITY says less, with wrong numbers: its
# cache does not ask what they were compiled for. Each capability gets a cache of its own.
if "ATEN_CPU_CAPABILITY" in os.environ:
    own = Path(tempfile.gettempdir()) / f"torchinductor-{os.environ['ATEN_CPU_CAPABILITY']}"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(own))

LOG = Path(os.environ["FAULTS_LOG"]) if "FAULTS_LOG" in os.environ else None
# They begin first: those that fork, from processes that have few threads and files yet; then the longest, as the run
# ends when its last file does, and other workers would wait for these.
FIRST = (
    "faults/test_matrix.py", "faults/test_surroundings.py", "faults/test_kills.py", "faults/test_stops.py",
    "docs/test_pages.py", "pretraining/test_run.py", "hub/test_clients.py", "exporting/test_servers.py",
    "embedding/test_run.py", "embedding/test_students.py", "hub/test_publish.py", "libraries/test_libraries.py",
)  # fmt: skip
LIBRARIES = ("torch", "transformers", "accelerate", "safetensors", "numpy")
Size = TypeVar("Size")
# Hypothesis would time each example by the clock, which a busy machine fails.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def times() -> Callable[[Size, Size], Size]:
    """Choose between a few repetitions and the full number."""
    return lambda few, full: full if LOG else few


@pytest.fixture
def figures(request) -> Callable[..., None]:
    """Write what was measured, and the seconds it took, into the log of `make faults`."""
    began = time.monotonic()

    def write(name: str, **measured: object) -> None:
        taken = measured | {"seconds": round(time.monotonic() - began)} if LOG else measured
        line = f"{name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in taken.items())
        print(line)
        if LOG:
            request.config.stash[PROGRESS].write(name, line)

    return write


class Log:
    """The log, and on the terminal how much time is left, by the seconds in the log before."""

    def __init__(self, path: Path, plugins: pytest.PytestPluginManager) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        self.expected = {m[1]: int(m[2]) for m in re.finditer(r"(?m)^(.+?): .*seconds (\d+)$", before)}
        self.path, self.began = path, time.monotonic()
        self.terminal, self.capture = (plugins.get_plugin(name) for name in ("terminalreporter", "capturemanager"))
        path.write_text(
            f"Fault tests, full numbers, as `make faults` wrote them.\n{circumstances()}\n", encoding="utf-8"
        )

    def write(self, name: str, line: str) -> None:
        """Add a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self.expected.pop(name, None)
        left = f", about {sum(self.expected.values()) / 60:.0f} left" if self.expected else ""
        with self.capture.global_and_fixture_disabled():
            self.terminal.write_line(f"\n{line}\n[{self._minutes():.0f} minutes{left}]")
            self.terminal.flush()

    def close(self, passed: int, failed: int) -> None:
        """Say how it ended."""
        self.write("", f"{passed} tests passed, {failed} failed, in {self._minutes():.0f} minutes; {load()}")

    def _minutes(self) -> float:
        return (time.monotonic() - self.began) / 60


PROGRESS = pytest.StashKey[Log]()


def circumstances() -> str:
    """Return the machine and the versions."""
    cpu = (
        re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{time.strftime('%Y-%m-%d')}; {cpu[1] if cpu else platform.processor()}, {psutil.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()} {platform.release()}; {load()}\n"
        f"Python {platform.python_version()}, {libraries}"
    )


def load() -> str:
    """Return how many processes wanted a core in the last 1, 5 and 15 minutes."""
    return "load " + ", ".join(f"{value:.1f}" for value in psutil.getloadavg())


@pytest.hookimpl(trylast=True)  # after the terminal
def pytest_configure(config) -> None:
    """Begin the log."""
    if LOG and not config.option.collectonly:
        config.stash[PROGRESS] = Log(LOG, config.pluginmanager)


def pytest_collection_modifyitems(config, items) -> None:
    """Put some files first. Keep for `make faults` what writes figures, and the rest of tests/faults."""
    items.sort(key=lambda item: next((n for n, name in enumerate(FIRST) if f"/{name}::" in item.nodeid), len(FIRST)))
    if LOG:
        kept = [item for item in items if "figures" in item.fixturenames or item.nodeid.startswith("tests/faults/")]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def pytest_sessionfinish(session) -> None:
    """End the log."""
    if PROGRESS in session.config.stash:
        failed = session.testsfailed
        session.config.stash[PROGRESS].close(session.testscollected - failed, failed)
