"""Parsers of text files: each returns what is to be searched, or says what the file is not."""

import ast
import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from tokenizers import Tokenizer

from hf_embeddings.files import reading
from hf_embeddings.uploads.binary_formats import Buffer, content_of
from hf_embeddings.uploads.machine_paths import is_machine_path, values_of

_CONTROL = re.compile("[\0-\x08\x0e-\x1a\x1b\x7f]")
_ACTIVE = {"script", "foreignObject", "iframe", "object", "embed", "use"}  # of SVG: what runs, or loads
_REFERENCE = re.compile(r"\s*(?:#|data:image/(?:png|jpeg);)", re.IGNORECASE)
_LONGEST_TOKEN = 4096  # characters


def read_text(path: Path) -> list[Buffer]:
    """Return text for people.

    Raises:
        ValueError: it is not UTF-8, or holds control characters.
    """
    return [_decode(path).encode()]


def read_json(path: Path) -> list[Buffer]:
    """Return JSON as it is written and the strings in it, whose escapes may hide something.

    Raises:
        ValueError: it is none, holds NaN or infinity, or a value is a path of this machine.
    """
    return _of_any_machine(path, _parse_strictly(path))


def read_record(path: Path) -> list[Buffer]:
    """Return a record of a run, JSON or YAML; paths are cut, and NaN and infinity become null, before it goes."""
    return _searchable(path, parse_record(path))


def read_token_table(path: Path) -> list[Buffer]:
    """Return JSON whose strings are tokens, which may look like paths."""
    return _searchable(path, _parse_strictly(path))


def read_yaml(path: Path) -> list[Buffer]:
    """Return YAML without objects of Python, and the strings in it.

    Raises:
        ValueError: it is none, or a value is a path of this machine.
    """
    return _of_any_machine(path, _parse_yaml(path))


def read_tokenizer(path: Path) -> list[Buffer]:
    """Return a tokenizer.json that the library reads.

    Raises:
        ValueError: it is none.
    """
    try:
        Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001  the library raises nothing more special
        raise ValueError(f"not a tokenizer ({error})") from None
    return read_token_table(path)


def read_tokens(path: Path) -> list[Buffer]:
    """Return a file with a token on each line.

    Raises:
        ValueError: it is not text, or a line is too long for a token.
    """
    text = _decode(path)
    if any(len(line) > _LONGEST_TOKEN for line in text.split("\n")):
        raise ValueError(f"not a vocabulary: a line of more than {_LONGEST_TOKEN} characters")
    return [text.encode()]


def read_merges(path: Path) -> list[Buffer]:
    """Return a file with a pair of tokens on each line, below a comment on the version.

    Raises:
        ValueError: a line is none.
    """
    text = _decode(path)
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        if not (number == 1 and line.startswith("#version")) and len(line.split(" ")) != 2:
            raise ValueError(f"not a list of merges: line {number} is no pair of tokens")
    return [text.encode()]


def read_python(path: Path) -> list[Buffer]:
    """Return Python code.

    Raises:
        ValueError: it is none.
    """
    text = _decode(path)
    try:
        ast.parse(text)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"not Python ({error})") from None
    return [text.encode()]


def read_svg(path: Path) -> list[Buffer]:
    """Return an SVG picture.

    Raises:
        ValueError: it is none, or holds a program, an entity, or a reference to elsewhere.
    """
    text, parser, root = _decode(path), expat.ParserCreate(), []

    def refuse_entity(*_: object) -> None:
        raise ValueError("an SVG picture with entities")

    def judge(name: str, attributes: dict[str, str]) -> None:
        root.append(name)
        if name.rpartition(":")[2] in _ACTIVE or any(key.lower().startswith("on") for key in attributes):
            raise ValueError("an SVG picture with a program in it")
        links = [value for key, value in attributes.items() if key.rpartition(":")[2] in ("href", "src")]
        if not all(_REFERENCE.match(link) for link in links):
            raise ValueError(f"an SVG picture that refers to elsewhere ({links[0][:60]})")

    parser.EntityDeclHandler, parser.StartElementHandler = refuse_entity, judge
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(f"not an SVG picture ({error})") from None
    if root[0].rpartition(":")[2] != "svg":
        raise ValueError("not an SVG picture")
    return [text.encode()]


def parse_record(path: Path) -> Any:  # noqa: ANN401  what JSON and YAML hold
    """Return the value of a JSON or YAML file, by its name."""
    return _parse_json(path) if path.suffix == ".json" else _parse_yaml(path)


def _parse_json(path: Path) -> Any:  # noqa: ANN401  what JSON holds
    """Return the value of a JSON file."""
    text = _decode(path)
    try:
        reading.check_depth(text, path.name)
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from None


def _parse_strictly(path: Path) -> Any:  # noqa: ANN401  what JSON holds
    """Return the value of a JSON file that every reader takes."""
    value = _parse_json(path)
    if found := next(_not_finite(value), None):
        name, number = found[0] or "a value", json.dumps(found[1])
        raise ValueError(f"not JSON for every reader: {name} is {number}, expected a number or null; change it")
    return value


def _parse_yaml(path: Path) -> Any:  # noqa: ANN401  what YAML holds
    """Return the value of a YAML file."""
    text = _decode(path)
    try:
        return reading.parse_yaml(text, path.name)
    except ValueError as error:
        raise ValueError(f"not YAML ({error})") from None


def _not_finite(value: Any, key: str = "") -> Iterator[tuple[str, float]]:  # noqa: ANN401  what JSON holds
    """Yield the numbers that JSON has no word for, each with the key it stands under."""
    if isinstance(value, float) and not math.isfinite(value):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _not_finite(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _not_finite(inner, key)


def _decode(path: Path) -> str:
    try:
        text = content_of(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text ({error.reason} at byte {error.start})") from None
    if match := _CONTROL.search(text):
        raise ValueError(f"not text: it holds the control character U+{ord(match[0]):04X}")
    return text


def _searchable(path: Path, value: object) -> list[Buffer]:
    strings: Iterable[str] = (text for _, text in values_of(value))
    return [content_of(path), "\n".join(strings).encode("utf-8", "surrogatepass")]


def _of_any_machine(path: Path, value: object) -> list[Buffer]:
    """Return what is to be searched of a file that may name no path of this machine."""
    for key, text in values_of(value):
        if is_machine_path(text):
            raise ValueError(f"{key or 'a value'} is a path of this machine ({text[:80]}); change it")
    return _searchable(path, value)
