"""A run with steps that are not finite."""

import json

import pytest
from safetensors.torch import load_file

from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from tests.faults.hooks import Spoil
from tests.faults.small_run import Run, settings, state


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_f9_what_is_not_finite_is_skipped(tmp_path, what, figures) -> None:
    folder = tmp_path / "run"
    run = Run(settings(folder, checkpoints__save_steps=8), before=Spoil(what, range(5, 7)))
    assert run.wait() == 0
    assert state(folder)["monitor"]["skipped"] == 2 and run.said().count("not finite; skipped") == 2
    assert all(tensor.isfinite().all() for tensor in load_file(folder / "model.safetensors").values())
    lines = (folder / "bad_steps.json").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [5, 6] and len(json.loads(lines[0])["samples"]) == 4
    figures(f"F9 two steps with a {what} that is not finite", skipped=2, weights_finite=True)


def test_f9_three_in_a_row_stop_the_run_without_damage(tmp_path, figures) -> None:
    folder = tmp_path / "run"
    run = Run(settings(folder, checkpoints__save_total_limit=None), before=Spoil("weights", range(5, 6)))
    assert run.wait() == 1 and "step 7:" in run.said() and "3 steps in a row" in run.said()
    assert Checkpoints(folder / "checkpoints").steps() == [5, 4, 3, 2, 1]
    last = load_file(folder / "checkpoints/step-00000005/model.safetensors")
    assert all(tensor.isfinite().all() for tensor in last.values())
    figures("F9 weights that are not finite", stopped_after_steps=3, newest_checkpoint_finite=True)
