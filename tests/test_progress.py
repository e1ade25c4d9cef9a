"""Laws of waiting: nothing is silent for long, time left is right, and only one process speaks."""

import io
import sys
import threading

import pytest

from hf_embeddings.progress import Phase, duration, silent_phase


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def phase(lines: list[str], clock: Clock, *arguments, **settings) -> Phase:
    return Phase(*arguments, terminal=False, say=lines.append, clock=clock, **settings)


def test_the_time_left_follows_what_was_done() -> None:
    clock = Clock()
    with phase([], clock, "encoding", 400, unit="documents") as encoding:
        assert "left" not in encoding.line()  # nothing is known yet
        clock.now += 30
        encoding.advance(100)
        assert encoding.line() == "encoding: 100 of 400 documents, 25%, 30 s, 1 min 30 s left"
        clock.now += 10  # the next step takes its time
        assert encoding.line() == "encoding: 100 of 400 documents, 25%, 40 s, 1 min 30 s left"


def test_what_was_done_before_does_not_count_as_speed() -> None:
    clock = Clock()
    with phase([], clock, "training", 1.0, done=0.5) as training:
        clock.now += 60
        training.reach(0.75, "step 75")
        assert training.line() == "training: step 75, 75%, 1 min 00 s, 1 min 00 s left"


@pytest.mark.parametrize("total", [None, 10])
def test_a_step_that_never_ends_is_told_all_the_same(total: int | None) -> None:
    told = threading.Event()
    with Phase("tokenizer", total, terminal=False, say=lambda line: told.set(), seconds=0.001):
        assert told.wait(60)


def test_what_was_long_is_told_at_its_end_and_what_was_short_or_failed_is_not() -> None:
    clock, lines = Clock(), []
    with phase(lines, clock, "short"):
        clock.now += 1
    with pytest.raises(RuntimeError), phase(lines, clock, "failed"):
        clock.now += 100
        raise RuntimeError
    with phase(lines, clock, "long") as long:
        assert long.count(range(7)) == 7
        clock.now += 100
    assert lines == ["long: 1 min 40 s"]


def test_silent_phases_say_nothing_and_start_no_thread(capsys) -> None:
    before = threading.active_count()
    with silent_phase("reading", 10) as reading:
        reading.advance(5)
        assert threading.active_count() == before
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_that_moves(monkeypatch) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Phase("", 2, unit="done", passing=True) as phase:
        for name in ("one", "two"):
            phase.describe(f"task {name}")
            print(f"a line from {name}", file=sys.stderr)
            phase.advance()
    with Phase("encoding", 4, unit="documents") as encoding:
        encoding.advance(4)
    shown = screen.getvalue()
    assert "a line from two" in shown and "task two" in shown and "encoding: 4 of 4 documents, 100%" in shown


@pytest.mark.parametrize(
    "seconds, text",
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (3600, "1 h 00 min"), (9e5, "250 h 00 min")],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
