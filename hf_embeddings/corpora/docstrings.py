"""Docstrings of installed packages, parsed out of their source files without importing the packages.

This file is also the program of the worker processes, so it imports the standard library only: a fresh interpreter per
group of files starts in 30 ms, where a fork would inherit torch's threads and a spawn would import torch again. A
`WorkerPool` would run the user's script a second time where that has no `if __name__ == "__main__"`.
"""

import ast
import gc
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from inspect import cleandoc

Named = tuple[str, str]  # the name of what is documented, as its module or a documentation call has it, and the text

GROUP_BYTES = 2 << 20  # source bytes per worker process: large beside its start, small beside what one core does
DOCUMENTATION_CHARACTERS = 80  # shorter strings in add_docstr(...) calls are names and types, not documentation


def package_files(name: str) -> dict[str, str]:
    """Return the .py files of an installed package, or of a dotted part of one, with their modules; none if absent.

    In the order of their paths: numpy/linalg/__init__.py is the module numpy.linalg.
    """
    top, *parts = name.split(".")
    try:
        spec = importlib.util.find_spec(top)  # of the top only: finding numpy.linalg imports numpy
    except (ImportError, ValueError):  # ValueError: an empty name, or a module without a spec, such as __main__
        return {}
    if spec is None or not all(part.isidentifier() for part in parts):
        return {}
    if not parts and spec.submodule_search_locations is None:
        single = spec.origin if spec.has_location else None
        return {single: top} if single and single.endswith(".py") else {}
    files: dict[str, str] = {}
    for root in spec.submodule_search_locations or ():
        part = os.path.join(root, *parts)
        paths = [f"{part}.py"] if parts and os.path.isfile(f"{part}.py") else []
        for path in (*paths, *_walk(part)):
            inside = os.path.splitext(os.path.relpath(path, root))[0].split(os.sep)
            files[path] = ".".join([top, *inside]).removesuffix(".__init__")
    return dict(sorted(files.items(), key=lambda item: item[0].replace(os.sep, "/")))  # the same on every system


def read_docstrings(files: Sequence[str]) -> Iterator[tuple[str, list[Named] | None]]:
    """Yield each file with its cleaned docstrings, in the order given; None stands for a file that does not parse."""
    groups: list[list[str]] = []
    size = GROUP_BYTES
    for path in files:
        if size >= GROUP_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(path)
        size += os.stat(path).st_size
    from hf_embeddings.worker_pool import available_cores

    pool = ThreadPoolExecutor(available_cores())
    try:
        for group, docstrings in zip(groups, pool.map(_extract_elsewhere, groups), strict=True):
            yield from zip(group, docstrings, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)  # a reader that wanted fewer documents waits for the running groups only


def extract(source: bytes) -> list[Named]:
    """Return names and cleaned docstrings of the module, classes and functions of a source file, in their order.

    Strings handed to calls and decorators with "doc" in their name count too: it is there that torch and numpy document
    their C functions (`add_docstr`, `add_newdoc`) and transformers its models (`auto_docstring`).
    """
    docstrings: list[Named] = []
    pending: list[tuple[str, ast.AST]] = [("", ast.parse(source))]
    while pending:  # a stack of statements; expressions, nine tenths of the tree, are never entered
        name, node = pending.pop()
        inside = name
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{name}.{node.name}" if name else node.name
            inside = name if isinstance(node, ast.ClassDef) else f"{name}.<locals>"  # as in __qualname__
            for decorator in node.decorator_list:
                docstrings.extend((name, text) for _, text in _documentation(decorator))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            docstrings.append((name, ast.get_docstring(node, clean=False) or ""))
        elif isinstance(node, ast.Expr):
            docstrings.extend(
                (".".join(filter(None, (name, inner))), text) for inner, text in _documentation(node.value)
            )
        blocks = (getattr(node, block, ()) for block in ("body", "handlers", "cases", "orelse", "finalbody"))
        pending.extend((inside, statement) for statement in reversed([part for block in blocks for part in block]))
    cleaned_docstrings = ((name, cleandoc(text)) for name, text in docstrings)
    return [(name, text) for name, text in cleaned_docstrings if text and not text.isspace()]


def _walk(root: str) -> Iterator[str]:
    for folder, _, names in os.walk(root):  # does not follow links to folders, so it ends
        for path in (os.path.join(folder, name) for name in names if name.endswith(".py")):
            if os.path.isfile(path):  # a dangling link or a pipe is no module
                yield path


def _documentation(node: ast.expr) -> Iterator[Named]:
    if isinstance(node, ast.Call):
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if "doc" in name:
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                for text in _strings(argument):
                    if "\n" in text and len(text) >= DOCUMENTATION_CHARACTERS:
                        yield ".".join(_targets(node.args)), text


def _targets(arguments: list[ast.expr]) -> Iterator[str]:
    """Yield the parts of the name in a documentation call: `torch.abs`, or "numpy", "array", ("shape", ...)."""
    for argument in arguments:
        match argument:
            case ast.Name() | ast.Attribute():
                yield ast.unparse(argument)
            case ast.Constant(value=str(text)) if text.replace(".", "_").isidentifier():
                yield text
            case ast.Tuple(elts=[ast.Constant(value=str(text)), *_]) if text.isidentifier():
                yield text


def _strings(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield "".join([*_strings(left), *_strings(right)])
        case ast.Call(func=ast.Attribute(value=inner)):  # """...""".format(**common_arguments)
            yield from _strings(inner)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):  # add_newdoc(place, name, (attribute, """..."""))
            for part in parts:
                yield from _strings(part)


def _extract_elsewhere(group: list[str]) -> list[list[Named] | None]:
    command = [sys.executable, "-I", "-S", "-W", "ignore", os.path.abspath(__file__)]
    result = subprocess.run(command, input=json.dumps(group), stdout=subprocess.PIPE, text=True, check=True)
    return [texts and [(name, text) for name, text in texts] for texts in json.loads(result.stdout)]


def _extract_group(group: list[str]) -> list[list[Named] | None]:
    docstrings: list[list[Named] | None] = []
    for path in group:
        with open(path, "rb") as file:
            source = file.read()
        try:
            docstrings.append(extract(source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # such as syntax of a newer Python
            docstrings.append(None)
    return docstrings


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is the parent's to report
    gc.disable()  # trees have no cycles; collecting costs a quarter of the time
    json.dump(_extract_group(json.load(sys.stdin)), sys.stdout)
