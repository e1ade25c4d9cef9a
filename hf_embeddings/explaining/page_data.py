"""An explanation as the page's script reads it: plain values, arrays in 16 bits, each word once."""

import base64
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from hf_embeddings.explaining.explanation import Explanation

LARGEST = 32767  # of 16 bits with a sign
DIGITS = 5  # of a number that stands by itself


def page_data(explanation: Explanation) -> dict[str, Any]:
    """Return what becomes the JSON of the page; its keys are the fields of the records.

    An array is `{"shape", "scale", "data"}`: base64 of 16-bit integers, low byte first, to be multiplied by the scale.
    Nearest words are numbers into `words`.
    """
    words: dict[str, int] = {}
    plain = _plain(explanation, words)
    return {**plain, "words": list(words)}


def _plain(value: object, words: dict[str, int]) -> Any:  # noqa: ANN401  whatever JSON has
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: _plain(getattr(value, entry.name), words) for entry in fields(value)}
    if isinstance(value, np.ndarray):
        return _packed(value)
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        return [words.setdefault(value[0], len(words)), _rounded(value[1])]
    if isinstance(value, list | tuple):
        return [_plain(inner, words) for inner in value]
    return _rounded(value) if isinstance(value, float) else value


def _packed(array: np.ndarray) -> dict[str, Any]:
    scale = float(np.abs(array).max(initial=0.0)) / LARGEST or 1.0
    numbers = np.rint(array / scale).astype("<i2")
    return {"shape": list(array.shape), "scale": scale, "data": base64.b64encode(numbers.tobytes()).decode()}


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
