"""Texts of similar length, put together into batches of a bounded number of tokens."""

from collections.abc import Iterator

import numpy as np


def batches(order: np.ndarray, lengths: np.ndarray, tokens: int, *, alike: bool) -> Iterator[np.ndarray]:
    """Cut texts sorted by falling length into batches of at most `tokens` tokens, padding counted, or of one text.

    With `alike` all texts of a batch have one length, so that there is no padding.
    """
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        size = max(1, tokens // max(1, longest))
        if alike:
            size = min(size, int((lengths[order[start : start + size]] == longest).sum()))
        yield order[start : start + size]
        start += size
