"""The output directory of a run: what may be emptied, and by which name."""

from pathlib import Path

import pytest

from hf_embeddings.pretraining.checkpoints.output_directory import OutputDirectory
from hf_embeddings.pretraining.options import CheckpointOptions


def directory(folder: Path, *, overwrite: bool) -> OutputDirectory:
    return OutputDirectory(folder, CheckpointOptions(), resume="auto", overwrite=overwrite, inputs={})


def test_a_run_is_resumed_through_a_link_but_never_emptied(tmp_path: Path) -> None:
    run, link = tmp_path / "run", tmp_path / "link"
    (run / "checkpoints").mkdir(parents=True)
    (run / "model.safetensors").touch()
    link.symlink_to(run)
    with pytest.raises(ValueError, match="link: is a link to .*; give the directory itself"):
        directory(link, overwrite=True).enter()
    assert (run / "model.safetensors").is_file()
    resumed = directory(link, overwrite=False)
    resumed.enter()
    resumed.create()
    resumed.close()
    assert (run / "model.safetensors").is_file()
