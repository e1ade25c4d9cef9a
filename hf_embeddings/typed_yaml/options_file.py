"""The options file of a run, and the options given beside it, such as `training.max_steps=10`."""

import math
from collections.abc import Sequence
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, ScalarNode

from hf_embeddings.typed_yaml.fields import to_dict
from hf_embeddings.typed_yaml.nodes import compose, error_at, in_words, place_of, read_text
from hf_embeddings.typed_yaml.values import Section, finite, read_section


def read_options(kind: type[Section], path: str | Path, overrides: Sequence[str] = ()) -> Section:
    """Read the options `kind` of a file; each of `overrides`, such as `training.max_steps=10`, beats the file.

    Raises:
        OptionsError: a mistake in the file or in an override; its place is named.
    """
    root = compose(read_text(Path(path)), str(path))
    if not isinstance(root, MappingNode):
        raise error_at(root, "", in_words(root), "`key: value` lines at the top level", "see the files in configs/")
    for override in overrides:
        _override(root, override)
    return read_section(kind, root, "")


def dump(options: object) -> str:
    """Return the text of an options file that `read_options` reads back as equal options."""
    return str(yaml.dump(to_dict(options), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf))


class _Dumper(yaml.SafeDumper):
    """Quote text that would be read as a number (PyYAML does not know 1e5), and U+0085, which PyYAML would lose."""

    def represent_str(self, data: str) -> ScalarNode:
        plain = data.isprintable() and finite(data) is None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')


_Dumper.add_representer(str, _Dumper.represent_str)


def _override(root: MappingNode, override: str) -> None:
    """Put the value of `section.field=value` in the place of the file's, or add it."""
    name = f"override {override!r}"
    path, equals, text = override.partition("=")
    *sections, key = path.strip().split(".")
    if not equals or not key or not all(sections):
        raise error_at(name, "", f"{path!r} as the key", "section.field=value", "write it as in training.max_steps=100")
    value = compose(text, name)
    if isinstance(value, ScalarNode) and value.style is None and value.end_mark.index < len(text.rstrip()):
        raise error_at(name, path, f"{text!r}, which YAML cuts at ' #'", "one value", "put the value in quotes")
    node = root
    for depth, section in enumerate(sections, start=1):
        inner = next((child for name_node, child in node.value if name_node.value == section), None)
        if inner is None:
            inner = MappingNode("", [], value.start_mark, value.end_mark)
            node.value.append((ScalarNode("", section, value.start_mark, value.end_mark), inner))
        if not isinstance(inner, MappingNode):
            place, actual = ".".join(sections[:depth]), f"{in_words(inner)} from {place_of(inner)}"
            raise error_at(name, place, actual, "a section", f"give {place} fields there, or name it without a dot")
        node = inner
    kept_entries = [entry for entry in node.value if entry[0].value != key]
    node.value = [*kept_entries, (ScalarNode("", key, value.start_mark, value.end_mark), value)]
