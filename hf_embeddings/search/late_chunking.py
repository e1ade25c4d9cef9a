"""Late chunking: a document is encoded whole, and each passage is pooled from the states of its own tokens.

So a passage knows what its document is about (https://arxiv.org/abs/2409.04701). A document beyond the trained length
is read in overlapping windows; a token has its state from the first window that holds it, as in the paper's
algorithm 2.

Shapes: N passages, R rows (windows), T tokens of a batch of them, D hidden.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from hf_embeddings.search.batches import batches
from hf_embeddings.search.encoder import Encoder

OVERLAP = 4  # a window shares one of so many parts with the one before


class PassageSpan(NamedTuple):
    """A passage as characters `begin` to `end` of its document, which the parts beside it share."""

    document: str
    begin: int
    end: int


Text = str | PassageSpan


class ModelInput(NamedTuple):
    """What the model reads at once."""

    ids: list[int]
    owners: np.ndarray  # (tokens,) number of the passage that a token's state belongs to; -1 for none


def encode_passages(
    encoder: Encoder, texts: Sequence[Text], progress: Callable[[float], None] | None = None
) -> np.ndarray:
    """Return the vectors (N, D) of texts and of parts of documents, in their order."""
    vectors = np.empty((len(texts), encoder.dimension), np.float32)
    alone = [place for place, text in enumerate(texts) if isinstance(text, str)]
    vectors[alone] = encoder.encode([str(texts[place]) for place in alone], prompt="document", progress=progress)
    parts = [(place, text) for place, text in enumerate(texts) if isinstance(text, PassageSpan)]
    if parts:
        found = encode_parts(encoder, [part for _, part in parts], progress)
        vectors[[place for place, _ in parts]] = found
    return vectors


@torch.inference_mode()
def encode_parts(
    encoder: Encoder, parts: Sequence[PassageSpan], progress: Callable[[float], None] | None = None
) -> np.ndarray:
    """Return the vectors (N, D) of parts; those of one document stand side by side in the order of their characters."""
    rows: list[ModelInput] = []
    first = 0
    for members in _by_document(parts):
        rows += _rows(encoder, members, first)
        first += len(members)
    is_mean = encoder.recipe.pooling == "mean"
    pooled = torch.full((len(parts), encoder.model.config.hidden_size), 0.0 if is_mean else -torch.inf)
    lengths = np.array([len(row.ids) for row in rows])
    order = np.argsort(-lengths, kind="stable")
    for batch in batches(order, lengths, encoder.tokens_per_batch, alike=encoder.alike):
        hidden, _ = encoder.hidden_states([rows[i].ids for i in batch])  # (T, D)
        owners = torch.from_numpy(np.concatenate([rows[i].owners for i in batch]))
        states, owners = hidden.float().cpu()[owners >= 0], owners[owners >= 0]
        if is_mean:
            pooled.index_add_(0, owners, states)
        else:
            pooled.scatter_reduce_(0, owners[:, None].expand_as(states), states, "amax")
        if progress is not None:
            progress(len(parts) * len(batch) / len(rows))
    if is_mean:
        counts = torch.from_numpy(np.bincount(np.concatenate([row.owners[row.owners >= 0] for row in rows])))
        pooled /= counts[:, None]
    return encoder.scale(pooled).numpy()


def _by_document(parts: Sequence[PassageSpan]) -> Iterator[list[PassageSpan]]:
    members: list[PassageSpan] = []
    for part in parts:
        if members and (part.document is not members[-1].document or part.begin <= members[-1].begin):
            yield members
            members = []
        members.append(part)
    if members:
        yield members


def _rows(encoder: Encoder, parts: Sequence[PassageSpan], first: int) -> list[ModelInput]:
    """Return the windows of a document; its parts have the numbers from `first` on."""
    prefix = encoder.prefix("document")
    backend = encoder.tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    encoding = backend.encode(prefix + parts[0].document)
    special = np.array(encoding.special_tokens_mask, bool)
    inner = np.flatnonzero(~special)
    before, after = (inner[0], len(special) - inner[-1] - 1) if len(inner) else (len(special), 0)
    every, starts = np.array(encoding.ids), np.array([start for start, _ in encoding.offsets])
    until = len(special) - after
    head, tail = every[:before].tolist(), every[until:].tolist()
    ids, starts = every[before:until], starts[before:until]
    owners = _owners(starts - len(prefix), parts) + first
    if prefix and not encoder.recipe.include_prompt:
        owners[starts < len(prefix)] = -1
    room = encoder.max_length - before - after
    step = room - room // OVERLAP
    rows = []
    for begin in range(0, max(1, len(ids) - room + step), step):
        window = slice(begin, begin + room)
        own = owners[window].copy()
        if begin:
            own[: room - step] = -1  # the window before has read these
        # What stands around the document belongs to its first and its last passage, as in ordinary encoding.
        heads = first if begin == 0 and (encoder.recipe.include_prompt or not prefix) else -1
        tails = first + len(parts) - 1 if begin + room >= len(ids) else -1
        framed = np.concatenate((np.full(before, heads), own, np.full(after, tails)))
        rows.append(ModelInput([*head, *ids[window].tolist(), *tail], framed))
    return rows


def _owners(starts: np.ndarray, parts: Sequence[PassageSpan]) -> np.ndarray:
    """Return for each token, by its first character, the number of the part that it belongs to; each part has one."""
    owners = np.searchsorted([part.begin for part in parts[1:]], starts, side="right")
    if len(np.unique(owners)) < len(parts):  # a passage of characters that the tokenizer drops
        for number in range(len(parts)):
            if not (owners == number).any() and len(owners):
                owners[min(int(np.searchsorted(owners, number)), len(owners) - 1)] = number
    return owners
