"""Default layers for PEFT: importing this module enters TriEmbed into PEFT's tables, as if PEFT knew it.

A module of its own, because importing PEFT takes seconds that nobody else should pay.
"""

try:
    from peft.utils import constants
except ImportError:
    raise ImportError("hf_embeddings.adapters needs PEFT: pip install peft") from None

LOW_RANK_TARGETS = ["query", "value"]  # as in the LoRA paper (https://arxiv.org/abs/2106.09685) and for BERT in PEFT
RESCALED_TARGETS = ["key", "value", "down"]  # IA3 (https://arxiv.org/abs/2205.05638)
RESCALED_FEED_FORWARD = ["down"]


def _register() -> None:
    for name in dir(constants):
        if name.startswith("TRANSFORMERS_MODELS_TO_") and name.endswith("_MAPPING"):
            table = getattr(constants, name)
            if table.get("bert") == LOW_RANK_TARGETS:  # every method that adapts BERT there
                table["triembed"] = LOW_RANK_TARGETS
    constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING["triembed"] = RESCALED_TARGETS
    constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING["triembed"] = RESCALED_FEED_FORWARD


_register()
