"""Work shared out to processes: results in order, few of them ahead, and none left waiting when a process dies."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")

AHEAD = 3  # tasks per process that are under way or wait to be taken


class WorkerPool:
    """Processes for functions of a module; with one process, there are none and the work is done here."""

    def __init__(self, processes: int, *, preload: str = __name__) -> None:
        """Start nothing yet: the first task does. The module `preload` is imported once, for all processes."""
        self._processes = processes
        # The server is a fresh interpreter that imports what tasks need once; what is forked from it has no threads.
        served = sys.platform == "linux" and "forkserver" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if served else "spawn")
        if served:
            context.set_forkserver_preload([__name__, preload])
        self._pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin) if processes > 1 else None

    def map(self, function: Callable[[Given], Result], given: Iterable[Given]) -> Iterator[Result]:
        """Yield the result of each task, in order; the next are read as the first are done.

        Raises:
            ChildProcessError: a process has been killed, perhaps by the system for want of memory.
        """
        if self._pool is None:
            yield from map(function, given)
            return
        waiting: deque[Future[Result]] = deque()
        try:
            for one in given:
                waiting.append(self._pool.submit(function, one))
                if len(waiting) >= AHEAD * self._processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise ChildProcessError("a worker process was killed, perhaps for want of memory; start again") from None

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Leave Ctrl-C to the parent, and end when it ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism

    def end_with_parent() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
