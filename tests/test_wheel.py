"""The wheel, in an environment of its own and with the source absent: a verb, an Auto load, and everything is in it."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

import hf_embeddings

ROOT = Path(__file__).parents[1]
PARTS = ("hf_embeddings", "conversion", "configs", "pyproject.toml", "README.md", "LICENSE")
LOAD = """
import sys
from transformers import AutoModel
import hf_embeddings
from hf_embeddings import TriEmbedConfig, TriEmbedModel

assert hf_embeddings.__file__.startswith(sys.prefix), hf_embeddings.__file__
sizes = dict(vocab_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
TriEmbedModel(TriEmbedConfig(**sizes)).save_pretrained("model")
model = AutoModel.from_pretrained("model")
assert type(model) is TriEmbedModel
import hf_embeddings.conversion
print(hf_embeddings.__version__)
"""


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy: what earlier builds left in the checkout must not come in."""
    folder = tmp_path_factory.mktemp("build")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "--wheel-dir", "dist", ".", cwd=folder)
    [built] = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and with the libraries of this one; what is installed here for editing is not."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    [site] = [Path(line) for line in run(python, "-c", SITE, cwd=folder).split("\n") if line]
    here = [path for path in sys.path if path.endswith("site-packages")] or [sysconfig.get_path("purelib")]
    (site / "libraries.pth").write_text("\n".join(here) + "\n", encoding="utf-8")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--force-reinstall", "--target", site, wheel, cwd=folder)
    return python


SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"


def test_everything_is_in_the_wheel(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    places = {
        "hf_embeddings": "hf_embeddings",
        "conversion": "hf_embeddings/conversion",
        "configs": "hf_embeddings/configs",
    }
    wanted = {
        f"{place}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, place in places.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".json", ".yaml", ".md", ".html", ".js", ".css", ".tsv", ".typed")
        and "__pycache__" not in path.parts
    }
    assert wanted <= names, wanted - names
    code = {name for name in names if name.endswith(".py")}
    assert code <= wanted, code - wanted


def test_a_verb_runs_far_from_the_source(environment: Path, tmp_path: Path) -> None:
    command = (environment, "-m", "hf_embeddings")
    assert "TriEmbed" in run(*command, "--help", cwd=tmp_path)
    assert "parameters" in run(*command, "inspect", "configs/model/tiny.json", cwd=tmp_path)


def test_auto_loads_far_from_the_source(environment: Path, tmp_path: Path) -> None:
    assert run(environment, "-c", LOAD, cwd=tmp_path).strip().splitlines()[-1] == hf_embeddings.__version__
