"""Terms of metadata, by which a database narrows what a condition may meet: each field, and each value of a field.

A term is a digest, so that fields and values may be of any length and have any characters.
"""

import hashlib
from collections.abc import Mapping

from hf_embeddings.search.records import Condition, as_text


def terms_of(metadata: Mapping[str, object]) -> list[str]:
    """Return the terms of a record: for each field one that it is there, and those of its value."""
    terms: list[str] = []
    for name, value in metadata.items():
        if value is not None:
            terms += [has_term(name), *_value_terms(name, value)]
    return list(dict.fromkeys(terms))


def narrowing(condition: Condition) -> list[str]:
    """Return terms of which every record that meets a condition has one."""
    if condition.operator == "=":
        return _value_terms(condition.field, condition.value)
    return [has_term(condition.field)]


def has_term(name: str) -> str:
    """Return the term of a field that is there."""
    return _term(name)


def _value_terms(name: str, value: object) -> list[str]:
    """Return one term for the text of a value, and one for a number, whether it is written as 2 or 2.0."""
    number = [_term(name, 0, float(value) or 0.0)] if isinstance(value, int | float) else []
    return [_term(name, as_text(value)), *number]


def _term(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
