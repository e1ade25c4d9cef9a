"""Records: dataclasses that are written as JSON and read back the same, whichever version wrote them."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from hf_embeddings.files.reading import read_object
from hf_embeddings.json_text import as_given


def absent() -> Any:  # noqa: ANN401  of any type, as `field` is
    """Declare a field whose key the JSON does not have where it is None: not measured, or of a later version."""
    return field(default=None, metadata={"absent": True})


class JsonRecord:
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
            ValueError: a key is missing that every version has written, or a value is of another type.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"{cls.__name__}: got {as_given(values)}, expected an object; make it again")
        try:
            values = cls._of_any_version(values)
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"{cls.__name__}: no version has written this ({error!r}); make it again") from None
        kinds, arguments = _kinds(cls), {}
        for name, entry in _fields(cls).items():
            if name in values:
                arguments[name] = _read(kinds[name], values[name], f"{cls.__name__}: {name}")
            elif entry.default is entry.default_factory is MISSING:
                raise ValueError(f"{cls.__name__}: got a record without {name!r}, expected one; make it again")
        return cls(**arguments)

    @classmethod
    def _of_any_version(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what this version would have written in the place of these values."""
        return values

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file of JSON.

        Raises:
            ValueError: it holds none, or not this record.
        """
        values = read_object(path)
        try:
            return cls.from_dict(values)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _plain(value: object) -> object:
    """Return a value as JSON would have it, but for the keys of mappings, which may be numbers."""
    if isinstance(value, JsonRecord):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _read(kind: Any, value: Any, place: str) -> Any:  # noqa: ANN401  whatever an annotation says
    """Return the value of an annotation that plain data stand for.

    Raises:
        ValueError: they are of another type.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or (value is None and NoneType in arguments):
        return value
    if origin in (Union, UnionType):
        return _read_one_of([member for member in arguments if member is not NoneType], value, place)
    if isinstance(kind, type) and issubclass(kind, JsonRecord):
        return kind.from_dict(value)
    if not _is_of(kind, value):
        words = getattr(origin or kind, "__name__", str(kind))
        raise ValueError(f"{place} is {as_given(value)}, expected {_WORDS.get(words, words)}; make it again")
    if origin is list:
        return [_read(arguments[0], inner, place) for inner in value]
    if origin is dict:
        name = int if arguments[0] is int else str  # JSON has words only
        return {name(key): _read(arguments[1], inner, place) for key, inner in value.items()}
    return tuple(value) if origin is tuple else value


def _read_one_of(kinds: list[Any], value: object, place: str) -> Any:  # noqa: ANN401
    if len(kinds) == 1:
        return _read(kinds[0], value, place)
    kind = next((kind for kind in kinds if _is_of(kind, value)), kinds[-1])
    return _read(kind, value, place)


def _is_of(kind: Any, value: object) -> bool:  # noqa: ANN401
    """Tell whether plain data may be what an annotation says; numbers without a fraction may be of either kind."""
    plain = get_origin(kind) or kind
    if plain is Literal:
        return value in get_args(kind)
    if plain in (int, float) and (isinstance(value, bool) or _is_too_large(value)):
        return False
    allowed = _ALLOWED.get(plain, plain)
    return isinstance(value, allowed) if isinstance(allowed, type | tuple) else True


def _is_too_large(value: object) -> bool:
    """Tell whether a number is a whole one of more than 64 bits, which no figure is."""
    return isinstance(value, int) and not -(2**63) <= value < 2**63


_ALLOWED: dict[Any, Any] = {float: (int, float), tuple: (list, tuple), dict: Mapping}
_WORDS = {"str": "text", "dict": "an object", "tuple": "a list", "list": "a list", "int": "a whole number",
          "float": "a number", "bool": "true or false"}  # fmt: skip


def _kinds(record: type[JsonRecord]) -> dict[str, Any]:
    if record not in _KINDS:
        _KINDS[record] = get_type_hints(record)
    return _KINDS[record]


def _fields(record: type[JsonRecord]) -> dict[str, Field[Any]]:
    if record not in _FIELDS:
        _FIELDS[record] = {entry.name: entry for entry in fields(record)}  # type: ignore[arg-type]  # it is one
    return _FIELDS[record]


_KINDS: dict[type[JsonRecord], dict[str, Any]] = {}  # what is asked for each shard of a corpus, and slow to find out
_FIELDS: dict[type[JsonRecord], dict[str, Field[Any]]] = {}
