"""What transformers prints while it loads and saves checkpoints, kept off the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger

from transformers.utils import logging

OURS = getLogger("hf_embeddings.model")


@contextmanager
def no_bars() -> Iterator[None]:
    """Keep transformers from drawing a progress bar for each checkpoint."""
    is_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if is_enabled:
            logging.enable_progress_bar()


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep off the reports of missing and unused weights too, its own and our model's, for callers that check them."""
    verbosity, level = logging.get_verbosity(), OURS.level
    logging.set_verbosity_error()
    OURS.setLevel(ERROR)
    try:
        with no_bars():
            yield
    finally:
        logging.set_verbosity(verbosity)
        OURS.setLevel(level)
