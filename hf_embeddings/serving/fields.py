"""The fields of a request, read into typed values: a mistake names the field, what was given, what was expected."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hf_embeddings.files.reading import DEEPEST, check_depth
from hf_embeddings.json_text import as_given, json_kind, without_twins
from hf_embeddings.serving.refusal import Refusal


def read_json_object(body: bytes) -> dict[str, Any]:
    """Return the object that a body holds.

    Raises:
        Refusal: it is no UTF-8, no JSON, or no object.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(f"body: got the byte {body[error.start]:#04x} at {error.start:,}, expected UTF-8") from None
    try:
        check_depth(body, "body")
    except ValueError:
        raise Refusal(f"body: got more than {DEEPEST} nested brackets, expected fewer") from None
    try:
        value = json.loads(text, object_pairs_hook=without_twins, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"body: got no JSON ({error}), expected an object") from None
    if not isinstance(value, dict):
        raise Refusal(f"body: got {json_kind(value)}, expected an object")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no value of JSON")


class Fields:
    """The fields of one request."""

    def __init__(self, values: Mapping[str, Any], known: Sequence[str]) -> None:
        """Take an object whose keys must be among `known`.

        Raises:
            Refusal: another key.
        """
        self.values = values
        for name in values:
            if name not in known:
                raise Refusal(f"{name!r:.60}: an unknown field, expected {', '.join(known)}", param=str(name)[:60])

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def text(self, name: str) -> str:
        """Return a text that has words.

        Raises:
            Refusal: it is missing, blank, or none.
        """
        if name not in self:
            raise Refusal(f"{name}: missing, expected some words", param=name)
        return checked_text(self.values[name], name, name)

    def word(self, name: str, choices: Sequence[str], default: str) -> str:
        """Return one of several words."""
        value = self.values.get(name)
        if value is None:
            return default
        if value not in choices:
            raise Refusal(f"{name}: got {as_given(value)}, expected {' or '.join(choices)}", param=name)
        return str(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return true or false."""
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise Refusal(f"{name}: got {as_given(value)}, expected true or false", param=name)
        return value

    def count(self, name: str, most: int, default: int) -> int:
        """Return a whole number from 1 to `most`."""
        value = self.values.get(name)
        if value is None:
            return default
        if type(value) is not int or not 1 <= value <= most:
            raise Refusal(f"{name}: got {as_given(value)}, expected a whole number from 1 to {most:,}", param=name)
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a text, None where there is none."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            raise Refusal(f"{name}: got {as_given(value)}, expected a text", param=name)
        return value

    def texts(self, name: str, most: int) -> list[str]:
        """Return a list of texts, or of objects with a `text`.

        Raises:
            Refusal: it is none, empty or longer than `most`, or one of them has no words.
        """
        value = self.values.get(name)
        if not isinstance(value, list) or not value:
            raise Refusal(f"{name}: expected a list of texts, at least one", param=name)
        refuse_many(len(value), most, name)
        plain = [item.get("text") if isinstance(item, dict) else item for item in value]
        return [checked_text(text, f"{name}[{number}]", name) for number, text in enumerate(plain)]


def refuse_many(count: int, most: int, name: str) -> None:
    """Refuse more inputs than a request may have."""
    if count > most:
        raise Refusal(f"{name}: got {count:,} inputs, expected at most {most:,}; send several requests", param=name)


def checked_text(value: object, place: str, name: str) -> str:
    """Return a text that a tokenizer can read and that has words.

    Raises:
        Refusal: it is none.
    """
    if not isinstance(value, str):
        raise Refusal(f"{place}: got {as_given(value)}, expected a text", param=name)
    if not value.strip():
        raise Refusal(f"{place}: got a blank text, expected some words", param=name)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Refusal(f"{place}: got half of a surrogate pair at {error.start:,}, expected text", param=name) from None
    return value
