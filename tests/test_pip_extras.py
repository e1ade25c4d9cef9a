"""A missing optional library is one line with a command that installs it, wherever this package is served."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from hf_embeddings import pip_extras
from hf_embeddings.pip_extras import pip_line, require

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def test_a_missing_library_names_the_pip_line() -> None:
    require("search", "json")
    with pytest.raises(ValueError, match=r"nowhere_at_all: not installed; run: pip install 'faiss-cpu>=[\d.]+'$"):
        require("search", "json", "nowhere_at_all")


@pytest.mark.parametrize("extra", ["viz", "eval", "onnx", "search", "prep", "qdrant", "milvus", "tensorflow"])
def test_the_line_names_what_pyproject_lists_and_not_this_package(extra: str) -> None:
    """No index need serve this package, so that its name must not stand in the line."""
    found = re.findall(r"'([^']+)'", pip_line(extra))
    assert found == [requirement.partition(";")[0].strip() for requirement in EXTRAS[extra]]
    assert "hf-embeddings" not in pip_line(extra)


def test_an_extra_that_names_another_one_holds_its_list() -> None:
    assert set(pip_extras.requirements("viz")) <= set(pip_extras.requirements("test"))


def test_a_checkout_that_is_not_installed_is_told_to_install_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(pip_extras, "requires", missing)
    assert pip_line("viz").startswith("pip install -e '.[viz]' in the checkout")


def test_no_message_of_the_package_names_an_extra_that_no_index_serves() -> None:
    files = [*(ROOT / "hf_embeddings").rglob("*.py"), *(ROOT / "conversion").rglob("*.py")]
    assert not [path for path in files if re.search(r"pip install '?hf-embeddings", path.read_text(encoding="utf-8"))]
