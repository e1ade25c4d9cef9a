"""A wrong value of an option is answered with what was given and what was expected, not in the words of a library."""

import pytest
from typer.testing import CliRunner

from hf_embeddings.cli.main import app


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("serve i --port abc", "got 'abc', expected a whole number"),
        ("serve i --port 99999", "got '99999', expected 65535 or less"),
        ("convert a b --max-shard-gb 0", "got '0', expected 0.001 or more"),
        ("reposition a b --learning-rate fast", "got 'fast', expected a number"),
        ("plot attention m text --layer x", "got 'x', expected a whole number"),  # a verb of a group
    ],
)
def test_a_wrong_value_is_answered_in_our_words(line: str, answer: str) -> None:
    result = CliRunner().invoke(app, line.split(), env={"COLUMNS": "100", "TERM": "dumb"})
    assert result.exit_code == 2 and answer in result.output and "Input should" not in result.output
