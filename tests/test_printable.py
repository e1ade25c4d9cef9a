"""No text of others gives orders to a terminal."""

import io
import sys

import pytest

from hf_embeddings.cli.command import as_command
from hf_embeddings.printable import escaped_stdout, one_line, printable
from hf_embeddings.progress import print_to_stderr
from hf_embeddings.search.results import Hit, render_hits

ORDERS = "a\x1b]0;TITLE\x07\x1b[2Jb\rc\x9bd\x7f\u202ee\u2028f\ud800"
SPELLED = r"a\x1b]0;TITLE\x07\x1b[2Jb\rc\x9bd\x7f\u202ee\u2028f\ud800"


def test_control_characters_are_spelled_out() -> None:
    assert printable(ORDERS) == one_line(ORDERS) == SPELLED
    assert printable("a\n\tb") == "a\n\tb" and one_line("a\n\tb") == r"a\n\tb"
    assert one_line("a\u200bb\U000e0041") == r"a\u200bb\U000e0041" and printable("a\u200bb") == "a\u200bb"
    assert one_line("\u05d0 \u5b57 \u00e9 \U0001f600 e\u0301") == "\u05d0 \u5b57 \u00e9 \U0001f600 e\u0301"


def test_a_result_stays_in_its_lines() -> None:
    hit = Hit("i", 1.0, ORDERS, {"title": f"{ORDERS}\n 2. 1.000  another", "na\x1bme": f"{ORDERS}\n"})
    assert render_hits([hit]) == printable(render_hits([hit]))
    assert render_hits([hit]).startswith(rf" 1. 1.000  {SPELLED}\n 2. 1.000  another" + "\n")
    assert len(render_hits([hit]).splitlines()) == 3


def test_whatever_a_verb_prints_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    def verb() -> None:
        print(ORDERS)
        print_to_stderr(ORDERS)

    as_command("search", verb)()
    assert capsys.readouterr() == (f"{SPELLED}\n", f"{SPELLED}\n")
    assert not hasattr(sys.stdout, "_stream")


def test_a_terminal_gets_the_colours_of_tables_alone() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, said in ((Terminal(), "\x1b[1mbold\x1b[0m\\x1b[2J"), (io.StringIO(), r"\x1b[1mbold\x1b[0m\x1b[2J")):
        with escaped_stdout(stream):
            print("\x1b[1mbold\x1b[0m\x1b[2J", end="", flush=True)
        assert stream.getvalue() == said
