"""What a checkpoint of `embed` and the run that goes on from it must agree on: options, rows, and where it began."""

import json
from collections.abc import Mapping
from pathlib import Path

from hf_embeddings.embedding.options import EmbeddingOptions
from hf_embeddings.file_names import WEIGHTS
from hf_embeddings.files.manifest import read_manifest, sha256
from hf_embeddings.typed_yaml.fields import to_dict

FREE = ("output_dir", "training.evaluation_steps", "checkpoints.", "card.")  # options that change no weight


def identity(options: EmbeddingOptions, rows: str, precision: str) -> dict[str, object]:
    """Return everything that a checkpoint and the run that goes on from it must agree on."""
    flat = {name: value for name, value in _flat(to_dict(options)).items() if not name.startswith(FREE)}
    base = sha256(Path(options.encoder.base) / WEIGHTS) if (Path(options.encoder.base) / WEIGHTS).is_file() else ""
    return flat | {"training.mixed_precision": precision, "rows": rows, "weights of encoder.base": base}


def changes_since(source: Path, now: Mapping[str, object], *, allow_changes: bool) -> str:
    """Return in words what has changed since a checkpoint.

    Raises:
        ValueError: something has, and that is not allowed; or it is a checkpoint of another kind.
    """
    before = read_manifest(source).facts.get("identity")
    if not isinstance(before, Mapping) or "rows" not in before:
        raise ValueError(f"{source}: no checkpoint of `hf-embeddings embed`; choose another output_dir")
    names = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    changes = ", ".join(f"{name} {_brief(before.get(name))} -> {_brief(now.get(name))}" for name in names)
    if changes and not allow_changes:
        raise ValueError(
            f"the checkpoint and this run differ (checkpoint -> now): {changes}; give the old values, accept the new "
            "ones by --allow-changes, or start over in another output_dir"
        )
    return changes


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:12]}...{text[-4:]}"
