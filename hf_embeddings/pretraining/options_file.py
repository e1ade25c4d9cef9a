"""The options file: YAML in which the field decides the type of a value, and every mistake is one line with its place.

Values are converted from their raw text, so that YAML 1.1 has no say: `1e-4` is a number, `no` is text, `010` an error.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeAlias,
    TypeGuard,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from hf_embeddings.files.reading import read_bytes
from hf_embeddings.home_folder import expand_home
from hf_embeddings.option_fields import BOUNDS, to_dict
from hf_embeddings.pretraining.options import PretrainingOptions

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Section = TypeVar("Section", bound="DataclassInstance")
Kind: TypeAlias = object  # an annotation: a type, `Literal[...]`, `X | None`, `list[X]`, `dict[str, X]`
Where: TypeAlias = "Node | yaml.Event | yaml.Mark | str"  # what a mistake stands in, or the words for that


class OptionsError(ValueError):
    """A mistake in an options file or an override: where it is, what was given, what was expected, what to do."""


@overload
def load_options(path: str | Path, overrides: Sequence[str] = ()) -> PretrainingOptions: ...


@overload
def load_options(path: str | Path, overrides: Sequence[str], kind: type[Section]) -> Section: ...


def load_options(
    path: str | Path, overrides: Sequence[str] = (), kind: type["DataclassInstance"] = PretrainingOptions
) -> "DataclassInstance":
    """Read options, by default those of a run; each of `overrides`, such as `training.max_steps=10`, beats the file."""
    root = _compose(_read(Path(path)), str(path))
    if not isinstance(root, MappingNode):
        raise _error(root, "", _given(root), "`key: value` lines at the top level", "see configs/pretraining/")
    for override in overrides:
        _override(root, override)
    return _section(kind, root, "")


def dump(options: PretrainingOptions) -> str:
    """Return the text of an options file that `load_options` reads back as equal options."""
    return str(yaml.dump(to_dict(options), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf))


class _Dumper(yaml.SafeDumper):
    """Quote text that would be read as a number (PyYAML does not know 1e5), and U+0085, which PyYAML would lose."""

    def represent_str(self, data: str) -> ScalarNode:
        plain = data.isprintable() and _finite(data) is None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')


_Dumper.add_representer(str, _Dumper.represent_str)


# From text to nodes. They know their place: a mark is named after the file or the override.


class _Loader(yaml.SafeLoader):
    """Compose plain nodes; refuse tags, anchors and aliases where they stand."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name, self.path = name, ""

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:  # noqa: ANN401  the parent's word for a place
        event, outer = self.peek_event(), self.path
        self.path = _join(outer, index.value) if isinstance(index, ScalarNode) else outer
        if event.anchor is not None:
            word = "alias *" if isinstance(event, yaml.AliasEvent) else "anchor &"
            raise _error(event, self.path, f"the {word}{event.anchor}", "a plain value", "write it out, or quote it")
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise _error(event, self.path, f"the tag {tag}", "a plain value", "remove the tag, or quote the text")
        node = super().compose_node(parent, index)
        self.path = outer
        return node


def _read(path: Path) -> str:
    try:
        data = read_bytes(path)
        return data.decode("utf-8")
    except OSError as error:
        raise _error(str(path), "", str(error.strerror).lower(), "a YAML file", "check the path") from None
    except UnicodeDecodeError as error:
        mark = _mark(str(path), data.count(b"\n", 0, error.start))
        raise _error(mark, "", f"the byte {data[error.start]:#04x}", "UTF-8 text", "save the file as UTF-8") from None
    except ValueError as error:  # a directory, a pipe, or without end
        raise OptionsError(str(error)) from None


def _compose(text: str, name: str) -> Node:
    cure = "check indentation and brackets, and quote text that holds ': ' or ' #' or starts with one of *&!%@`[{"
    loader = None
    try:
        loader = _Loader(text, name)
        return loader.get_single_node() or ScalarNode("", "", _mark(name, 0), _mark(name, 0))
    except OptionsError:
        raise
    except yaml.MarkedYAMLError as error:
        where, problem = error.problem_mark or name, error.problem or error.context
    except ReaderError as error:  # comes before there is a loader
        where, problem = _mark(name, text.count("\n", 0, error.position)), f"the character {error.character:#04x}"
    except (ValueError, OverflowError, RecursionError) as error:  # PyYAML lets out those of chr() and of deep nesting
        where, problem = _mark(name, loader.line if loader else 0), str(error)
    raise _error(where, "", f"invalid YAML ({problem})", "plain YAML", cure)


def _override(root: MappingNode, override: str) -> None:
    """Put the value of `section.field=value` in the place of the file's, or add it."""
    name = f"override {override!r}"
    path, equals, text = override.partition("=")
    *sections, key = path.strip().split(".")
    if not equals or not key or not all(sections):
        raise _error(name, "", f"{path!r} as the key", "section.field=value", "write it as in training.max_steps=100")
    value = _compose(text, name)
    if isinstance(value, ScalarNode) and value.style is None and value.end_mark.index < len(text.rstrip()):
        raise _error(name, path, f"{text!r}, which YAML cuts at ' #'", "one value", "put the value in quotes")
    node = root
    for depth, section in enumerate(sections, start=1):
        inner = next((child for name_node, child in node.value if name_node.value == section), None)
        if inner is None:
            inner = MappingNode("", [], value.start_mark, value.end_mark)
            node.value.append((ScalarNode("", section, value.start_mark, value.end_mark), inner))
        if not isinstance(inner, MappingNode):
            place, actual = ".".join(sections[:depth]), f"{_given(inner)} from {_place(inner)}"
            raise _error(name, place, actual, "a section", f"give {place} fields there, or name it without a dot")
        node = inner
    kept_entries = [entry for entry in node.value if entry[0].value != key]
    node.value = [*kept_entries, (ScalarNode("", key, value.start_mark, value.end_mark), value)]


# From nodes to values.


def _section(kind: type[Section], node: Node, path: str) -> Section:
    own_fields = {field.name: field for field in fields(kind)}
    types, entries = get_type_hints(kind), _entries(node, path)
    collector = next((name for name, field in own_fields.items() if "remaining" in field.metadata), "")
    types.pop(collector, None)
    if collector and entries.keys() - types.keys():
        types |= own_fields[collector].metadata["remaining"]()
    values: dict[str, object] = {}
    further: dict[str, object] = {}
    for name, (name_node, value_node) in entries.items():
        if name not in types:
            expectation = f"a field of {path or 'a run'}"
            raise _error(name_node, _join(path, name), "an unknown key", expectation, _nearest(name, types))
        value = _at_home(_value(types[name], value_node, _join(path, name)), own_fields.get(name))
        _check_bounds(value, own_fields.get(name), value_node, _join(path, name))
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
        raise OptionsError(f"{_place(culprit)}: {_join(path, str(error))}") from None


def _absent(kind: Kind, node: Node, path: str, name: str) -> object:
    """Return the section that a node does not hold, where all of its fields have defaults.

    Raises:
        OptionsError: what is missing, or what is missing in it.
    """
    if not _is_section(kind):
        cure = f"add `{name}:` to {path or 'the file'}"
        raise _error(node, _join(path, name), "nothing", _expected(kind), cure)
    return _section(kind, MappingNode("", [], node.start_mark, node.end_mark), _join(path, name))


def _is_section(kind: Kind) -> TypeGuard[type["DataclassInstance"]]:
    return is_dataclass(kind)


def _entries(node: Node, path: str) -> dict[str, tuple[Node, Node]]:
    if not isinstance(node, MappingNode):
        raise _error(node, path, _given(node), "a section (`key: value` lines)", "give it fields, or remove it")
    entries: dict[str, tuple[Node, Node]] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            raise _error(key, path, f"{_given(key)} as a key", "a word", "remove the brackets or the `?`")
        if key.value in entries:
            actual = f"a second value (the first: {_place(entries[key.value][0])})"
            raise _error(key, _join(path, key.value), actual, "each key once", "remove one of the two")
        entries[key.value] = (key, value)
    return entries


def _value(kind: Kind, node: Node, path: str) -> object:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        return _union(kind, node, path)
    if _is_section(kind):
        return _section(kind, node, path)
    if kind is object:  # whatever JSON can say
        return _value(JSON_KINDS[type(node)], node, path)
    if origin is dict and isinstance(node, MappingNode):
        items = _entries(node, path).items()
        return {name: _value(arguments[1], child, _join(path, name)) for name, (_, child) in items}
    if origin in (list, tuple) and isinstance(node, SequenceNode):
        return origin(_value(arguments[0], child, f"{path}[{index}]") for index, child in enumerate(node.value))
    value = _scalar(kind, node) if isinstance(node, ScalarNode) and not _is_null(node) else None
    if value is None:
        cure = _nearest(str(node.value), arguments) if origin is Literal else WORDS[origin][1]
        raise _error(node, path, _given(node), _expected(kind), cure)
    return value


def _scalar(kind: Kind, node: ScalarNode) -> object | None:
    if get_origin(kind) is Literal:
        return node.value if node.value in get_args(kind) else None
    if kind in PARSERS and (kind is str or node.style is None):  # what is in quotes is text
        return PARSERS[kind](node.value)
    return None


def _union(kind: Kind, node: Node, path: str) -> object:
    if NoneType in get_args(kind) and _is_null(node):
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
    raise _error(node, path, _given(node), _expected(kind), "give one of these")


def _at_home(value: object, field: "Field[object] | None") -> object:
    """Return a value in which `~` is expanded where the field names a place."""
    return expand_home(value) if isinstance(value, str) and field and "place" in field.metadata else value


def _check_bounds(value: object, field: "Field[object] | None", node: Node, path: str) -> None:
    metadata = field.metadata if field else {}
    bounds = [(*BOUNDS[word], bound) for word, bound in metadata.items() if word in BOUNDS]
    if isinstance(value, int | float) and not all(holds(value, bound) for holds, _, bound in bounds):
        expectation = " and ".join(f"{words} {bound}" for _, words, bound in bounds)
        raise _error(node, path, str(value), expectation, "choose a value in that range")


def _whole(text: str) -> int | None:
    # No leading zero, which is octal for some readers of YAML, and no more digits than int() takes.
    return int(text) if re.fullmatch(r"[+-]?(0|[1-9][0-9]*(_[0-9]+)*)", text) and len(text) < 1000 else None


def _finite(text: str) -> float | None:
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
    float: _finite,
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


# The words of an error


def _error(where: Where, path: str, actual: str, expectation: str, cure: str) -> OptionsError:
    """Return the one line of an error; `where` is a node, an event, a mark, or words."""
    line = f"{_place(where)}: {path}{': ' if path else ''}got {actual}, expected {expectation}; {cure}"
    return OptionsError(" ".join(line.splitlines()))  # a key in quotes may hold a line break


def _place(where: Where) -> str:
    mark = where if isinstance(where, str | yaml.Mark) else where.start_mark
    if isinstance(mark, str):
        return mark
    assert mark is not None, "what is composed has its place"
    return mark.name if mark.name.startswith("override ") else f"{mark.name}:{mark.line + 1}"


def _mark(name: str, line: int) -> yaml.Mark:
    return yaml.Mark(name, 0, line, 0, None, 0)


def _given(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        return "a list" if isinstance(node, SequenceNode) else "a mapping"
    if _is_null(node):
        return node.value or "nothing"
    text = repr(node.value if len(node.value) <= 60 else f"{node.value[:57]}...")
    return text if node.style is None else f"the quoted text {text}"


def _expected(kind: Kind) -> str:
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(map(_expected, get_args(kind)))
    return f"one of {', '.join(get_args(kind))}" if get_origin(kind) is Literal else WORDS[get_origin(kind) or kind][0]


def _nearest(word: str, words: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, words := list(words), n=1)
    return f"did you mean {close[0]}?" if close else f"choose from {', '.join(words)}"


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.style is None and node.value in ("", "~", "null")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
