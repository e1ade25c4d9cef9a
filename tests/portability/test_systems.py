"""Other systems and processors: what Windows lacks and refuses is hidden and refused here, in a child process."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hf_embeddings.corpora.options import CorpusOptions
from hf_embeddings.corpora.sources import CorpusError, parts_of
from hf_embeddings.pretraining.training.stop import SIGNALS
from hf_embeddings.search.stores import is_store

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ROOMS = ("hf_embeddings", "conversion", "examples", "benchmarks")
CODE = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
SYSTEMS = {
    "windows": {"PYTHONPATH": f"{HERE / 'windows'}{os.pathsep}{ROOT}"},
    # Plain C++ for every product and loop of torch, as on a processor that it has no vector code for.
    "another processor": {"ATEN_CPU_CAPABILITY": "default", "PYTHONPATH": str(ROOT)},
}

PROBE = """
import multiprocessing, os, signal, sys
from pathlib import Path
assert sys.platform == "win32" and not hasattr(os, "pread") and not hasattr(signal, "SIGUSR1")
assert multiprocessing.get_all_start_methods() == ["spawn"]
def refused(do):
    try:
        do()
    except OSError as error:
        return "Windows" in str(error)
held, other, folder = Path("held"), Path("other"), Path("folder")
folder.mkdir()
other.write_text("")
file, inside = held.open("w"), (folder / "inside").open("w")
assert refused(lambda: os.open(".", os.O_RDONLY)) and refused(held.unlink)
assert refused(lambda: other.replace(held)) and refused(lambda: folder.rename("elsewhere"))
file.close()
inside.close()
other.replace(held)
folder.rename("elsewhere")
try:
    import fcntl
except ImportError:
    print("kept")
"""
LINUX = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux which files are open")


@LINUX
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_day_on_another_system(system: str, tmp_path: Path) -> None:
    environment = os.environ | SYSTEMS[system] | {"STRICT_FOLDER": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(HERE / "day.py"), str(tmp_path)], capture_output=True, text=True, env=environment,
        cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr[-4000:]


@LINUX
def test_the_rules_of_windows_are_kept_there(tmp_path: Path) -> None:
    """Those of `windows/sitecustomize.py`; else the test above would prove nothing."""
    (tmp_path / "hf_embeddings_probe.py").write_text(PROBE, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(HERE / "windows"), "STRICT_FOLDER": str(tmp_path)}
    line = [sys.executable, "-c", "import sys; sys.path.insert(0, '.'); import hf_embeddings_probe"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path, start_new_session=True)
    assert done.stdout == "kept\n", done.stderr


@pytest.mark.parametrize("source", [r"C:\texts\*.txt", "C:/texts/a.txt", r"d:\a.jsonl.gz", r"\\server\texts\*.csv"])
def test_a_drive_letter_is_no_scheme(source: str) -> None:
    with pytest.raises(CorpusError) as error:
        parts_of(source)
    assert "unknown kind" not in str(error.value)
    assert not is_store(source)
    assert CorpusOptions(source=f"prepared:{source}").prepared == source


def test_signals_are_those_that_the_system_has() -> None:
    assert set(SIGNALS) == {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}


def _text_calls(path: Path) -> list[tuple[int, str, str, set[str | None]]]:
    """Return line, name, mode and keywords of each call that reads or writes text in a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        is_function = isinstance(node.func, ast.Name)
        if name in ("read_text", "write_text") and not is_function:  # a function of that name is files/reading.py's
            mode = name[0]
        elif name == "open" and (is_function or not _is_module_or_class(node.func.value)):
            given = [*node.args[int(is_function) :], *(k.value for k in node.keywords if k.arg == "mode")]
            if given and not is_function and not isinstance(given[0], ast.Constant):
                continue  # what an archive opens by a name is bytes
            mode = ast.unparse(given[0]) if given else "r"
        else:
            continue
        if "b" not in mode:
            found.append((node.lineno, name, mode, {keyword.arg for keyword in node.keywords}))
    return found


def _is_module_or_class(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and (node.id == "os" or node.id[0].isupper())


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_files_are_the_same_on_every_system(path: Path) -> None:
    """UTF-8, whatever the system's encoding is; and what is written ends its lines with one character."""
    for line, name, mode, keywords in _text_calls(path):
        assert "encoding" in keywords, f"{path}:{line}: {name} without encoding"
        if "r" not in mode:
            assert "newline" in keywords, f"{path}:{line}: {name} without newline"
