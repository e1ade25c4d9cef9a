"""What a finished run leaves: a directory that loads as SentenceTransformer, sealed by a manifest."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from sentence_transformers import SentenceTransformer

from hf_embeddings.file_names import CHECKPOINTS, WEIGHTS
from hf_embeddings.files.atomic import fsync_directory
from hf_embeddings.files.manifest import check_manifest, seal_directory
from hf_embeddings.files.modes import as_umask_says
from hf_embeddings.pretraining.checkpoints.finished_model import STAGED


def stage(model: SentenceTransformer, checkpoint: Path, folder: Path) -> Path:
    """Save the model of a checkpoint beside its place, and return where."""
    staging = folder / STAGED
    shutil.rmtree(staging, ignore_errors=True)
    model.save(str(staging), create_model_card=False)
    shutil.copyfile(checkpoint / WEIGHTS, staging / WEIGHTS)  # the same weights, and the same file
    return staging


def publish_stage(
    staging: Path, checkpoint: Path, folder: Path, records: dict[str, str], finish: Callable[[Path], object] | None
) -> None:
    """Move what was staged into the output directory, and seal it.

    What is interrupted is done again when the run is started again.

    Args:
        staging: what `stage` returned.
        checkpoint: the last one.
        folder: the output directory.
        records: further files, by name.
        finish: called with the folder when all but the manifest is there.
    """
    for name, text in records.items():
        (staging / name).write_text(text, encoding="utf-8", newline="\n")
    as_umask_says(staging)
    files = []
    for path in sorted(staging.iterdir()):
        target = folder / path.name
        if path.is_dir():
            assert path.name != CHECKPOINTS, "modules have names of their own"
            shutil.rmtree(target, ignore_errors=True)
        else:
            files.append(path.name)
        os.replace(path, target)
    staging.rmdir()
    if finish:
        finish(folder)
    fsync_directory(folder)
    seal_directory(folder, {"checkpoint": checkpoint.name, "step": check_manifest(checkpoint).facts["step"]}, files)
