"""The sheet of published encoders says what a conversion of their twins gives, and has those that people use."""

import pytest

from docs.generator.encoders import ENCODERS, PAGE, page, trial


@pytest.mark.parametrize("index", range(len(ENCODERS)), ids=[encoder.ids.split()[0] for encoder in ENCODERS])
def test_a_twin_is_converted_or_refused_as_the_sheet_says(index: int) -> None:
    """`trial` holds the difference to 1e-5, and a refusal to its reason."""
    family, _, made, _ = trial(index)
    text = PAGE.read_text(encoding="utf-8")
    for name in ENCODERS[index].ids.split():
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert f"| `{family}` |" in line and f"| {made} |" in line


def test_the_committed_page_is_that_of_the_trials() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.generator.encoders"
    names = [name for encoder in ENCODERS for name in encoder.ids.split()]
    assert len(names) == len(set(names)) >= 60
