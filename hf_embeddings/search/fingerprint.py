"""What a model directory holds that decides its vectors, as digests: weights, tokenizer, config."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from hf_embeddings.files.reading import open_file, read_object

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
)
# Keys of config.json that change when a model is saved again or published, and no vector with them.
_UNREAD = {"_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version"}
WEIGHTS = "weights_sha256"
_WORDS = {WEIGHTS: "weights", "tokenizer_sha256": "tokenizer", "config_sha256": "config.json"}
FINGERPRINTS = tuple(_WORDS)


def model_fingerprint(model: str) -> dict[str, str | None]:
    """Return the digests of a model directory by `FINGERPRINTS`; None for what it does not have, as of a Hub id."""
    folder = Path(model)
    weights = [*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("*_Dense/*.safetensors"))]
    tokenizer = sorted({path for name in _TOKENIZER_FILES for path in folder.glob(name)})
    digests = (_digest(weights), _digest(tokenizer), _config_digest(folder / "config.json"))
    return dict(zip(FINGERPRINTS, digests, strict=True))


def changed_part(model: str, before: Mapping[str, str | None]) -> str | None:
    """Return what of a model directory is no longer as it was, in words; None where all is.

    `before` is what `model_fingerprint` returned then, perhaps in a version that knew the weights only.
    """
    now = model_fingerprint(model)
    return next((word for name, word in _WORDS.items() if name in before and now[name] != before[name]), None)


def _digest(files: list[Path]) -> str | None:
    digest = hashlib.sha256()
    for file in files:
        with open_file(file) as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest() if files else None


def _config_digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    config = read_object(path)
    read = {name: value for name, value in config.items() if name not in _UNREAD}
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()
