"""JSON that any reader takes, from every verb."""

import json
import math
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hf_embeddings.json_text import json_text

ROOT = Path(__file__).parents[1]
NUMBERS = st.floats() | st.integers() | st.text() | st.booleans() | st.none()
VALUES = st.recursive(NUMBERS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def refuse(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")


@given(VALUES)
def test_it_is_valid_json_and_keeps_every_number(value: object) -> None:
    def expected(value: object) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, dict):
            return {key: expected(inner) for key, inner in value.items()}
        return [expected(inner) for inner in value] if isinstance(value, list) else value

    assert json.loads(json_text(value), parse_constant=refuse) == expected(value)
    assert json_text({"1": (math.nan, 1.5)}, indent=1).split() == ["{", '"1":', "[", "null,", "1.5", "]", "}"]


def test_no_verb_prints_json_in_another_way() -> None:
    others = r"print\(json\.dumps|return json\.dumps|print_json\(|application/json\", json\.dumps"
    for path in [*(ROOT / "hf_embeddings/cli").glob("*.py"), *(ROOT / "hf_embeddings/serving").glob("*.py")]:
        assert not re.search(others, path.read_text(encoding="utf-8")), path
