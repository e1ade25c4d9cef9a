"""From YAML nodes to values: the field decides the type, and text is converted as it stands in the file.

So YAML 1.1 has no say: `1e-4` is a number, `no` is text, `010` an error.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeGuard, TypeVar, Union, get_args, get_origin, get_type_hints

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hf_embeddings.files.home_folder import expand_home
from hf_embeddings.typed_yaml.fields import BOUNDS
from hf_embeddings.typed_yaml.nodes import OptionsError, entries_of, error_at, in_words, is_null, join_path, place_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Section = TypeVar("Section", bound="DataclassInstance")
Kind: TypeAlias = object  # an annotation: a type, `Literal[...]`, `X | None`, `list[X]`, `dict[str, X]`


def read_section(kind: type[Section], node: Node, path: str) -> Section:
    """Return the dataclass `kind` that a mapping node holds; `path` is where the section stands, or empty.

    Raises:
        OptionsError: a key is unknown or missing, or a value is not what its field takes.
    """
    own_fields = {field.name: field for field in fields(kind)}
    types, entries = get_type_hints(kind), entries_of(node, path)
    collector = next((name for name, field in own_fields.items() if "remaining" in field.metadata), "")
    types.pop(collector, None)
    if collector and entries.keys() - types.keys():
        types |= own_fields[collector].metadata["remaining"]()
    values: dict[str, object] = {}
    further: dict[str, object] = {}
    for name, (name_node, value_node) in entries.items():
        if name not in types:
            expectation = f"a field of {path or 'a run'}"
            raise error_at(name_node, join_path(path, name), "an unknown key", expectation, _nearest(name, types))
        value = _at_home(_value(types[name], value_node, join_path(path, name)), own_fields.get(name))
        _check_bounds(value, own_fields.get(name), value_node, join_path(path, name))
        (values if name in own_fields else further)[name] = value
    if collector:
        values[collector] = further
    for name, field in own_fields.items():
        if name not in values and field.default is field.default_factory is MISSING:
            values[name] = _absent(types[name], node, path, name)
    try:
        return kind(**values)
    except ValueError as error:  # of __post_init__, which begins with the name of a field
        _, culprit = entries.get(str(error).partition(":")[0], (node, node))
        raise OptionsError(f"{place_of(culprit)}: {join_path(path, str(error))}") from None


def _absent(kind: Kind, node: Node, path: str, name: str) -> object:
    """Return the section that a node does not hold, where all of its fields have defaults.

    Raises:
        OptionsError: what is missing, or what is missing in it.
    """
    if not _is_section(kind):
        cure = f"add `{name}:` to {path or 'the file'}"
        raise error_at(node, join_path(path, name), "nothing", _expected(kind), cure)
    return read_section(kind, MappingNode("", [], node.start_mark, node.end_mark), join_path(path, name))


def _is_section(kind: Kind) -> TypeGuard[type["DataclassInstance"]]:
    return is_dataclass(kind)


def _value(kind: Kind, node: Node, path: str) -> object:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        return _union(kind, node, path)
    if _is_section(kind):
        return read_section(kind, node, path)
    if kind is object:  # whatever JSON can say
        return _value(JSON_KINDS[type(node)], node, path)
    if origin is dict and isinstance(node, MappingNode):
        items = entries_of(node, path).items()
        return {name: _value(arguments[1], child, join_path(path, name)) for name, (_, child) in items}
    if origin in (list, tuple) and isinstance(node, SequenceNode):
        return origin(_value(arguments[0], child, f"{path}[{index}]") for index, child in enumerate(node.value))
    value = _scalar(kind, node) if isinstance(node, ScalarNode) and not is_null(node) else None
    if value is None:
        cure = _nearest(str(node.value), arguments) if origin is Literal else WORDS[origin][1]
        raise error_at(node, path, in_words(node), _expected(kind), cure)
    return value


def _scalar(kind: Kind, node: ScalarNode) -> object | None:
    if get_origin(kind) is Literal:
        return node.value if node.value in get_args(kind) else None
    if kind in PARSERS and (kind is str or node.style is None):  # what is in quotes is text
        return PARSERS[kind](node.value)
    return None


def _union(kind: Kind, node: Node, path: str) -> object:
    if NoneType in get_args(kind) and is_null(node):
        return None
    members = [member for member in get_args(kind) if member is not NoneType]
    if len(members) == 1:
        return _value(members[0], node, path)
    members.sort(key=lambda member: (member is str, member is float))  # text last; 1 stays whole in `float | int`
    for member in members:
        try:
            return _value(member, node, path)
        except OptionsError:
            continue
    raise error_at(node, path, in_words(node), _expected(kind), "give one of these")


def _at_home(value: object, field: "Field[object] | None") -> object:
    """Return a value in which `~` is expanded where the field names a place."""
    return expand_home(value) if isinstance(value, str) and field and "place" in field.metadata else value


def _check_bounds(value: object, field: "Field[object] | None", node: Node, path: str) -> None:
    metadata = field.metadata if field else {}
    bounds = [(*BOUNDS[word], bound) for word, bound in metadata.items() if word in BOUNDS]
    if isinstance(value, int | float) and not all(holds(value, bound) for holds, _, bound in bounds):
        expectation = " and ".join(f"{words} {bound}" for _, words, bound in bounds)
        raise error_at(node, path, str(value), expectation, "choose a value in that range")


def _whole(text: str) -> int | None:
    # No leading zero, which is octal for some readers of YAML, and no more digits than int() takes.
    return int(text) if re.fullmatch(r"[+-]?(0|[1-9][0-9]*(_[0-9]+)*)", text) and len(text) < 1000 else None


def finite(text: str) -> float | None:
    """Return the number that text is; None where it is none, or an infinite one."""
    number = r"[+-]?(D(\.D?)?|\.D)([eE][+-]?[0-9]+)?".replace("D", "[0-9]+(_[0-9]+)*")
    value = float(text) if re.fullmatch(number, text) else math.inf
    return value if math.isfinite(value) else None


JSON_KINDS: dict[type[Node], Kind] = {
    SequenceNode: list[object],
    MappingNode: dict[str, object],
    ScalarNode: bool | int | float | str | None,
}

PARSERS: dict[Kind, Callable[[str], object]] = {
    bool: {"true": True, "false": False}.get,
    int: _whole,
    float: finite,
    str: str,
}

WORDS: dict[Kind, tuple[str, str]] = {  # kind: what an error expects, and the cure
    bool: ("true or false", "write true or false, without quotes"),
    int: ("a whole number", "write digits, without quotes, such as 1000"),
    float: ("a finite number", "write digits, without quotes, such as 0.1 or 1e-4"),
    str: ("text", "write some, in quotes if it holds ': ' or is the word null"),
    list: ("a list", "write it in brackets, such as [a, b]"),
    tuple: ("a list", "write it in brackets, such as [a, b]"),
    dict: ("a mapping", "write `key: value` lines"),
    NoneType: ("null", "write null"),
}


def _expected(kind: Kind) -> str:
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(map(_expected, get_args(kind)))
    return f"one of {', '.join(get_args(kind))}" if get_origin(kind) is Literal else WORDS[get_origin(kind) or kind][0]


def _nearest(word: str, words: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, words := list(words), n=1)
    return f"did you mean {close[0]}?" if close else f"choose from {', '.join(words)}"
