"""Text for a teacher and a student: rows, masks, and the hidden states that either makes of them.

Shapes: B batch, S sequence, R text tokens in a row (S without what stands around), N tokens of text, W windows, L
layers, D hidden.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.printable import counted

MASKED = 0.15  # share of tokens that are masked, in training and in measuring


@dataclass(frozen=True)
class Frame:
    """What a tokenizer puts around the text of a row, and its special ids."""

    first: tuple[int, ...]
    last: tuple[int, ...]
    special: tuple[int, ...]
    mask: int | None

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "Frame":
        """Read it off a tokenizer."""
        around = tokenizer("")["input_ids"]
        half = (len(around) + 1) // 2
        special = tuple(sorted(tokenizer.all_special_ids))
        return cls(tuple(around[:half]), tuple(around[half:]), special, tokenizer.mask_token_id)

    @property
    def size(self) -> int:
        """Return the number of tokens around the text."""
        return len(self.first) + len(self.last)

    def around(self, text: torch.Tensor) -> torch.Tensor:
        """Return rows (B, S) around text (B, R)."""
        first, last = (torch.tensor(ids, dtype=text.dtype).expand(len(text), -1) for ids in (self.first, self.last))
        return torch.cat((first, text, last), dim=1)

    def places(self, is_chosen: torch.Tensor) -> torch.Tensor:
        """Return where the chosen text tokens (B, R) stand in the flattened rows: (M,)."""
        return nn.functional.pad(is_chosen, (len(self.first), len(self.last))).flatten().nonzero().flatten()


def tokens_of(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, *, most: int, least: int, name: str = "corpus"
) -> torch.Tensor:
    """Return the first `most` token ids (N,) of texts; `name` is what an error calls the texts.

    Raises:
        ConversionError: there are fewer than `least`.
    """
    ids: list[int] = []
    for text in texts:
        ids += tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if len(ids) >= most:
            break
    if len(ids) < least:
        raise ConversionError(f"{name}: {counted(len(ids), 'token')}, which fill no row of {least}; give more text")
    return torch.tensor(ids[:most])


def mask(text: torch.Tensor, frame: Frame, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return text with 15 % of the tokens replaced by [MASK], and which ones; none of them is special."""
    is_chosen = (torch.rand(text.shape, generator=generator) < MASKED) & ~torch.isin(text, torch.tensor(frame.special))
    return (text if frame.mask is None else text.masked_fill(is_chosen, frame.mask)), is_chosen


def windows_of(model: PreTrainedModel, frame: Frame, room: int) -> int:
    """Return in how many windows a model reads `room` text tokens."""
    return -(-room // (model.config.max_position_embeddings - frame.size))


def states_of(model: PreTrainedModel, text: torch.Tensor, frame: Frame, windows: int = 1) -> torch.Tensor:
    """Return the hidden states after each layer (L, B, S, D) of rows around text (B, R).

    With several windows, each becomes a row of its own; what stands around them is averaged over the windows.
    """
    outputs = model.base_model(frame.around(text.reshape(len(text) * windows, -1)), output_hidden_states=True)
    states = torch.stack((*outputs.hidden_states[1:-1], outputs.last_hidden_state))
    if windows == 1:
        return states
    parts = states.unflatten(1, (len(text), windows))  # (L, B, W, S / W, D)
    first, inner, last = parts.split((len(frame.first), text.shape[1] // windows, len(frame.last)), dim=3)
    return torch.cat((first.mean(dim=2), inner.flatten(2, 3), last.mean(dim=2)), dim=2)
