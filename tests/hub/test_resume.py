"""A run that pushes its checkpoints to the Hub, and one on another machine that goes on from there."""

import signal
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants

from hf_embeddings.pretraining.training.stop import PREEMPTED
from tests.faults.hooks import SignalAt, together
from tests.faults.small_run import Run, finish, settings, state, weights
from tests.hub.server import TOKEN, Hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with Hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


class PointAt:
    """Let the client of a run's process find a Hub by its address."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    def __call__(self, rank: int) -> None:
        import os

        os.environ["HF_TOKEN"] = TOKEN
        constants.ENDPOINT = self.url
        constants.HUGGINGFACE_CO_URL_TEMPLATE = self.url + "/{repo_id}/resolve/{revision}/{filename}"
        constants.HF_HUB_DISABLE_XET, constants.HF_HUB_CACHE = True, str(self.folder / "cache")


@pytest.mark.parametrize("strategy", ["checkpoint", "all_checkpoints"])
def test_a_run_goes_on_from_the_hub(strategy: str, hub: Hub, tmp_path: Path, monkeypatch) -> None:
    hub.redirect(monkeypatch, tmp_path, use_xet=False)
    repo = f"tester/{strategy}"
    published = {"hub__model_id": repo, "hub__hub_strategy": strategy, "checkpoints__save_steps": 4}
    here, there = PointAt(hub.url, tmp_path / "here"), PointAt(hub.url, tmp_path / "there")
    assert finish(settings(tmp_path / "alone", checkpoints__save_steps=4)) == 0
    first = settings(tmp_path / "first", **published)
    tips = []
    for step in (9, 14):
        run = Run(first, before=together(here, SignalAt(step, signal.SIGTERM)))
        assert run.wait() == PREEMPTED, run.said()
        tips.append(HfApi().model_info(repo).sha)
    second = settings(tmp_path / "second", checkpoints__save_steps=4)
    run = Run(second, before=there, resume=f"hub:{repo}")
    assert run.wait() == 0, run.said()
    assert f"resuming step 14 from hub:{repo}, commit {tips[1]}" in run.said()
    assert weights(tmp_path / "second") == weights(tmp_path / "alone")
    third = settings(tmp_path / "third", checkpoints__save_steps=4)  # from an older commit
    run = Run(third, before=together(there, SignalAt(10, signal.SIGTERM)), resume=f"hub:{repo}@{tips[0]}")
    assert run.wait() == PREEMPTED and "resuming step 9" in run.said() and state(tmp_path / "third")["step"] == 10
    for wrong, message in (
        (f"hub:{repo}@nowhere", "nowhere"),
        ("hub:tester/missing", "tester/missing"),
        ("hub:tester/empty", "holds no last-checkpoint/"),
    ):
        HfApi().create_repo("tester/empty", exist_ok=True)
        run = Run(settings(tmp_path / "wrong"), before=there, resume=wrong)
        assert run.wait() == 2 and message in run.said() and not (tmp_path / "wrong").exists(), run.said()
        assert "Traceback" not in run.said()


def test_a_commit_of_somebody_else_is_neither_lost_nor_mixed_up(hub: Hub, tmp_path, monkeypatch, capsys) -> None:
    from hf_embeddings.pretraining.checkpoints.push import _uploader
    from hf_embeddings.pretraining.options import HubOptions

    hub.redirect(monkeypatch, tmp_path, use_xet=False)
    upload, folder = _uploader(HubOptions(model_id="tester/shared")), tmp_path / "folder"
    folder.mkdir()
    for number in range(3):
        (folder / "number.txt").write_text(str(number))
        made = upload(files={"number.txt": folder / "number.txt"}, commit_message=str(number))
        assert hub.repository("tester/shared").refs["main"].oid == made.oid
        if number == 1:
            HfApi().upload_file(path_or_fileobj=b"hello", path_in_repo="note.txt", repo_id="tester/shared")
    assert capsys.readouterr().err.count("somebody else has pushed") == 1
    tip = hub.repository("tester/shared").refs["main"]
    assert tip.files["note.txt"].content == b"hello" and tip.files["number.txt"].content == b"2"

    def race(self, repo_id, **given):  # somebody commits between the look at the newest commit and the own one
        found = real(self, repo_id, **given)
        HfApi().upload_file(path_or_fileobj=b"raced", path_in_repo="note.txt", repo_id="tester/shared")
        return found

    real = HfApi.model_info
    monkeypatch.setattr(HfApi, "model_info", race)
    (folder / "number.txt").write_text("3")
    with pytest.raises(OSError, match="412|since"):
        upload(files={"number.txt": folder / "number.txt"}, commit_message="3")
    assert hub.repository("tester/shared").refs["main"].files["number.txt"].content == b"2"
