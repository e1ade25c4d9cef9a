"""Fields of options: bounds that the loader checks, a field for all further keys, and options as plain data."""

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import MISSING, field, fields, is_dataclass
from typing import Any, TypeVar

Value = TypeVar("Value")
BOUNDS = {  # the words of `bounded`: what has to hold, and how an error says it
    "min": (operator.ge, "at least"),
    "max": (operator.le, "at most"),
    "above": (operator.gt, "above"),
    "below": (operator.lt, "below"),
}


def bounded(
    default: Value,
    *,
    min: float | None = None,
    max: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Value:
    """Declare a field with bounds that the loader checks: `min <= value <= max`, `above < value < below`."""
    bounds = {"min": min, "max": max, "above": above, "below": below}
    return field(default=default, metadata={name: bound for name, bound in bounds.items() if bound is not None})


def path_field(default: Any = MISSING) -> Any:  # noqa: ANN401  of any type, as `field` is
    """Declare a field that names a place on the disk, in which the loader expands `~`."""
    return field(default=default, metadata={"place": True})


def remaining(types: Callable[[], Mapping[str, object]]) -> dict[str, Any]:
    """Declare the field that collects every further key of a section; `types` is called when such a key appears."""
    collector: dict[str, Any] = field(default_factory=dict, metadata={"remaining": types})
    return collector


def to_dict(options: object) -> dict[str, object]:
    """Return options as the nested mapping of plain data that an options file holds."""
    result: dict[str, object] = {}
    for option in fields(options):  # type: ignore[arg-type]
        value = getattr(options, option.name)
        # Through JSON: a copy in which tuples are lists and nothing is shared, as YAML would write that as an alias.
        value = to_dict(value) if is_dataclass(value) else json.loads(json.dumps(value, default=to_dict))
        result |= value if "remaining" in option.metadata else {option.name: value}
    return result
