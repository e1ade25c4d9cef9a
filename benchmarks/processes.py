"""A process for each of the models that a benchmark compares, so that none has another's allocator or precision."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection


@contextmanager
def workers(names: Sequence[str], serve: Callable[..., None], *facts: object) -> Iterator[dict[str, Connection]]:
    """Start `serve(connection, *facts, name)` for each name; they work in turns, and end when they are sent None."""
    context = multiprocessing.get_context("spawn")
    connections, processes = {}, []
    for name in names:
        connections[name], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(theirs, *facts, name), daemon=True))
        processes[-1].start()
    try:
        yield connections
    finally:
        for connection in connections.values():
            connection.send(None)
        for process in processes:
            process.join()
