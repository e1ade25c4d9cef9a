"""What is true when a verb is interrupted: one sentence for each verb, on standard error.

The entry of the command imports this file before all others, so it imports next to nothing.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 130  # 128 + SIGINT, the habit of shells
NOTHING = "nothing was changed"
WHOLE = "{target} is as it was before"
RESUME = "rerun the command to resume"

# {name} is an argument of the verb. A verb that resumes keeps what it had finished.
SENTENCES = {
    "convert": WHOLE,
    "debias": WHOLE,
    "distil": f"{WHOLE}; the training is kept in {{target}}.partial; {RESUME}",
    "export": WHOLE,
    "index": f"the passages that were saved are kept; {RESUME}",
    "embed": f"the checkpoints that were saved are kept; {RESUME}",
    "evaluate": "no figure was recorded",
    "example": "some of the files may be there already; rerun the command to replace them",
    "explain": "{out} is as it was before",
    "inspect": NOTHING,
    "position-lab": f"the runs that finished, and the last checkpoint of the current one, are kept; {RESUME}",
    "positions": NOTHING,
    "prepare": f"what was finished is kept in {{target}}.partial; {RESUME}",
    "pretrain": f"the checkpoints that were saved are kept; {RESUME}",
    "publish": "the card and the code in {folder} may have been rewritten; the Hub got the whole commit or nothing",
    "remove": "{folder} holds all of its documents, or none of those that were to be removed",
    "reposition": WHOLE,
    "search": NOTHING,
    "serve": "the server has stopped; nothing was changed",
    "verify": NOTHING,
    "vocabulary": WHOLE,
    "plot words": "some of the pictures may be there already; rerun the command to replace them",
    "plot positions": "some of the pictures may be there already; rerun the command to replace them",
    "plot sum": "some of the pictures may be there already; rerun the command to replace them",
    "plot training": "some of the pictures may be there already; rerun the command to replace them",
    "plot attention": "some of the pictures may be there already; rerun the command to replace them",
}
# Where these do not exist, a verb that resumes has not begun to write.
KEPT_IN = {"index": "{folder}", "prepare": "{target}.partial", "distil": "{target}.partial"}
COPY = "{folder} may hold a part of the passages; rerun the command to copy all"  # `index` into a database


def listen() -> None:
    """Answer Ctrl-C from now on, until a verb begins; a process that was started to ignore it goes on to."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in the block, as Python does; after it, Ctrl-C just ends the process."""
    if signal.getsignal(signal.SIGINT) is not _leave:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not what the verb has set
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _leave(number: int, frame: FrameType | None) -> None:
    """End the process at once: an exception would be lost, or a traceback, in what is just being imported."""
    os.write(2, b"interrupted: nothing was changed\n")
    os._exit(EXIT_CODE)


def sentence(name: str, arguments: dict[str, object]) -> str:
    """Return what is true of a verb that was interrupted with these arguments."""
    from pathlib import Path

    from hf_embeddings.search.stores import is_store

    if name == "index" and is_store(str(arguments["folder"])):
        return COPY.format(**arguments)
    if name in KEPT_IN and not Path(KEPT_IN[name].format(**arguments)).exists():
        return "nothing was written yet"
    return SENTENCES[name].format(**arguments)
