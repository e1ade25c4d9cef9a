"""The pages of the documentation as their tests read them: what they start from, their commands, code and outputs."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = ("docs/reference/",)  # equal to what the generator writes: tests/docs/test_reference.py
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if not page.relative_to(ROOT).as_posix().startswith(GENERATED)]
BLOCK = re.compile(r"^(<!-- exact -->\n)?```(bash|python|text)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
STARTS_FROM = re.compile(r"^(?:Starts from|从这里开始)[:：] *(.+?)[.。]$", flags=re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `exact`: the output of the block before, letter by letter."""

    kind: str
    text: str
    exact: bool


def name_of(page: Path) -> str:
    """Return the path of a page within the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in their order."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(kind, text, bool(exact)) for exact, kind, text in found]


def starts_from(page: Path) -> list[str]:
    """Return the directories that a page takes for given: those it names behind `Starts from:`.

    Raises:
        ValueError: the page has commands or code, and does not say what it starts from.
    """
    stated = STARTS_FROM.search(page.read_text(encoding="utf-8"))
    if stated:
        return re.findall(r"`([^`]+)`", stated[1])
    if any(block.kind != "text" for block in blocks(page)) and page.name != "README.md":
        raise ValueError(f"{name_of(page)}: write a line 'Starts from: ...' under its title")
    return []


def commands(text: str) -> Iterator[str]:
    """Yield the commands of a block without their comments; a backslash joins lines."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield shlex.join(words)
