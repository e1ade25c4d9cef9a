"""The structure of the package as its sources tell it: which file imports which, and how long files are.

python -m tests.structure    # the longest chain of imports in each room, and the files of more than 300 lines
"""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONG = 300  # lines


def files() -> list[Path]:
    return sorted([*(ROOT / "hf_embeddings").rglob("*.py"), *(ROOT / "conversion").rglob("*.py")])


def module_of(path: Path) -> str:
    """The name under which a file is imported."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] == "conversion":
        parts = ["hf_embeddings", *parts]
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(path): path for path in files()}


@cache
def imported_modules(path: Path) -> frozenset[str]:
    """Every module that a file imports, wherever in the file."""
    found, package = set(), module_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            names = {f"{module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else module for name in names}
    return frozenset(found)


def own_imports(module: str) -> set[str]:
    return {name for name in imported_modules(MODULES[module]) if name in MODULES and name != module}


def longest_chain(room: str) -> list[str]:
    """The longest way from a module of a room to one that imports no other of it."""

    @cache
    def chain(module: str) -> tuple[str, ...]:
        below = [chain(name) for name in own_imports(module) if name.startswith(room)]
        return (module, *max(below, key=len, default=()))

    return list(max((chain(module) for module in MODULES if module.startswith(room)), key=len))


def line_count(path: Path) -> int:
    """Lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def main() -> None:
    """Print the report."""
    for room in sorted({".".join(module.split(".")[:2]) for module in MODULES if module.count(".") > 1}):
        inside = [module for module in MODULES if module.startswith(f"{room}.")]
        chain = longest_chain(f"{room}.")
        names = " -> ".join(module.removeprefix(f"{room}.") for module in chain)
        print(f"{room}: {len(inside)} files, longest chain of imports {len(chain)}: {names}")
    lengths = {path: line_count(path) for path in [*files(), *sorted((ROOT / "tests").rglob("*.py"))]}
    for path, lines in lengths.items():
        if lines > LONG:
            print(f"{path.relative_to(ROOT)}: {lines} lines")


if __name__ == "__main__":
    main()
