"""JSON that every reader takes (NaN and infinity are null, as JSON has no word for them), and no key read twice."""

import json
import math
from collections.abc import Mapping
from typing import Any


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return plain data as JSON in ASCII."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


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


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
