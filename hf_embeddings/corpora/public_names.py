"""The names that users of a package write: numpy.linalg.solve for what numpy/linalg/_linalg.py defines.

Read from the source, without importing it: an `__init__.py` exports what it imports from its own package, by name or by
a star, and the chain of such imports ends where the name is defined. Of several names the shortest counts.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from hf_embeddings.corpora.docstrings import package_files
from hf_embeddings.corpora.document import Document

Place = tuple[str, str]  # a module, and a name in it


def is_public(name: str) -> bool:
    """Tell whether a dotted name can be written and has no part of the private kind; `__call__` and its like may."""
    return all(part.isidentifier() and (part[0] != "_" or part[:2] == part[-2:] == "__") for part in name.split("."))


@dataclass
class Module:
    """What the source of a module says about its names."""

    own: set[str] = field(default_factory=set)  # defined or assigned
    imported: dict[str, Place] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)  # modules of `from ... import *`
    listed: set[str] = field(default_factory=set)  # in `__all__`, as far as it is written out
    closed: bool = False  # whether all of `__all__` is

    def exports(self, names: Mapping[str, Place]) -> set[str]:
        """Return which of its names a star imports."""
        return self.listed & names.keys() if self.closed else {name for name in names if not name.startswith("_")}


def name_publicly(documents: Iterable[Document]) -> Iterator[Document]:
    """Give what is documented in packages the name that users write, and say whether it has one that is `public`."""
    names = cache(PublicNames)
    for document in documents:
        title, package = document.metadata.get("title"), document.metadata.get("package")
        if isinstance(title, str) and isinstance(package, str) and title.split(".")[0] == package:
            title = names(package).of(title)
            document = replace(document, metadata=document.metadata | {"title": title, "public": is_public(title)})
        yield document


class PublicNames:
    """Public names of one installed package."""

    def __init__(self, package: str) -> None:
        self.files = {module: path for path, module in package_files(package).items()}
        self._modules: dict[str, Module] = {}
        self._names: dict[str, dict[str, Place]] = {}  # of modules: each name, and the place it comes from
        self.found: dict[str, str] = {}  # where a thing is defined, or passed on -> its public name
        for package in (name for name, path in self.files.items() if path.endswith("__init__.py") and is_public(name)):
            for name in filter(is_public, self._names_of(package)):
                for place in self._chain(package, name):
                    new, old = f"{package}.{name}", self.found.get(place)
                    if old is None or _rank(new, place) < _rank(old, place):
                        self.found[place] = new

    def of(self, name: str) -> str:
        """Return the public name of a thing, or of a part of it such as a method; its own name where it has none."""
        parts = name.split(".")
        for end in range(len(parts), 0, -1):
            if public_name := self.found.get(".".join(parts[:end])):
                return ".".join([public_name, *parts[end:]])
        return name

    def _names_of(self, name: str) -> dict[str, Place]:
        """Return the names that a module has, and where each comes from: itself, or the module that it imports from."""
        if name in self._names or name not in self.files:
            return self._names.get(name, {})
        names = self._names[name] = {}  # known before it is full: modules may import each other
        module = self._modules[name] = read_module(name, self.files[name])
        names |= {own: (name, own) for own in module.own} | module.imported
        for star in module.stars:
            star_names = self._names_of(star)
            if star_names:
                names |= {inner: (star, inner) for inner in self._modules[star].exports(star_names) - names.keys()}
        names |= {entry: (name, entry) for entry in module.listed - names.keys()}  # such as those of C
        return names

    def _chain(self, module: str, name: str) -> Iterator[str]:
        """Yield the places that a name passes on its way to where it is defined."""
        place, seen_places = (module, name), set()
        while place not in seen_places:
            seen_places.add(place)
            place = self._names_of(place[0]).get(place[1], place)
            yield ".".join(place)


def read_module(name: str, path: str) -> Module:
    """Read the names of a module from its source: its statements, and those under `if`, `try` and `with` there."""
    module = Module()
    try:
        with open(path, "rb") as file:
            source = file.read()
        pending: list[ast.AST] = list(ast.parse(source).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # such as syntax of a newer Python
        return module
    package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
    lists = 0
    while pending:
        statement = pending.pop()
        lists += _read_statement(module, statement, package)
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for block in ("body", "handlers", "orelse", "finalbody"):
                pending += getattr(statement, block, ())
    # Any other mention may add to the list.
    module.closed = bool(module.listed) and lists == source.count(b"__all__")
    return module


def _read_statement(module: Module, statement: ast.AST, package: str) -> bool:
    """Add the names that a statement makes to those of a module; return whether it adds to `__all__`."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            module.own.add(statement.name)
        case ast.ImportFrom():
            _read_import(module, statement, package)
        case ast.Assign(targets=[ast.Name("__all__")]) | ast.AugAssign(target=ast.Name("__all__")):
            words = _words(statement.value)
            module.listed |= words
            return bool(words)
        case ast.Assign(targets=targets):
            module.own |= {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(own)):
            module.own.add(own)
    return False


def _read_import(module: Module, statement: ast.ImportFrom, package: str) -> None:
    parts = package.split(".")
    above = parts[: len(parts) - statement.level + 1] if statement.level else []
    source = ".".join(filter(None, [*above, statement.module or ""]))
    if source.split(".")[0] != parts[0]:
        return
    for alias in statement.names:
        if alias.name == "*":
            module.stars.append(source)
        else:
            module.imported[alias.asname or alias.name] = (source, alias.name)


def _words(value: ast.expr) -> set[str]:
    """Return the strings of a list that is written out; none of one that is computed."""
    try:
        return {word for word in ast.literal_eval(value) if isinstance(word, str)}
    except (ValueError, TypeError):
        return set()


def _rank(name: str, place: str) -> tuple[bool, int, str]:
    """Order public names of one thing: first those of a package around it, then the short ones."""
    package = name.rpartition(".")[0]
    return not place.startswith(f"{package}."), name.count("."), name
