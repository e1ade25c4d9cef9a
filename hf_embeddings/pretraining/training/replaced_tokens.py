"""Replaced-token detection (ELECTRA, https://arxiv.org/abs/2003.10555): a generator and its discriminator.

The generator, a small masked language model, predicts the masked tokens. One token is drawn from each prediction,
without gradient, and stands in the place of the masked one. The discriminator tells of every token that is no padding,
special tokens included as in the paper's code, whether it is the original; one that the generator guessed right is.

Both are trained in the same step on the sum of their losses. The token table of the discriminator may be that of the
generator without gradient to it plus a difference of its own (gradient-disentangled sharing, GDES,
https://arxiv.org/abs/2111.09543); the tables of positions and segments are not shared.

Shapes: T tokens of a row, M masked tokens, V vocabulary.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.utils import ModelOutput

from hf_embeddings.file_names import DIFFERENCE, GENERATOR, WEIGHTS
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.linear_cross_entropy import SCORES_AT_A_TIME
from hf_embeddings.model.modeling_triembed import TriEmbedForMaskedLM, TriEmbedForTokenClassification
from hf_embeddings.pretraining.examples.batches import IGNORED
from hf_embeddings.pretraining.options import GeneratorOptions
from hf_embeddings.pretraining.training.generator_config import generator_config

TABLE = "triembed.embeddings.token.weight"
Tensors = dict[str, torch.Tensor]


@dataclass
class DetectionOutput(ModelOutput):
    """What a forward pass of `ReplacedTokenDetection` returns."""

    loss: torch.Tensor | None = None  # () cross-entropy of the generator, summed over the labels
    prediction_logits: torch.Tensor | None = None  # (M, V) of the generator; None with `skip_logits`
    detection_logits: torch.Tensor | None = None  # (T, 2): 0 and the score of the discriminator
    replaced: torch.Tensor | None = None  # (T,) 1 where the token is not the original, IGNORED in the padding


class ReplacedTokenDetection(nn.Module):
    """A generator and its discriminator, trained as one model and saved as two.

    While it is trained, the token table of the discriminator holds the difference to that of the generator where
    `embeddings` is "disentangled", and is that of the generator where it is "shared".
    """

    def __init__(self, config: TriEmbedConfig, options: GeneratorOptions) -> None:
        """Build both at random; `config` is that of the discriminator."""
        super().__init__()
        self.config, self.embeddings = config, options.embeddings
        self.generator = TriEmbedForMaskedLM(generator_config(config, options))
        self.discriminator = TriEmbedForTokenClassification(config)
        self.bind_tables()

    @torch.no_grad()
    def bind_tables(self) -> None:
        """Let the discriminator begin with the token table of the generator, unless it has one of its own."""
        if self.embeddings == "disentangled":
            self.discriminator.triembed.embeddings.token.weight.zero_()
        elif self.embeddings == "shared":
            self.discriminator.set_input_embeddings(self.generator.get_input_embeddings())

    def forward(
        self,
        input_ids: torch.Tensor,
        *,
        labels: torch.Tensor,
        masked_lm_positions: torch.Tensor,
        real_tokens: int,
        skip_logits: bool = False,
        **inputs: Any,
    ) -> DetectionOutput:
        """Predict the masked tokens, replace them, and score all.

        What is drawn depends on the state of torch's generator in training, on the batch alone in evaluation.

        Args:
            input_ids: (1, T) with the masks; documents one after the other, padding at the end.
            labels: (M,) original ids of the masked tokens, IGNORED to skip.
            masked_lm_positions: (M,) their indices into the T tokens.
            real_tokens: tokens that are no padding.
            skip_logits: return no `prediction_logits`.
            inputs: what else both models read: segments, positions, boundaries.
        """
        hidden = self.generator.triembed(input_ids, **inputs).last_hidden_state
        head = self.generator.predictions
        loss = head(hidden, masked_lm_positions, labels=labels, num_items_in_batch=1)
        is_asked = labels != IGNORED
        places, answers = masked_lm_positions[is_asked], labels[is_asked]
        original = input_ids.flatten().index_put((places,), answers)
        seed = None if self.training else int(input_ids.sum())
        shown = original.index_put((places,), self._drawn(hidden, places, seed))
        replaced = (shown != original).long()
        replaced[real_tokens:] = IGNORED
        scores = self._detect(shown.view_as(input_ids), **inputs)
        return DetectionOutput(
            loss=loss,
            prediction_logits=None if skip_logits else head(hidden, masked_lm_positions),
            detection_logits=torch.stack((torch.zeros_like(scores), scores), dim=-1),
            replaced=replaced,
        )

    @torch.no_grad()
    def _drawn(self, hidden: torch.Tensor, places: torch.Tensor, seed: int | None) -> torch.Tensor:
        """Draw a token from the generator's softmax for each place, (M,), as many at a time as scores may be held."""
        source = None if seed is None else torch.Generator(hidden.device).manual_seed(seed)
        tokens = [places.new_empty(0)]
        for part in places.split(max(1, SCORES_AT_A_TIME // self.config.vocab_size)):
            scores = self.generator.predictions(hidden, part)
            exact = torch.promote_types(scores.dtype, torch.float32)
            sums = scores.to(exact).softmax(dim=-1).cumsum(dim=-1)
            draws = torch.rand(len(part), 1, dtype=exact, device=scores.device, generator=source) * sums[:, -1:]
            tokens.append(torch.searchsorted(sums, draws, right=True).flatten())
        return torch.cat(tokens).clamp(max=self.config.vocab_size - 1)

    def _detect(self, ids: torch.Tensor, **inputs: Any) -> torch.Tensor:
        """Return the score (T,) by which each token looks replaced; no dropout stands before it, as in the paper."""
        rows = self.discriminator.get_input_embeddings()(ids)
        if self.embeddings == "disentangled":
            rows = self.generator.get_input_embeddings()(ids).detach() + rows
        states = self.discriminator.triembed(inputs_embeds=rows, **inputs).last_hidden_state
        return self.discriminator.classifier(self.discriminator.transform(states)).flatten()

    # What a run asks of its model.

    @property
    def all_tied_weights_keys(self) -> dict[str, str]:
        """Names of weights that are another one, which is saved."""
        tied = {f"generator.{k}": f"generator.{v}" for k, v in self.generator.all_tied_weights_keys.items()}
        shared = {f"discriminator.{TABLE}": f"generator.{TABLE}"} if self.embeddings == "shared" else {}
        return tied | shared

    def num_parameters(self) -> int:
        """Return the number of parameters of the discriminator, which is the model that a run makes."""
        return int(self.discriminator.num_parameters())

    def set_attn_implementation(self, kernel: str) -> None:
        """Choose the attention kernel of both."""
        for model in (self.generator, self.discriminator):
            model.set_attn_implementation(kernel)

    def gradient_checkpointing_enable(self) -> None:
        """Recompute the activations of both in the backward pass."""
        for model in (self.generator, self.discriminator):
            model.gradient_checkpointing_enable()

    def save_pretrained(self, folder: Path, *, state_dict: Tensors) -> None:
        """Write the discriminator, as a model that needs nothing else, and the generator beside it.

        Args:
            folder: that receives them.
            state_dict: the weights, whole, but for tied ones.
        """
        generator, discriminator = (_below(name, state_dict) for name in ("generator.", "discriminator."))
        if self.embeddings == "disentangled":
            difference = discriminator[TABLE]
            save_file({"difference": difference.contiguous()}, folder / DIFFERENCE, metadata={"format": "pt"})
            discriminator[TABLE] = generator[TABLE] + difference
        discriminator.setdefault(TABLE, generator[TABLE])
        self.discriminator.save_pretrained(folder, state_dict=discriminator)
        self.generator.save_pretrained(folder / GENERATOR, state_dict=generator)

    def stored_weights(self, folder: Path) -> Tensors:
        """Return the weights that `save_pretrained` wrote, under the names of this model."""
        discriminator, generator = load_file(folder / WEIGHTS), load_file(folder / GENERATOR / WEIGHTS)
        if self.embeddings == "disentangled":  # the sum does not tell it exactly
            discriminator[TABLE] = load_file(folder / DIFFERENCE)["difference"]
        if self.embeddings == "shared":
            del discriminator[TABLE]
        named = {f"discriminator.{name}": tensor for name, tensor in discriminator.items()}
        return named | {f"generator.{name}": tensor for name, tensor in generator.items()}


def _below(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
