"""What a finished run leaves: the model of its last checkpoint, options and figures, sealed by a manifest."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from hf_embeddings.file_names import AVERAGE, NOT_OF_THE_MODEL, WEIGHTS
from hf_embeddings.files.manifest import Damaged, check_manifest, read_manifest, seal_directory

STAGED = ".tmp-export"


def write_finished_model(
    checkpoint: Path, folder: Path, records: dict[str, str], *, finish: Callable[[Path], object] | None = None
) -> None:
    """Put the finished model into `folder`; what is interrupted is done again when the run is started again.

    Args:
        checkpoint: the last one; its weights, or their average where there is one, are copied.
        folder: the output directory.
        records: further files, by name.
        finish: called with the folder when all but the manifest is there.
    """
    staging = folder / STAGED
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    for name in read_manifest(checkpoint).files:
        if name not in NOT_OF_THE_MODEL:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkpoint / name, staging / name)
    if (checkpoint / AVERAGE).exists():
        shutil.copyfile(checkpoint / AVERAGE, staging / WEIGHTS)
    for name, text in records.items():
        (staging / name).write_text(text, encoding="utf-8", newline="\n")
    names = sorted(path.relative_to(staging).as_posix() for path in staging.rglob("*") if path.is_file())
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staging / name, folder / name)
    shutil.rmtree(staging)
    if finish:
        finish(folder)
    seal_directory(folder, {"checkpoint": checkpoint.name, "step": check_manifest(checkpoint).facts["step"]}, names)


def is_exported(folder: Path, checkpoint: Path) -> bool:
    """Tell whether the folder holds the whole model of this checkpoint."""
    try:
        return bool(check_manifest(folder, exact=False).facts.get("checkpoint") == checkpoint.name)
    except Damaged:
        return False
