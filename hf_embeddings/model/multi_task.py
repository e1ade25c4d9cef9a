"""Several tasks on one encoder: embeddings and layers are shared, each task has a head of its own, in one checkpoint.

Shapes: B batch, S sequence, D hidden, L labels of a task.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.utils import ModelOutput, can_return_tuple

# Some are imported only to be seen: older transformers copy just what this file itself imports next to a checkpoint.
from .attention import Attention  # noqa: F401
from .attention_plan import AttentionPlan  # noqa: F401
from .compat import record_outputs  # noqa: F401
from .configuration_triembed import TriEmbedConfig
from .discriminators import is_discriminator  # noqa: F401
from .documents import Documents  # noqa: F401
from .embeddings import EmbeddingParts  # noqa: F401
from .fused_attention import fused_attention  # noqa: F401
from .heads import SEQUENCE_LOSSES, classification_loss
from .kernels import folds_biases  # noqa: F401
from .layers import _down_bias  # noqa: F401
from .linear_cross_entropy import linear_cross_entropy  # noqa: F401
from .loaded_weights import check_loaded  # noqa: F401
from .modeling_triembed import TriEmbedModel, TriEmbedPreTrainedModel
from .norms import make_norm  # noqa: F401
from .packing import Group  # noqa: F401
from .padding import Tokens  # noqa: F401
from .placing import place  # noqa: F401
from .position_biases import AlibiPosition  # noqa: F401
from .position_contents import RelativeKeyScores  # noqa: F401
from .position_folds import UntiedPosition  # noqa: F401
from .position_paths import ContextAwarePosition  # noqa: F401
from .position_rotations import RotaryPosition  # noqa: F401
from .position_sentences import BilevelPosition  # noqa: F401
from .position_signal import PositionSignal  # noqa: F401
from .position_tables import LearnedPosition  # noqa: F401
from .position_triangles import DualTrianglePosition  # noqa: F401
from .positions import Positions  # noqa: F401
from .recording import is_traced  # noqa: F401
from .relative_products import RelativeRows  # noqa: F401
from .resizing import resized  # noqa: F401
from .segments import find_segments  # noqa: F401


@dataclass
class MultiTaskOutput(ModelOutput):
    """What `TriEmbedForMultiTask` returns."""

    loss: torch.Tensor | None = None  # () sum over the tasks that have labels
    logits: dict[str, torch.Tensor] | None = None  # by task: (B, L), or (B, S, L) for a task on tokens
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class TriEmbedForMultiTask(TriEmbedPreTrainedModel):
    """One encoder with a linear head for each entry of `config.tasks`."""

    accepts_loss_kwargs = False  # the tasks have different numbers of labels: no single count is right for all

    def __init__(self, config: TriEmbedConfig) -> None:
        super().__init__(config)
        if not config.tasks:
            raise ValueError(
                "tasks: missing in the config; name the heads, as in "
                "tasks={'sentiment': {'problem_type': 'single_label_classification', 'num_labels': 2}}"
            )
        self.triembed = TriEmbedModel(config)
        self.dropout = nn.Dropout(
            config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        )
        self.heads = nn.ModuleDict(
            {
                name: nn.Linear(config.hidden_size, task["num_labels"])  # type: ignore[arg-type]  # the config has looked
                for name, task in config.tasks.items()
            }
        )
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: dict[str, torch.Tensor] | None = None,
        **kwargs: Any,
    ) -> MultiTaskOutput:
        """Score every task; the encoder runs once for all of them.

        Args:
            input_ids: as in `TriEmbedModel`, and so are the four that follow.
            attention_mask: see there.
            token_type_ids: see there.
            position_ids: see there.
            inputs_embeds: see there.
            labels: by task; (B,) or (B, S) for classes, (B, L) for several labels at once, (B,) numbers for a
                regression. A row without a label for a task has -100 there (NaN where labels are floats), so a batch
                may mix the data of all tasks.
            **kwargs: passed on to `TriEmbedModel`.
        """
        outputs = self.triembed(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, **kwargs)
        states = {"sequence": outputs.pooler_output, "token": outputs.last_hidden_state}
        tasks: dict[str, Any] = self.config.tasks or {}
        logits = {n: head(self.dropout(states[tasks[n].get("level", "sequence")])) for n, head in self.heads.items()}
        loss = None
        if labels is not None:
            losses = [
                _loss(tasks[name]["problem_type"], logits[name], task_labels) for name, task_labels in labels.items()
            ]
            loss = torch.stack(losses).sum()
        return MultiTaskOutput(loss, logits, outputs.hidden_states, outputs.attentions)


def _loss(problem_type: str, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    if problem_type == "single_label_classification":
        return classification_loss(logits, labels)
    labels = labels.float().reshape(logits.shape)
    is_labelled = ~labels.isnan().any(dim=-1)
    return SEQUENCE_LOSSES[problem_type](logits[is_labelled], labels[is_labelled])


# transformers has no Auto class for this; the name only makes save_pretrained copy this file next to the weights.
TriEmbedForMultiTask._auto_class = "AutoModelForMultiTask"
