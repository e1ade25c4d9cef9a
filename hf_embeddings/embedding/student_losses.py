"""What a student is trained on beside the losses of sentence-transformers: the states of its teacher's tokens.

Shapes: B texts, T tokens of all of them, D width of the teacher, d of the student.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize
from torch import nn

from hf_embeddings.embedding.sentence_model import PackedTransformer


@dataclass(frozen=True)
class Match:
    """Which states of the teacher those of the student are matched with."""

    states: list[int]  # for each of the student's, from the embedding sum on: number of the teacher's
    channels: torch.Tensor | None = None  # (d,) of the teacher's states but the last; None for all
    last: torch.Tensor | None = None  # (D, d) directions of the last states and of the vectors; None for all


class StatesLoss(nn.Module):
    """Squared error of hidden states and of vectors, each as a share of what a student of zeros would have.

    The last states, the vectors, and the mean over all other states count alike. Both models read the same tokens, so a
    text needs no label.
    """

    def __init__(self, student: SentenceTransformer, teacher: SentenceTransformer, match: Match) -> None:
        """Take both models; the teacher is not trained."""
        super().__init__()
        self.model, self.match = student, match
        self._teacher = [teacher.eval()]  # in a list: it is no part of what is trained or saved
        for model in (student, teacher):
            transformer: Any = model[0]
            assert isinstance(transformer, PackedTransformer), "opened by open_student"
            transformer.gives_states = True

    def forward(self, features: Iterable[dict[str, torch.Tensor]], labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return the loss of a batch of texts."""
        total, match = torch.zeros(()), self.match
        for inputs in features:
            with torch.no_grad():
                wanted: Any = self._teacher[0](dict(inputs))
            found: Any = self.model(dict(inputs))
            *inner, last = found["layer_states"]  # (T, d) each
            targets = [wanted["layer_states"][number] for number in match.states]  # (T, D) each
            shares = [
                _share(state, target if match.channels is None else target[:, match.channels])
                for state, target in zip(inner, targets, strict=False)
            ]
            vectors = _along(wanted["sentence_embedding"], match.last)
            if any(isinstance(module, Normalize) for module in self.model):  # as its own are
                vectors = nn.functional.normalize(vectors)
            total = total + torch.stack(shares).mean() + _share(last, _along(targets[-1], match.last))
            total = total + _share(found["sentence_embedding"], vectors)
        return total


def _along(states: torch.Tensor, directions: torch.Tensor | None) -> torch.Tensor:
    return states if directions is None else states.float() @ directions


def _share(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    wanted = wanted.float()
    return (found.float() - wanted).square().mean() / wanted.square().mean()
