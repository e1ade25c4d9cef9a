"""Importing the package is quick, and registers TriEmbed whenever transformers comes."""

import ast
import importlib
import pickle
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import hf_embeddings
from hf_embeddings import TriEmbedConfig
from hf_embeddings.registration import AfterImport, after_import

ROOT = Path(__file__).parents[1]
REGISTERED = """
from transformers import AutoConfig, AutoModel
model = AutoModel.from_config(AutoConfig.for_model("triembed", num_hidden_layers=1, hidden_size=12, vocab_size=9))
assert type(model).__module__ == "hf_embeddings.model.modeling_triembed"
import sys, transformers
assert not [finder for finder in sys.meta_path if type(finder).__name__ == "AfterImport"]
assert "exec_module" not in vars(transformers.__spec__.loader)
"""
LIGHT = "import sys, hf_embeddings; assert not {'torch', 'transformers', 'numpy'} & set(sys.modules); "
THREADS = """
import importlib, threading
names = ["transformers", "TriEmbedModel", "POSITION_TYPES", "transformers"]
errors, gate = [], threading.Barrier(len(names))
def work(name):
    gate.wait()
    try:
        getattr(hf_embeddings, name) if name in hf_embeddings.__all__ else importlib.import_module(name)
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=work, args=[name]) for name in names]
[thread.start() for thread in threads]
[thread.join() for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
assert not errors, errors
"""
ORDERS = {
    "before a part of transformers": f"{LIGHT} from transformers import pipeline",
    "after an Auto class": "from transformers import AutoModel; import hf_embeddings",
    "with a name of it": "from hf_embeddings import TriEmbedModel",
    "from several threads": LIGHT + THREADS,
}


@pytest.mark.parametrize("order", ORDERS)
def test_it_registers_in_whatever_order_it_is_imported(order: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"{ORDERS[order]}\n{REGISTERED}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def awaited(tmp_path: Path, monkeypatch) -> Iterator[tuple[str, list[str]]]:
    """A module that is waited for, whose file puts another in its place, as transformers does; and what was called."""
    name, called = "awaited_module", []
    lines = [
        "import sys, types",
        "module = types.ModuleType(__name__)",
        "module.__spec__ = __spec__",
        "module.whole = 1",
    ]
    (tmp_path / f"{name}.py").write_text("\n".join([*lines, "sys.modules[__name__] = module"]), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = list(sys.meta_path)
    after_import(name, lambda: called.append(sys.modules[name].whole))
    yield name, called
    sys.meta_path[:] = before
    sys.modules.pop(name, None)


def test_the_function_is_called_once_when_the_module_is_whole(awaited) -> None:
    name, called = awaited
    after_import(name, lambda: called.append("a second finder"))
    module = importlib.import_module(name)
    assert called == [1] and not [finder for finder in sys.meta_path if isinstance(finder, AfterImport)]
    assert type(module.__spec__.loader).__name__ == "SourceFileLoader"
    assert "exec_module" not in vars(module.__spec__.loader)
    after_import(name, lambda: called.append("now"))
    assert called == [1, "now"]


def test_to_look_it_up_is_not_to_import_it(awaited) -> None:
    name, called = awaited
    assert find_spec(name) and find_spec(name) and find_spec("json") and find_spec("nowhere_at_all") is None
    assert not called and name not in sys.modules
    importlib.import_module(name)
    assert called == [1]


def test_a_module_that_cannot_be_found_or_fails_is_pythons_own_error(awaited, tmp_path: Path) -> None:
    name, called = awaited
    file = tmp_path / f"{name}.py"
    text = file.read_text(encoding="utf-8")
    file.unlink()
    importlib.invalidate_caches()
    with pytest.raises(ModuleNotFoundError, match=f"^No module named '{name}'$"):
        importlib.import_module(name)
    file.write_text("raise RuntimeError('broken')", encoding="utf-8")
    importlib.invalidate_caches()
    with pytest.raises(RuntimeError, match="broken"):
        importlib.import_module(name)
    assert not called
    file.write_text(f"{text}  # whole again", encoding="utf-8")
    importlib.invalidate_caches()
    importlib.import_module(name)
    assert called == [1]


def test_every_public_name_is_there_and_shown_to_type_checkers() -> None:
    tree = ast.parse(Path(hf_embeddings.__file__).read_text(encoding="utf-8"))
    shown = {
        alias.name: node.module
        for block in tree.body if isinstance(block, ast.If)
        for node in block.body
        for alias in node.names
    }  # fmt: skip
    assert set(shown) == set(hf_embeddings.__all__) <= set(dir(hf_embeddings))
    for name, module in shown.items():
        assert getattr(hf_embeddings, name) is getattr(sys.modules[module], name)
    with pytest.raises(AttributeError, match="has no attribute 'TriEmbedForEverything'"):
        hf_embeddings.TriEmbedForEverything  # noqa: B018


def test_a_config_is_pickled_by_the_name_of_its_class() -> None:
    again = pickle.loads(pickle.dumps(TriEmbedConfig(num_hidden_layers=1)))
    assert type(again) is TriEmbedConfig and again.num_hidden_layers == 1


def test_the_version_is_written_once() -> None:
    assert (
        hf_embeddings.__version__ not in (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("dependencies")[0]
    )
