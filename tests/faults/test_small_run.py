"""The watch over small runs: one hangs that waits for nothing a machine will give it."""

import os
import subprocess
import sys

import psutil
import pytest

from tests.faults.small_run import is_kept_waiting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="states of threads, of Linux")


def test_who_wants_a_core_does_not_hang_and_who_waits_for_a_word_does() -> None:
    assert is_kept_waiting(psutil.Process(os.getpid()))
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as waiting:
        assert waiting.stdin and waiting.stdout
        waiting.stdin.write(b"a")
        waiting.stdout.read(1)  # it has begun, and has nothing else to do
        process = psutil.Process(waiting.pid)
        while process.status() != psutil.STATUS_SLEEPING:
            os.sched_yield()
        assert not is_kept_waiting(process)
        waiting.stdin.close()
