"""From text to YAML nodes that know their place: a mark is named after the file or the override it stands in."""

from pathlib import Path
from typing import Any, TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from hf_embeddings.files.reading import read_bytes

Where: TypeAlias = "Node | yaml.Event | yaml.Mark | str"  # what a mistake stands in, or the words for that


class OptionsError(ValueError):
    """A mistake in an options file or an override: where it is, what was given, what was expected, what to do."""


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        OptionsError: it is not there, or not UTF-8.
    """
    try:
        data = read_bytes(path)
        return data.decode("utf-8")
    except OSError as error:
        raise error_at(str(path), "", str(error.strerror).lower(), "a YAML file", "check the path") from None
    except UnicodeDecodeError as error:
        mark = mark_at(str(path), data.count(b"\n", 0, error.start))
        raise error_at(mark, "", f"the byte {data[error.start]:#04x}", "UTF-8 text", "save the file as UTF-8") from None
    except ValueError as error:  # a directory, a pipe, or too large
        raise OptionsError(str(error)) from None


def compose(text: str, name: str) -> Node:
    """Return the root of YAML text; its marks are named `name`.

    Raises:
        OptionsError: it is not YAML, or holds tags, anchors or aliases.
    """
    cure = "check indentation and brackets, and quote text that holds ': ' or ' #' or starts with one of *&!%@`[{"
    loader = None
    try:
        loader = _Loader(text, name)
        return loader.get_single_node() or ScalarNode("", "", mark_at(name, 0), mark_at(name, 0))
    except OptionsError:
        raise
    except yaml.MarkedYAMLError as error:
        where, problem = error.problem_mark or name, error.problem or error.context
    except ReaderError as error:  # comes before there is a loader
        where, problem = mark_at(name, text.count("\n", 0, error.position)), f"the character {error.character:#04x}"
    except (ValueError, OverflowError, RecursionError) as error:  # PyYAML lets out those of chr() and of deep nesting
        where, problem = mark_at(name, loader.line if loader else 0), str(error)
    raise error_at(where, "", f"invalid YAML ({problem})", "plain YAML", cure)


class _Loader(yaml.SafeLoader):
    """Compose plain nodes; refuse tags, anchors and aliases where they stand."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name, self.path = name, ""

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:  # noqa: ANN401  the parent's word for a place
        event, outer = self.peek_event(), self.path
        self.path = join_path(outer, index.value) if isinstance(index, ScalarNode) else outer
        if event.anchor is not None:
            word = "alias *" if isinstance(event, yaml.AliasEvent) else "anchor &"
            raise error_at(event, self.path, f"the {word}{event.anchor}", "a plain value", "write it out, or quote it")
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise error_at(event, self.path, f"the tag {tag}", "a plain value", "remove the tag, or quote the text")
        node = super().compose_node(parent, index)
        self.path = outer
        return node


def entries_of(node: Node, path: str) -> dict[str, tuple[Node, Node]]:
    """Return the nodes of key and value by key; `path` is where the node stands, such as `training.max_steps`.

    Raises:
        OptionsError: the node is no mapping, a key is no word, or one stands twice.
    """
    if not isinstance(node, MappingNode):
        raise error_at(node, path, in_words(node), "a section (`key: value` lines)", "give it fields, or remove it")
    entries: dict[str, tuple[Node, Node]] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            raise error_at(key, path, f"{in_words(key)} as a key", "a word", "remove the brackets or the `?`")
        if key.value in entries:
            actual = f"a second value (the first: {place_of(entries[key.value][0])})"
            raise error_at(key, join_path(path, key.value), actual, "each key once", "remove one of the two")
        entries[key.value] = (key, value)
    return entries


# The words of an error.


def error_at(where: Where, path: str, actual: str, expectation: str, cure: str) -> OptionsError:
    """Return the one line of an error; `where` is a node, an event, a mark, or words."""
    line = f"{place_of(where)}: {path}{': ' if path else ''}got {actual}, expected {expectation}; {cure}"
    return OptionsError(" ".join(line.splitlines()))  # a key in quotes may hold a line break


def place_of(where: Where) -> str:
    """Return the file and line, or the override, of what a mistake stands in."""
    mark = where if isinstance(where, str | yaml.Mark) else where.start_mark
    if isinstance(mark, str):
        return mark
    assert mark is not None, "what is composed has its place"
    return mark.name if mark.name.startswith("override ") else f"{mark.name}:{mark.line + 1}"


def mark_at(name: str, line: int) -> yaml.Mark:
    """Return the mark of a line, counted from 0, of what is called `name`."""
    return yaml.Mark(name, 0, line, 0, None, 0)


def in_words(node: Node) -> str:
    """Return what a node holds, as an error says it."""
    if not isinstance(node, ScalarNode):
        return "a list" if isinstance(node, SequenceNode) else "a mapping"
    if is_null(node):
        return node.value or "nothing"
    text = repr(node.value if len(node.value) <= 60 else f"{node.value[:57]}...")
    return text if node.style is None else f"the quoted text {text}"


def is_null(node: Node) -> bool:
    """Tell whether a node holds nothing, or the word for that."""
    return isinstance(node, ScalarNode) and node.style is None and node.value in ("", "~", "null")


def join_path(path: str, name: str) -> str:
    """Return the path of a field within the section at `path`."""
    return f"{path}.{name}" if path else name
