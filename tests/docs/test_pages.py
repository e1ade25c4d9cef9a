"""README and every page of docs, from top to bottom: all commands and snippets run, in one folder each, in order.

A page says what it starts from. These directories are made once for all pages, by the commands that the pages print.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

from tests.docs.pages import PAGES, ROOT, blocks, commands, name_of, starts_from
from tests.docs.running import MADE, SERVES, follow, lay_out
from tests.docs.served import Servers
from tests.docs.stand_ins import stand_in_packages
from tests.hub.server import Hub

# What pages start from: the commands that make it.
MAKES = {
    "runs/demo": ["hf-embeddings pretrain configs/pretraining/demo.yaml"],
    "data/minilm": ["hf-embeddings example minilm"],
    "data/multilingual-e5": ["hf-embeddings example multilingual-e5"],
    "data/words": ["hf-embeddings example words"],
    "data/translations": ["hf-embeddings example translations"],
    "data/wikipedia": ["hf-embeddings example wikipedia"],
    "data/reviews-en": ["hf-embeddings example reviews-en"],
    "data/reviews-zh": ["hf-embeddings example reviews-zh"],
    "data/three-kingdoms": ["hf-embeddings example three-kingdoms"],
    "runs/minilm": ["hf-embeddings example minilm", "hf-embeddings convert data/minilm runs/minilm"],
}
KEPT_ARTICLES, KEPT_REVIEWS = 6, 20
MOST_README_LINES = 150
CHINESE = ROOT / "docs/zh"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Make what pages start from, each directory at its first use, and hand out where it lies."""
    folder, done = tmp_path_factory.mktemp("made"), set()
    with pytest.MonkeyPatch.context() as monkeypatch:
        stand_in_packages(tmp_path_factory.mktemp("packages"), monkeypatch)

        def make(name: str) -> Path:
            if name not in done:
                with monkeypatch.context() as changed:
                    changed.chdir(folder)
                    for command in MAKES[name]:
                        follow(command, changed)
                shorten(folder / name)
                done.add(name)
            return folder / name

        yield make


def shorten(folder: Path) -> None:
    """Keep a few of many rows: of texts that pages train on."""
    for path in folder.glob("articles.jsonl"):
        path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:KEPT_ARTICLES]))
    for path in [*folder.glob("train.csv"), *folder.glob("test.csv")]:
        with open(path, encoding="utf-8", newline="") as file:
            lines = file.read().split("\r\n")
        path.write_text("\r\n".join([*lines[: KEPT_REVIEWS + 1], ""]), encoding="utf-8", newline="")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub to publish to, on this machine."""
    with Hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


# A quarter to half a minute each, of commands that tests of their rooms give as well.
LONG = {
    "docs/how-to/search-by-meaning.md", "docs/how-to/serve-elsewhere.md", "docs/how-to/train-an-embedding-model.md",
    "docs/tutorial/7-judging.md",
}  # fmt: skip


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if name_of(page) in LONG else ())
        for page in PAGES
        if CHINESE not in page.parents
    ],
    ids=name_of,
)
def test_a_page_from_top_to_bottom(page: Path, made, hub: Hub, tmp_path: Path, monkeypatch, capsys) -> None:
    """And its translation after it: commands that both print run once."""
    if all(block.kind == "text" for block in blocks(page)):
        return
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    AcceleratorState._reset_state(reset_partial_state=True)  # of earlier tests in this process
    for name in starts_from(page):
        lay_out(tmp_path / name, made(name))
    monkeypatch.chdir(tmp_path)
    hub.redirect(monkeypatch, tmp_path / "home")
    done: dict[str, str] = {}
    with Servers() as servers:
        for version in (page, translation_of(page)):
            if version.exists():
                run_blocks(version, done, servers, monkeypatch, capsys)


def run_blocks(page: Path, done: dict[str, str], servers: Servers, monkeypatch, capsys) -> None:
    """Run the blocks of a page, but no commands that are done, and compare outputs where the page says exact."""
    names: dict[str, object] = {"__name__": "__main__"}
    said = ""
    for block in blocks(page):
        if block.kind == "text":
            assert not block.exact or plain(block.text) == plain(said), f"{name_of(page)} prints\n{said}"
            continue
        if block.text in done:
            said = done[block.text]
            continue
        capsys.readouterr()
        if block.kind == "python":
            exec(compile(servers.here(block.text), name_of(page), "exec"), names)  # noqa: S102
        else:
            for command in commands(servers.here(block.text)):
                if command.startswith(SERVES):
                    servers.start(command)
                else:
                    follow(command, monkeypatch)
        said = capsys.readouterr().out.replace(f"{ROOT}/", "")  # shipped files, as a checkout names them
        if block.kind == "bash":
            done[block.text] = said


def translation_of(page: Path) -> Path:
    """Return where the Chinese version of a page is, if there is one."""
    return CHINESE / page.relative_to(ROOT / "docs") if ROOT / "docs" in page.parents else CHINESE / "none"


@pytest.mark.parametrize("page", sorted((ROOT / "docs/tutorial").glob("*.md")), ids=name_of)
def test_the_translation_has_the_same_commands_pictures_and_start(page: Path) -> None:
    other = translation_of(page)
    assert starts_from(other) == starts_from(page)
    assert [b.text for b in blocks(other) if b.kind == "bash"] == [b.text for b in blocks(page) if b.kind == "bash"]
    kinds = [[(block.kind, block.exact) for block in blocks(version)] for version in (page, other)]
    assert kinds[0] == kinds[1]
    texts = [version.read_text(encoding="utf-8") for version in (page, other)]
    pictures = [re.findall(r"pictures/([\w-]+\.png)\)", text) for text in texts]
    assert pictures[0] == pictures[1]


def plain(text: str) -> str:
    """Return an output without the spaces at the ends of its lines."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def test_every_page_starts_from_what_can_be_made() -> None:
    assert {name for page in PAGES for name in starts_from(page)} <= MAKES.keys()


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_README_LINES
    assert sum(block.kind != "text" for block in blocks(ROOT / "README.md")) >= 6


def test_make_targets_that_pages_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, flags=re.MULTILINE))
    pages = [*PAGES, ROOT / "CONTRIBUTING.md"]
    texts = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", texts, flags=re.MULTILINE))
    assert {"demo", "test", "docs"} <= named <= targets
    for target, command in MADE.items():
        recipe = makefile.split(f"\n{target.removeprefix('make ')}:")[1].splitlines()[1]
        assert recipe.strip() == f"$(BIN)/{command}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_files_and_links_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"(?<![\w/.(])(?:configs|examples|benchmarks|tests|hf_embeddings)/[\w/.-]+\.\w+", text):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", link):
            assert (page.parent / link).exists(), link
