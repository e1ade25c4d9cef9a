"""What a run that goes on from a checkpoint takes over from its directory, and what it has to leave."""

import shutil
from pathlib import Path

from hf_embeddings.file_names import GENERATOR
from hf_embeddings.files.links import refuse_links_out
from hf_embeddings.loading.card_metadata import LICENSE, read_metadata
from hf_embeddings.loading.sentence_models import RERANKER, sentence_class, sentence_files
from hf_embeddings.loading.stored_weights import open_weights
from hf_embeddings.model.discriminators import is_discriminator
from hf_embeddings.pretraining.architecture import is_checkpoint, read_architecture
from hf_embeddings.pretraining.training.objectives import OBJECTIVES, PARTS
from hf_embeddings.records.run import BaseCheckpoint

KEPT = ("triembed", "embeddings", "layers", "final_norm")  # parts of names of weights of the encoder


def read_base_checkpoint(base: Path, *, detects: bool) -> BaseCheckpoint:
    """Look into the directory of the checkpoint `base`, at names and not at values.

    Args:
        base: the directory.
        detects: whether the run trains a discriminator, or a model that predicts.

    Raises:
        ValueError: its modules.json is damaged.
    """
    modules = {part for name in _weights(base) for part in name.removeprefix("triembed.").split(".")[:1]}
    modules |= {GENERATOR} if is_checkpoint(base / GENERATOR) else set()
    pair = PARTS["rtd"]
    parts = [name for name in OBJECTIVES if (name in pair) == detects]
    heads = dict.fromkeys(module for name in parts for module in OBJECTIVES[name].modules)
    if detects and not is_discriminator(read_architecture(base)):  # its classifier is one of something else
        modules = {f"its {name}" if name in ("transform", "classifier") else name for name in modules}
    card = read_metadata(base / "README.md")
    left = sorted(modules - {*heads, *KEPT})
    files = sentence_files(base)
    if sentence_class(base) == RERANKER:  # its scores come from the classifier, which is left
        left, files = [*left, *files], []
    return BaseCheckpoint(
        name=base.resolve().name,
        card={key: card[key] for key in (*LICENSE, "base_model") if card.get(key)},
        new_modules=[name for name in heads if name not in modules],
        carried=files,
        left=left,
    )


def carry(base: Path, folder: Path, beginning: BaseCheckpoint | None) -> None:
    """Copy what stays of the files of `base` into the directory of the finished model.

    Raises:
        ValueError: one of them is a link out of `base`.
    """
    names = beginning.carried if beginning else []
    refuse_links_out(base, names)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(base / name, folder / name)


def lines(beginning: BaseCheckpoint) -> list[str]:
    """Return what to say of it when the run starts."""
    sentences = []
    if beginning.new_modules:
        sentences.append(f"note: {beginning.name} has no {', '.join(beginning.new_modules)}: random at first")
    if beginning.carried:
        sentences.append(
            f"carried over from {beginning.name}: {', '.join(beginning.carried)}; the result loads in "
            "sentence-transformers, but this training is for words, not for sentence vectors: compare both with "
            "hf-embeddings evaluate"
        )
    if beginning.left:
        sentences.append(f"note: not carried over from {beginning.name}: {', '.join(beginning.left)}")
    return sentences


def _weights(folder: Path) -> list[str]:
    names: list[str] = []
    for path in sorted(folder.glob("*.safetensors")):
        with open_weights(path) as file:
            names += list(file.keys())
    return names
