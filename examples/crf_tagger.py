"""A head of your own: a tagger whose labels depend on their neighbours, a conditional random field (CRF).

    python examples/crf_tagger.py --model runs/demo

Derive from `TriEmbedPreTrainedModel`, call the encoder `self.triembed`, end with `post_init()`: loading, saving,
Trainer and adapters then work. A new head is named in `model.new_modules`; a checkpoint that lacks encoder weights is
refused.
"""

import argparse

import torch
from torch import nn
from transformers.modeling_outputs import TokenClassifierOutput

from hf_embeddings import TriEmbedConfig, TriEmbedModel, TriEmbedPreTrainedModel


class CRF(nn.Module):
    """Score sequences of labels: (B, S, L) scores of the labels, and of each pair of neighbours."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.pairs = nn.Embedding(labels, labels)  # a kind of module that transformers knows how to initialise

    def forward(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean negative log-likelihood () of (B, S) labels."""
        pairs = self.pairs(torch.arange(scores.shape[-1], device=scores.device))  # (L, L) from, to
        true = scores.gather(-1, labels[..., None]).sum() + pairs[labels[:, :-1], labels[:, 1:]].sum()
        paths = scores[:, 0]
        for step in scores.unbind(dim=1)[1:]:
            paths = torch.logsumexp(paths[:, :, None] + pairs, dim=1) + step  # (B, L)
        return (paths.logsumexp(dim=-1).sum() - true) / len(labels)


class TriEmbedForCRFTagging(TriEmbedPreTrainedModel):
    """An encoder with a CRF; labels (B, S) without gaps."""

    def __init__(self, config: TriEmbedConfig) -> None:
        super().__init__(config)
        self.triembed = TriEmbedModel(config, add_pooling_layer=False)
        self.scores, self.crf = nn.Linear(config.hidden_size, config.num_labels), CRF(config.num_labels)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, labels=None, **kwargs) -> TokenClassifierOutput:  # noqa: ANN001, ANN003
        """Return scores (B, S, L) and, with labels, the loss."""
        scores = self.scores(self.triembed(input_ids, attention_mask, **kwargs).last_hidden_state)
        return TokenClassifierOutput(None if labels is None else self.crf(scores, labels), scores)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Load an encoder into the tagger and name what is new.")
    parser.add_argument("--model", required=True, help="a checkpoint")
    model = TriEmbedForCRFTagging.from_pretrained(parser.parse_args().model)
    print("new:", ", ".join(model.new_modules))  # noqa: T201
