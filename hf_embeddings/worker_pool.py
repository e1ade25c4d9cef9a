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
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

Given = TypeVar("Given")
Result = TypeVar("Result")
Begin = Callable[[int], None]

AHEAD = 3  # tasks per process that are under way or wait to be taken


class WorkerPool:
    """Processes for functions of a module; with one process, there are none and the work is done here."""

    def __init__(
        self, processes: int, *, preload: str = __name__, begin: Begin | None = None, ahead: int = AHEAD
    ) -> None:
        """Start nothing yet: the first task does.

        Args:
            processes: how many.
            preload: a module that is imported once, for all processes.
            begin: a function of a module, called once in each process with its number, from 0.
            ahead: tasks per process that are under way or wait to be taken.
        """
        self._processes, self._ahead = processes, ahead
        # The server is a fresh interpreter that imports what tasks need once; what is forked from it has no threads.
        has_server = sys.platform == "linux" and "forkserver" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if has_server else "spawn")
        if has_server:
            context.set_forkserver_preload([__name__, preload])
        self._pool: ProcessPoolExecutor | None = None
        if processes > 1:
            arguments = (context.Value("i", 0), begin)
            self._pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=arguments)

    def map(self, function: Callable[[Given], Result], tasks: Iterable[Given]) -> Iterator[Result]:
        """Yield the result of each task, in order; the next are read as the first are done.

        Raises:
            ChildProcessError: a process has been killed, perhaps by the system for want of memory.
        """
        if self._pool is None:
            yield from map(function, tasks)
            return
        waiting: deque[Future[Result]] = deque()
        try:
            for one in tasks:
                waiting.append(self._pool.submit(function, one))
                if len(waiting) >= self._ahead * self._processes:
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


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(counter: "Synchronized[int]", begin: Begin | None) -> None:
    """Leave Ctrl-C to the parent, and end when it ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    if begin is not None:
        begin(number)


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
