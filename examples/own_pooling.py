"""A pooling of your own: a text is the sum of its tokens, weighted by attention that is trained.

python examples/own_pooling.py --model runs/demo
"""

import argparse

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

from hf_embeddings import TriEmbedConfig, TriEmbedModel, TriEmbedPreTrainedModel


class TriEmbedWithAttentionPooling(TriEmbedPreTrainedModel):
    """Classify (B, S) tokens by a weighted sum of their states."""

    def __init__(self, config: TriEmbedConfig) -> None:
        super().__init__(config)
        self.triembed = TriEmbedModel(config, add_pooling_layer=False)
        self.weigh = nn.Linear(config.hidden_size, 1)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def pool(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **kwargs: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (B, D) of the texts; padding has no weight."""
        states = self.triembed(input_ids, attention_mask, **kwargs).last_hidden_state  # (B, S, D)
        scores = self.weigh(states).masked_fill(attention_mask[..., None] == 0, -torch.inf)
        return (states * scores.softmax(dim=1)).sum(dim=1)

    def forward(self, input_ids, attention_mask, labels=None, **kwargs) -> SequenceClassifierOutput:  # noqa: ANN001, ANN003
        """Return logits (B, L) and, with labels (B,), the loss."""
        logits = self.classifier(self.pool(input_ids, attention_mask, **kwargs))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss, logits)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Load an encoder under the pooling and name what is new.")
    parser.add_argument("--model", required=True, help="a checkpoint")
    model = TriEmbedWithAttentionPooling.from_pretrained(parser.parse_args().model)
    print("new:", ", ".join(model.new_modules))  # noqa: T201
