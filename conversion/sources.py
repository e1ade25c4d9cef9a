"""What a user names as a source: a directory of transformers or of sentence-transformers, a Hub id, or TensorFlow's."""

from dataclasses import dataclass
from pathlib import Path

from hf_embeddings.conversion.checkpoints import TensorReader, open_checkpoint, read_json_object
from hf_embeddings.conversion.families.google_bert import find_prefix, open_google
from hf_embeddings.conversion.family import Family
from hf_embeddings.conversion.rules import Config, ConversionError
from hf_embeddings.files.reading import not_a_directory
from hf_embeddings.loading.model_names import fetch, is_hub_id
from hf_embeddings.loading.sentence_models import encoder_folder

FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.bin", "*.bpe.codes", "README.md")
MODULE_FILES = tuple(f"*/{pattern}" for pattern in FILES)  # of sentence-transformers: 0_Transformer/, 1_Pooling/
LEFT_BEHIND = ("onnx/*", "openvino/*", "coreml/*", "checkpoint-*")


@dataclass(frozen=True)
class Source:
    """An opened checkpoint: nothing but headers of its weights has been read."""

    folder: Path  # what it brings along: modules of sentence-transformers, the model card
    encoder: Path  # where config, weights and tokenizer lie: the folder, or one inside it
    config: Config
    checkpoint: TensorReader
    family: Family | None = None  # where the kind of file tells it
    vocabulary: Path | None = None  # of a TensorFlow checkpoint, which says nothing of its tokenizer


def open_source(source: str | Path, *, allow_pickle: bool = False, revision: str | None = None) -> Source:
    """Open a checkpoint, fetching a Hub repository's config, weights and tokenizer if need be.

    Raises:
        ConversionError: it is no checkpoint, or damaged, or a pickle that is not allowed.
    """
    if prefix := find_prefix(Path(source)):
        config, checkpoint, family = open_google(prefix)
        words = prefix.parent / "vocab.txt"
        return Source(prefix.parent, prefix.parent, config, checkpoint, family, words if words.is_file() else None)
    folder = locate(source, revision=revision)
    try:
        encoder = encoder_folder(folder)
    except ValueError as error:
        raise ConversionError(str(error)) from None
    path = encoder / "config.json"
    if not path.exists() and (encoder / "bert_config.json").exists():  # the name of Google's, beside PyTorch weights
        path = encoder / "bert_config.json"
    return Source(folder, encoder, read_json_object(path), open_checkpoint(encoder, allow_pickle=allow_pickle))


def locate(source: str | Path, *, revision: str | None = None) -> Path:
    """Return the directory of a checkpoint, fetching a Hub repository's files if need be.

    Raises:
        ConversionError: `source` is neither a directory nor a repository that can be reached.
    """
    path = Path(source)
    if path.is_dir():
        return path
    if not is_hub_id(str(source)):
        raise ConversionError(f"{source}: {not_a_directory(source)}, expected the directory of a checkpoint")
    try:
        return fetch(str(source), [*FILES, *MODULE_FILES], ignored=LEFT_BEHIND, revision=revision)
    except ValueError as error:
        raise ConversionError(str(error)) from None
