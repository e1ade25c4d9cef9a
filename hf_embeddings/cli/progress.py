"""A progress bar with the time left, on stderr, so that results on stdout stay clean."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

Item = TypeVar("Item")


class Progress:
    """`with Progress("encoding", total) as progress: progress.advance(1)`; without a total it counts only."""

    def __init__(self, label: str, total: int | None = None, *, passing: bool = False) -> None:
        """Take what is shown; a `passing` bar leaves no line behind, as one without a total never does."""
        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
        columns += [TextColumn("left"), TimeRemainingColumn()] if total is not None else []
        self._bar = Bar(*columns, console=Console(file=sys.stderr), transient=passing or total is None)
        self._task = self._bar.add_task(label, total=total)
        self._done = 0.0

    def advance(self, steps: float) -> None:
        """Count steps that were done just now."""
        self._done += steps
        self._bar.update(self._task, completed=round(self._done))

    def describe(self, label: str) -> None:
        """Say what is being done."""
        self._bar.update(self._task, description=label)

    def count(self, things: Iterable[object]) -> int:
        """Go through things, advancing by each, and return how many there were."""
        for _ in things:
            self.advance(1)
        return round(self._done)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()


def steps(items: Sequence[Item], *, describe: Callable[[Item], str]) -> Iterator[Item]:
    """Yield the items of a longer job, naming each while it is worked on."""
    with Progress("", len(items), passing=True) as progress:
        for item in items:
            progress.describe(describe(item))
            yield item
            progress.advance(1)
