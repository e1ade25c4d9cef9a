"""How far a piece of work is, on stderr: a bar on a terminal, elsewhere lines now and then; with the time left."""

import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from hf_embeddings.printable import printable

if TYPE_CHECKING:
    from rich.live import Live

LINE_SECONDS = 10.0  # between lines where there is no terminal
WORTH_A_LINE = 2.0  # seconds; what took longer since the last line is told when it ends


class Phases(Protocol):
    """What makes phases: the class below, or the same with some of its arguments given."""

    def __call__(self, label: str, total: float | None = None, *, unit: str = "", done: float = 0.0) -> "Phase":
        """Return a phase that begins as its block does."""
        ...


def print_to_stderr(line: str) -> None:
    """Print a line where it does not mix with results; control characters in it are spelled out.

    Where it cannot be printed, as in a log on a full disk, the work goes on.
    """
    with suppress(OSError):
        print(printable(line), file=sys.stderr, flush=True)  # noqa: T201  the one place outside the commands


class Phase:
    """`with Phase("encoding", total) as phase: phase.advance(1)`; without a total it counts, or tells the time only."""

    def __init__(
        self,
        label: str,
        total: float | None = None,
        *,
        unit: str = "",
        done: float = 0.0,
        passing: bool = False,
        silent: bool = False,
        terminal: bool | None = None,
        say: Callable[[str], None] = print_to_stderr,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = LINE_SECONDS,
    ) -> None:
        """Describe the work.

        Args:
            label: what is done.
            total: how much there is to do; None where nobody knows.
            unit: what is counted; without one, the share that is done is told alone.
            done: how much had been done before.
            passing: leave no bar behind on a terminal.
            silent: tell nothing, as all processes but the first do.
            terminal: whether stderr is one; None asks it.
            say: takes the lines where there is no terminal.
            clock: returns seconds.
            seconds: between lines.
        """
        self.label, self.total, self.unit, self.done, self.note = label, total, unit, done, ""
        self.shortest = WORTH_A_LINE  # seconds; what ended sooner after its last line tells nothing more
        self._first, self._passing, self._silent, self._terminal = done, passing, silent, terminal
        self._say, self._clock, self._seconds = say, clock, seconds
        self._began = self._told = self._moved = clock()
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._live: Live | None = None

    def advance(self, steps: float = 1) -> None:
        """Count steps that were done just now."""
        self.reach(self.done + steps, self.note)

    def reach(self, amount: float, note: str = "") -> None:
        """Say how much is done in all, and what else there is to tell."""
        self.done, self.note, self._moved = amount, note, self._clock()

    def describe(self, label: str) -> None:
        """Say what is being done."""
        self.label = label

    def count(self, things: Iterable[object]) -> int:
        """Go through things, advancing by each, and return how many there were."""
        for _ in things:
            self.advance()
        return round(self.done)

    def line(self) -> str:
        """Return how far the work is, in words."""
        elapsed, parts = self._clock() - self._began, [self.note]
        share = min(self.done / self.total, 1.0) if self.total else None
        if self.unit:
            parts.append(f"{self.done:,.0f}" + (f" of {self.total:,.0f}" if self.total else "") + f" {self.unit}")
        if share is not None:
            parts.append(f"{share:.0%}")
        parts.append(duration(elapsed))
        if self.total and self._first < self.done < self.total:
            # At the speed up to the last step, however long the next one takes.
            busy_seconds = self._moved - self._began
            parts.append(f"{duration(busy_seconds * (self.total - self.done) / (self.done - self._first))} left")
        return f"{self.label}: " + ", ".join(filter(None, parts))

    def __enter__(self) -> "Phase":
        self._began = self._told = self._clock()
        if self._silent:
            return self
        if self._terminal if self._terminal is not None else sys.stderr.isatty():
            self._live = _live(self, passing=self._passing)
            self._live.start()
        else:
            self._beating.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        if self._live:
            self._live.stop()
        elif self._beating.is_alive():
            self._beating.join()
            if self._clock() - max(self._began, self._told) >= self.shortest and exception[0] is None:
                self._say(self.line())

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds):  # in a thread, for one step may take longer than that
            self._told = self._clock()
            self._say(self.line())


def silent_phase(label: str, total: float | None = None, *, unit: str = "", done: float = 0.0) -> Phase:
    """Return a phase that tells nothing."""
    return Phase(label, total, unit=unit, done=done, silent=True)


def duration(seconds: float) -> str:
    """Write a time in the two units that matter."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def _live(phase: Phase, *, passing: bool) -> "Live":
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    def draw() -> Table:
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=phase.total, completed=phase.done, width=30, pulse=phase.total is None)
        row.add_row(bar, Text(phase.line(), no_wrap=True, overflow="ellipsis"))
        return row

    return Live(console=Console(file=sys.stderr), get_renderable=draw, transient=passing, refresh_per_second=4)
