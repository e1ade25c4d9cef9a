"""Verification of what a run left: its checkpoints, and the finished model beside the checkpoint that it is from."""

from pathlib import Path

from hf_embeddings.file_names import AVERAGE, CHECKPOINTS, WEIGHTS
from hf_embeddings.files.manifest import MANIFEST, Damaged, check_manifest
from hf_embeddings.files.reading import not_a_directory
from hf_embeddings.pretraining.checkpoints.store import Checkpoints

WITH_SUMS = "a run, a checkpoint, a prepared corpus or an index, which hold the sums of their files"


def verify_run(folder: Path) -> dict[str, str]:
    """Return for each checkpoint and for the finished model what is wrong with it; nothing where it is whole.

    Raises:
        ValueError: there is nothing to verify.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: {not_a_directory(folder)}, expected {WITH_SUMS}; check the path")
    checkpoints = Checkpoints(folder / CHECKPOINTS if (folder / CHECKPOINTS).is_dir() else folder)
    findings = {checkpoints.path(step).name: _problem(checkpoints.path(step)) for step in checkpoints.steps()}
    if checkpoints.folder == folder and not findings:
        findings[folder.name] = _problem(folder)
        if not (folder / MANIFEST).exists():
            raise ValueError(f"{folder}: {_described(folder)}, without sums to compare it with; expected {WITH_SUMS}")
    elif (folder / MANIFEST).exists():
        findings["the finished model"] = _problem(folder, checkpoints)
    if not findings:
        raise ValueError(f"{folder}: the run has no checkpoint yet")
    return findings


def _described(folder: Path) -> str:
    """Return in words what a directory without a manifest is."""
    if (folder / "onnx").is_dir():
        return "an ONNX export"
    if any(folder.glob("*.safetensors")):
        return "a model directory"
    return f"no {MANIFEST} in it"


def _problem(folder: Path, checkpoints: Checkpoints | None = None) -> str:
    """Compare a directory with its manifest, and a finished model also with its checkpoint, if that is still there."""
    try:
        manifest = check_manifest(folder, exact=checkpoints is None)
        name = manifest.facts.get("checkpoint")
        if checkpoints is None:
            return ""
        if not isinstance(name, str):
            return f"{folder / MANIFEST}: not that of a finished model"
        if (origin := checkpoints.folder / name).is_dir():
            files = check_manifest(origin).files
            if files.get(AVERAGE, files[WEIGHTS]) != manifest.files[WEIGHTS]:
                return f"{folder / WEIGHTS}: not the weights of {name}"
    except Damaged as error:
        return str(error)
    return ""
