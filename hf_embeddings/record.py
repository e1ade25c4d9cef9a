"""Records: dataclasses that are written as JSON and read back the same, whichever version wrote them."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints


def absent() -> Any:  # noqa: ANN401  of any type, as `field` is
    """Declare a field whose key the JSON does not have where it is None: not measured, or of a later version."""
    return field(default=None, metadata={"absent": True})


class Record:
    """A dataclass with `to_dict` and `from_dict`; its fields are the keys of the JSON, in their order."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which `from_dict` reads."""
        values = {entry.name: getattr(self, entry.name) for entry in _fields(type(self)).values()}
        left_out = {name for name, entry in _fields(type(self)).items() if "absent" in entry.metadata}
        return {name: _plain(value) for name, value in values.items() if value is not None or name not in left_out}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read plain data; keys that are no fields, such as those of later versions, are passed over.

        Raises:
            ValueError: a key is missing that every version has written.
        """
        kinds, arguments = _kinds(cls), {}
        for name, entry in _fields(cls).items():
            if name in values:
                arguments[name] = _read(kinds[name], values[name])
            elif entry.default is entry.default_factory is MISSING:
                raise ValueError(f"{cls.__name__}: got a record without {name!r}, expected one; make it again")
        return cls(**arguments)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file of JSON."""
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))


def _plain(value: object) -> object:
    """Return a value as JSON would have it, but for the keys of mappings, which may be numbers."""
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _read(kind: Any, value: Any) -> Any:  # noqa: ANN401  whatever an annotation says
    """Return the value of an annotation that plain data stand for."""
    origin, arguments = get_origin(kind), get_args(kind)
    if value is None:
        return None
    if origin in (Union, UnionType):
        kinds = [member for member in arguments if isinstance(get_origin(member) or member, type)]
        return _read(kinds[0], value) if len(kinds) == 2 else value  # `X | None`
    if isinstance(kind, type) and issubclass(kind, Record):
        return kind.from_dict(value)
    if origin is list:
        return [_read(arguments[0], inner) for inner in value]
    if origin is dict:
        name = int if arguments[0] is int else str  # JSON has words only
        return {name(key): _read(arguments[1], inner) for key, inner in value.items()}
    return tuple(value) if origin is tuple else value


def _kinds(record: type[Record]) -> dict[str, Any]:
    if record not in _KINDS:
        _KINDS[record] = get_type_hints(record)
    return _KINDS[record]


def _fields(record: type[Record]) -> dict[str, Field[Any]]:
    if record not in _FIELDS:
        _FIELDS[record] = {entry.name: entry for entry in fields(record)}  # type: ignore[arg-type]  # it is one
    return _FIELDS[record]


_KINDS: dict[type[Record], dict[str, Any]] = {}  # what is asked for each shard of a corpus, and slow to find out
_FIELDS: dict[type[Record], dict[str, Field[Any]]] = {}
