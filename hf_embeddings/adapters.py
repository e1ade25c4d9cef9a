"""What PEFT adapts and saves: importing this module enters TriEmbed into PEFT's tables, as if PEFT knew it.

A module of its own, because importing PEFT takes seconds that nobody else should pay.
"""

from typing import Any

from torch import nn

try:
    from peft import MODEL_TYPE_TO_PEFT_MODEL_MAPPING, PeftConfig, PeftModel
    from peft.utils import constants
except ImportError:
    raise ImportError("hf_embeddings.adapters needs PEFT: pip install peft") from None

LOW_RANK_TARGETS = ["query", "value"]  # as in the LoRA paper (https://arxiv.org/abs/2106.09685) and for BERT in PEFT
RESCALED_TARGETS = ["key", "value", "down"]  # IA3 (https://arxiv.org/abs/2205.05638)
RESCALED_FEED_FORWARD = ["down"]
TASKS = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
SAVED_BY_PEFT = ("classifier", "score", "qa_outputs")  # for these tasks, whatever the model


class SavesNewModules(PeftModel):
    """Train and save what a checkpoint lacked, such as its pooler, beside the adapter: it began random.

    PEFT itself does so with last layers only, and a frozen, random pooler under one is another one after each reload.
    """

    def __init__(self, model: nn.Module, peft_config: PeftConfig, *args: Any, **kwargs: Any) -> None:
        new = [name for name in getattr(model, "new_modules", ()) if name.split(".")[-1] not in SAVED_BY_PEFT]
        if new and hasattr(peft_config, "modules_to_save"):
            modules = list(peft_config.modules_to_save or ())
            # Those that hold weights themselves: where it merges, PEFT reads the weight of each.
            names = [part for name in new if name not in modules for part in _with_weights(model, name)]
            peft_config.modules_to_save = modules + [name for name in names if name not in modules]
        super().__init__(model, peft_config, *args, **kwargs)


def _with_weights(model: nn.Module, name: str) -> list[str]:
    """Return the names of a module, or of its parts, that hold weights themselves, such as `pooler.dense`."""
    module = next(part for path, part in model.named_modules() if f".{path}".endswith(f".{name}"))
    parts = [path for path, part in module.named_modules() if [*part.parameters(recurse=False)]]
    return [f"{name}.{path}" if path else name for path in parts]


def _register() -> None:
    for name in dir(constants):
        if name.startswith("TRANSFORMERS_MODELS_TO_") and name.endswith("_MAPPING"):
            table = getattr(constants, name)
            if table.get("bert") == LOW_RANK_TARGETS:  # every method that adapts BERT there
                table["triembed"] = LOW_RANK_TARGETS
    constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING["triembed"] = RESCALED_TARGETS
    constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING["triembed"] = RESCALED_FEED_FORWARD
    for task in TASKS:
        kind = MODEL_TYPE_TO_PEFT_MODEL_MAPPING[task]
        if not issubclass(kind, SavesNewModules):  # PEFT compares names
            MODEL_TYPE_TO_PEFT_MODEL_MAPPING[task] = type(kind.__name__, (SavesNewModules, kind), {})


_register()
