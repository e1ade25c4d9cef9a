"""JSON that every reader takes (NaN and infinity are null, as JSON has no word for them), and no key read twice."""

import json
import math
from collections.abc import Mapping
from typing import Any

_KINDS: dict[type, str] = {Mapping: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return plain data as JSON in ASCII."""
    return json.dumps(without_nan(value), indent=indent, allow_nan=False)


def json_kind(value: object) -> str:
    """Return what a value is in the words of JSON, such as `a list`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return next((name for kind, name in _KINDS.items() if isinstance(value, kind)), type(value).__name__)
    return f"the number {as_given(value, 40)}"


def as_given(value: object, most: int = 60) -> str:
    """Return the first characters of a value as it was given: text in quotes, everything else as JSON has it."""
    if isinstance(value, str):
        return repr(value)[:most]
    text = json.dumps(value, ensure_ascii=False, default=repr)[:most]
    return text.encode("utf-8", "backslashreplace").decode()  # of lone surrogates


def without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, as `object_pairs_hook` of `json.loads`.

    Raises:
        ValueError: a key stands twice, of which JSON would keep the last.
    """
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return value


def without_nan(value: object) -> object:
    """Return plain data with null for NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    return value
