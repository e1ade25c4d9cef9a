"""What a finished run leaves: weights, code, tokenizer, options and figures."""

import json
from pathlib import Path

from hf_embeddings.pretraining.options import PretrainingOptions


def export(
    model,
    tokenizer,
    options: PretrainingOptions,
    figures: dict[str, object],
    statistics: dict[str, int],
    folder: Path,
    options_text: str,
) -> None:
    """Write everything a user of the checkpoint needs into `folder`."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "pretraining.yaml").write_text(options_text, encoding="utf-8")
    (folder / "pretraining.json").write_text(json.dumps(figures | {"corpus": statistics}, indent=2) + "\n")
