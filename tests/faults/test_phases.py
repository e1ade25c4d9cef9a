"""A run of phases: killed in any of them and at a border, forked after one, and against runs made by hand."""

import json
import signal
from pathlib import Path

import pytest

from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from hf_embeddings.pretraining.training.stop import PREEMPTED
from hf_embeddings.publishing.card import write_card
from hf_embeddings.records.run import RunFigures
from tests.faults.hooks import SignalAt
from tests.faults.small_run import Run, finish, settings, state, weights
from tests.faults.system_calls import POSSIBLE, DieAt

STABLE = "{name: stable, steps: 6, schedule: constant, warmup_steps: 2, max_length: 16, tokens_per_step: 128}"
FALL = "{name: fall, tokens: 1024, schedule: sqrt, masking_probability: 0.3, rope_theta: 5e4}"
OTHER_FALL = "{name: fall, steps: 2, schedule: linear, learning_rate: 2e-2}"
LAST = "{steps: 2, schedule: constant, learning_rate: 1e-3}"


def phases(folder: Path, *given: str, **changed: object):
    own = {"training__phases": f"[{', '.join(given)}]", "training__max_steps": None, "checkpoints__save_steps": None}
    return settings(folder, **{"model__position_embedding_type": "rope"} | own | changed)


def figures_of(folder: Path) -> list[dict[str, object]]:
    return [phase.to_dict() for phase in RunFigures.load(folder / "pretraining.json").phases or []]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run = Run(phases(folder, STABLE, FALL, LAST))
    assert run.wait() == 0, run.said()
    assert "step 0: stable: 6 steps of 128 tokens, examples of at most 16 tokens" in run.said()
    assert "step 6: fall: 4 steps of 256 tokens, examples of at most 32 tokens, 30% masked" in run.said()
    return folder


@pytest.mark.parametrize("step", [3, 6, 10])
def test_a_run_that_is_killed_in_any_phase_or_at_a_border_ends_the_same(whole: Path, tmp_path: Path, step: int) -> None:
    options = phases(tmp_path / "run", STABLE, FALL, LAST, checkpoints__save_steps=4)
    assert finish(options, before=SignalAt(step, signal.SIGKILL)) == -signal.SIGKILL
    assert finish(options) == 0 and weights(tmp_path / "run") == weights(whole)
    assert figures_of(tmp_path / "run") == figures_of(whole)


@pytest.mark.skipif(not POSSIBLE, reason="asks the kernel of Linux, by x86-64 numbers")
@pytest.mark.parametrize("place", [0, 60])
def test_a_run_that_is_killed_in_the_save_at_a_border_ends_the_same(whole: Path, tmp_path: Path, place: int) -> None:
    folder = tmp_path / "run"
    options = phases(folder, STABLE, FALL, LAST)
    assert finish(options, before=DieAt(folder, 0, place)) == -signal.SIGKILL
    assert Checkpoints(folder / "checkpoints").newest() in (None, (6, []))
    assert finish(options) == 0 and weights(folder) == weights(whole) and figures_of(folder) == figures_of(whole)


def test_what_each_phase_leaves_is_told_and_kept(whole: Path) -> None:
    assert Checkpoints(whole / "checkpoints").steps() == [12, 10, 6]  # the borders stay
    theta = {step: TriEmbedConfig.from_pretrained(whole / f"checkpoints/step-{step:08d}") for step in (6, 10, 12)}
    assert [config.rope_parameters["rope_theta"] for config in theta.values()] == [10_000, 50_000, 10_000]
    assert len(state(whole)["monitor"]["losses"]) == 2  # what is ordinary in a phase is learned in it
    told = figures_of(whole)
    assert [phase["name"] for phase in told] == ["stable", "fall", "phase 3"]
    assert [part["begin"] for part in told[0]["losses_by_position"]] == [0, 16]  # the lengths differ
    assert told[-1]["held_out"]["mlm"]["loss"] == json.loads((whole / "pretraining.json").read_text())["mlm_loss"]
    assert json.loads((whole / "status.json").read_text())["phase"] == "phase 3"
    write_card(whole)
    card = (whole / "README.md").read_text()
    assert "| batch | that of the phase |" in card and "| schedule | that of the phase |" in card
    for phase in told:
        assert f"| {phase['name']} | {phase['description']} | {phase['held_out']['mlm']['loss']:.3f} |" in card
    assert "| MLM loss at positions | 0 to 15 | 16 to 31 |" in card


def test_a_stable_checkpoint_is_forked_into_several_falls(whole: Path, tmp_path: Path) -> None:
    """Also from within the stable phase; each fork is the whole run that has these phases."""
    longer = STABLE.replace("steps: 6,", "steps: 9,")
    assert finish(phases(tmp_path / "stable", longer, checkpoints__save_steps=3)) == 0
    source = tmp_path / "stable/checkpoints/step-00000006"
    one = Run(phases(tmp_path / "one", STABLE, FALL, LAST), resume=str(source))
    assert one.wait() == 0 and "training.phases after step 6" in one.said()
    assert weights(tmp_path / "one") == weights(whole) and figures_of(tmp_path / "one") == figures_of(whole)
    assert finish(phases(tmp_path / "other", STABLE, OTHER_FALL), resume=str(source)) == 0
    assert finish(phases(tmp_path / "alone", STABLE, OTHER_FALL)) == 0
    assert weights(tmp_path / "other") == weights(tmp_path / "alone") != weights(whole)


def test_a_run_grows_by_phases_and_keeps_to_those_that_are_done(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert finish(phases(folder, STABLE)) == 0
    changed = Run(phases(folder, STABLE.replace("warmup_steps: 2", "warmup_steps: 3"), FALL))
    assert changed.wait() == 2 and "training.phases: [" in changed.said() and "--allow-changes" in changed.said()
    assert finish(phases(folder, STABLE, FALL, LAST), before=SignalAt(8, signal.SIGTERM)) == PREEMPTED
    assert state(folder)["step"] == 8
    assert finish(phases(folder, STABLE, FALL, LAST)) == 0 and weights(folder) == weights(whole)
    assert figures_of(folder) == figures_of(whole)


def test_phases_are_the_same_on_two_processes(tmp_path: Path) -> None:
    """To the bit, where one process goes on with what two began, within a phase."""
    strict = {"training__strict_determinism": "true", "model__attention_probs_dropout_prob": 0.1}
    alone, two = (phases(tmp_path / name, STABLE, FALL, LAST, **strict) for name in ("alone", "two"))
    assert finish(alone) == 0
    assert finish(two, ranks=2, before=SignalAt(8, signal.SIGTERM)) == PREEMPTED
    assert finish(two) == 0 and weights(tmp_path / "two") == weights(tmp_path / "alone")
    assert figures_of(tmp_path / "two") == figures_of(tmp_path / "alone")


def test_one_phase_is_a_run_without_phases(tmp_path: Path) -> None:
    common = {"model__position_embedding_type": "rope", "checkpoints__save_steps": None}
    plain = settings(
        tmp_path / "plain",
        training__max_steps=5,
        training__schedule="constant",
        training__warmup_fraction=0,
        **common,
    )
    assert finish(plain) == 0
    assert finish(phases(tmp_path / "phase", "{steps: 5, schedule: constant}")) == 0
    assert weights(tmp_path / "plain") == weights(tmp_path / "phase")
    assert len(figures_of(tmp_path / "phase")) == 1 and not figures_of(tmp_path / "plain")


def test_a_rotation_that_is_not_there_is_not_changed(tmp_path: Path) -> None:
    run = Run(phases(tmp_path / "run", STABLE, FALL, model__position_embedding_type="learned"))
    assert run.wait() == 2 and "got a rope_theta for position_embedding_type 'learned'" in run.said()
    assert not (tmp_path / "run").exists()
