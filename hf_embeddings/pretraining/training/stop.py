"""Stopping well: signals and time limits end a run at a step boundary, after a checkpoint."""

import os
import signal
import time
from types import FrameType

import psutil

from hf_embeddings.progress import print_to_stderr

# Those that the system has: Windows lacks SIGUSR1, and has Ctrl-Break to ask a process to stop.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGBREAK") if hasattr(signal, name))
PREEMPTED = 75  # exit code: EX_TEMPFAIL of sysexits.h, try again later
# A launcher passes on a signal that the process group has had already; only what comes later is a second one.
SAME_SIGNAL_SECONDS = 1.0


def leave_on_signals() -> None:
    """Let a signal end this process at once as preempted, for where there is no step to finish: `Stop` does the rest.

    What is saved is whole at any moment, so nothing is waited for, least of all other processes.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        if os.environ.get("RANK", "0") == "0":
            print_to_stderr(f"stopped by {signal.Signals(number).name} outside training; rerun the command to resume")
        os._exit(PREEMPTED)

    for number in SIGNALS:
        signal.signal(number, leave)


class Stop:
    """What asks a run to stop before its end. A second signal ends the process at once."""

    def __init__(self, max_job_hours: float | None) -> None:
        """Start to listen; `max_job_hours` count from the start of the process."""
        self.reason = ""
        # On a clock that nobody sets: that of the system may jump by hours, back or forth.
        age = max(0.0, time.time() - psutil.Process().create_time())
        self._deadline = time.monotonic() - age + max_job_hours * 3600 if max_job_hours else None
        self._first = 0.0
        self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}

    @property
    def deadline(self) -> float | None:
        """When the time limit of this process ends, in seconds of `time.monotonic`."""
        return self._deadline

    def check(self, reserve: float) -> bool:
        """Return whether this process wants to stop.

        Args:
            reserve: seconds that the next step and a save may take, which must fit before the limit.
        """
        if not self.reason and self._deadline is not None and time.monotonic() + reserve >= self._deadline:
            self.reason = "the time limit training.max_job_hours"
        return bool(self.reason)

    def release(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._first:
            self._first, self.reason = now, signal.Signals(number).name
        elif now - self._first > SAME_SIGNAL_SECONDS:
            os._exit(128 + number)
