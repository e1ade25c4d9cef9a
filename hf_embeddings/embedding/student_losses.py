"""What a student is trained on beside the losses of sentence-transformers: the states of its teacher's tokens.

Shapes: B texts, S tokens of the longest, D width.
"""

from collections.abc import Iterable

import torch
from sentence_transformers import SentenceTransformer
from torch import nn


class StatesLoss(nn.Module):
    """Squared error of last hidden states and of vectors, each as a share of what a student of zeros would have.

    Both models read the same tokens, so a text needs no label.
    """

    def __init__(self, student: SentenceTransformer, teacher: SentenceTransformer) -> None:
        """Take both models; the teacher is not trained."""
        super().__init__()
        self.model = student
        self._teacher = [teacher.eval()]  # in a list: it is no part of what is trained or saved

    def forward(self, features: Iterable[dict[str, torch.Tensor]], labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return the loss of a batch of texts."""
        total = torch.zeros(())
        for inputs in features:
            with torch.no_grad():
                wanted = self._teacher[0](dict(inputs))
            found = self.model(dict(inputs))
            mask = inputs["attention_mask"].bool()  # (B, S)
            total = total + _share(found["token_embeddings"][mask], wanted["token_embeddings"][mask])
            total = total + _share(found["sentence_embedding"], wanted["sentence_embedding"])
        return total


def _share(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    wanted = wanted.float()
    return (found.float() - wanted).square().mean() / wanted.square().mean()
