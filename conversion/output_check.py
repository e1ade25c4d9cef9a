"""Run source and target on the same tokens, and compare every number they put out."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedModel

from hf_embeddings.analysis.differences import largest, largest_difference
from hf_embeddings.conversion.companion_files import has_tokenizer
from hf_embeddings.conversion.rules import Config, ConversionError
from hf_embeddings.loading.auto_classes import open_tokenizer
from hf_embeddings.loading.messages import quiet_loading

TOLERANCE = 1e-5  # of the largest output, or absolute where all outputs are below 1
LENGTH = 48
OUTPUTS = {"sop_logits": "seq_relationship_logits"}  # what a family calls otherwise
TEXTS = (
    ("The token, the position and the segment are added up.", "Which of the three knows the order of the words?"),
    ("猫追狗，狗追猫：词相同，顺序不同。", "位置编码告诉模型先后。"),
    ("Die Katze jagt den Hund; der Hund jagt die Katze.", "Δύο προτάσεις, οι ίδιες λέξεις, другая мысль."),
)


@dataclass(frozen=True)
class OutputDifference:
    """The largest difference between two models, and the largest output it is to be seen beside."""

    largest: float
    output: str  # the output in which it occurs
    scale: float  # the largest absolute value of the source's outputs
    tokens: str  # "text" or "spread": where the token ids came from

    @property
    def tolerance(self) -> float:
        """The largest difference that counts as equal."""
        return TOLERANCE * max(1.0, self.scale)


def sample(
    folder: Path, config: transformers.PreTrainedConfig, *, choices: bool
) -> tuple[dict[str, torch.Tensor], str]:
    """Return a padded batch of real tokens, or of ids spread over the vocabulary where no tokenizer loads.

    Shapes are (B, S), or (1, B, S) with `choices`.
    """
    longest = min(LENGTH, config.max_position_embeddings)
    try:
        if not has_tokenizer([path.name for path in folder.iterdir()]):
            raise FileNotFoundError  # transformers would make one up, of special tokens
        tokenizer = open_tokenizer(folder)
        pairs = [list(texts) for texts in zip(*TEXTS, strict=True)]
        batch = dict(tokenizer(*pairs, padding=True, truncation=True, max_length=longest, return_tensors="pt"))
        if int(batch["input_ids"].max()) >= config.vocab_size or int(batch["attention_mask"].sum()) < 6:
            raise ValueError
        origin = "text"
    except Exception:  # a tokenizer that does not load is no fault of the weights
        ids = (torch.arange(3 * longest) * 7919 + 11) % config.vocab_size
        # Families that number positions by the ids would take a padding id inside a text for the end of it.
        ids = torch.where(ids == config.pad_token_id, (ids + 5) % config.vocab_size, ids)
        mask = torch.ones(3, longest, dtype=torch.long)
        mask[1, longest // 2 :] = 0
        batch = {"input_ids": ids.view(3, longest), "attention_mask": mask}
        origin = "spread"
    batch["input_ids"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, config.pad_token_id or 0)
    batch.pop("token_type_ids", None)
    if (getattr(config, "type_vocab_size", 0) or 0) > 1:
        batch["token_type_ids"] = (torch.arange(batch["input_ids"].shape[1]) % 2).expand_as(batch["input_ids"]).clone()
    return {name: tensor[None] if choices else tensor for name, tensor in batch.items()}, origin


def load(model_class: type[PreTrainedModel], folder: Path) -> PreTrainedModel:
    """Load a model in fp32 with plain attention.

    Raises:
        ConversionError: transformers finds weights missing or left over.
    """
    return _loaded(model_class, folder)


def build_reference(
    model_class: type[PreTrainedModel], config: Config, weights: Mapping[str, torch.Tensor]
) -> PreTrainedModel:
    """Return a model of transformers with these weights, in fp32 with plain attention.

    It does not see weights that its class does not have.

    Raises:
        ConversionError: transformers refuses the config, or finds weights missing.
    """
    settings = {key: value for key, value in config.items() if key not in ("model_type", "auto_map", "dtype")}
    config_class: Any = model_class.config_class
    try:
        with quiet_loading():
            reference_config = config_class.from_dict(settings)
    except (ValueError, TypeError, AttributeError, KeyError, StrictDataclassError) as error:
        raise ConversionError(f"config: {config_class.__name__} refuses it ({' '.join(str(error).split())})") from None
    try:
        return _loaded(model_class, None, config=reference_config, state_dict=dict(weights))
    except RuntimeError as error:  # other shapes than the config says
        raise ConversionError(
            f"weights: {model_class.__name__} refuses them ({' '.join(str(error).split())})"
        ) from None


def _loaded(model_class: type[PreTrainedModel], folder: Path | None, **options: Any) -> PreTrainedModel:
    with quiet_loading():
        result: Any = model_class.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
            local_files_only=True,
            **options,
        )
    model, info = result
    missing = [key for key in info["missing_keys"] if "pooler" not in key]
    if unusable_keys := [*missing, *sorted(info["mismatched_keys"])]:
        raise ConversionError(
            f"{folder or 'the source'}: {model_class.__name__} finds no usable {unusable_keys[0]} "
            f"({len(unusable_keys)} in all)"
        )
    if len(missing) < len(info["missing_keys"]) and getattr(model, "pooler", None) is not None:
        model.pooler = None  # it would be random
    return model


def outputs_of(make: Callable[[], torch.nn.Module], batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Make a model, run it, and return its outputs by name; the model is gone afterwards."""
    with torch.no_grad():
        outputs = make().eval()(**batch, output_hidden_states=True, return_dict=True)
    result = {}
    for own_name, value in outputs.items():
        name = OUTPUTS.get(own_name, own_name)
        for index, tensor in enumerate(value if isinstance(value, tuple) else [value]):
            if torch.is_tensor(tensor):
                result[f"{name}[{index}]" if isinstance(value, tuple) else name] = tensor.detach().clone()
    return result


def compare_outputs(
    theirs: dict[str, torch.Tensor], ours: dict[str, torch.Tensor], mask: torch.Tensor, tokens: str
) -> OutputDifference:
    """Return the largest difference over all outputs that both have, padding left out.

    Raises:
        ConversionError: an output has another shape, or the two have too little in common.
    """
    differences, sizes = {}, []
    shared_names = [name for name in theirs if name in ours]
    if not any(name.startswith("hidden_states") for name in shared_names) or len(shared_names) < 2:
        raise ConversionError(
            f"check: the models share only the outputs {shared_names}; expected logits and hidden states"
        )
    keep = mask.flatten(0, -2).bool()
    for name in shared_names:
        first, second = theirs[name], ours[name]
        if first.dim() != second.dim():  # a score for each token, with and without a dimension of one label
            first, second = (tensor.squeeze(-1) for tensor in (first, second))
        if first.shape != second.shape:
            raise ConversionError(f"check: {name} has shape {tuple(first.shape)} and {tuple(second.shape)}")
        if first.shape[:2] == keep.shape:
            first, second = first[keep], second[keep]
        sizes.append(first.abs().max().item())
        differences[name] = largest_difference(first.numpy(), second.numpy())
    worst = largest(differences.values())
    where = next(name for name, value in differences.items() if value == worst or math.isnan(value))
    return OutputDifference(worst, where, largest(sizes), tokens)
