"""A forecast is right where steps take the same time, whichever limit comes first."""

import pytest

from hf_embeddings.pretraining.options import TrainingOptions
from hf_embeddings.pretraining.phase_options import StageOptions
from hf_embeddings.pretraining.training.forecast import forecast
from hf_embeddings.pretraining.training.progress import Progress


def simulate(training: TrainingOptions, progress: Progress, seconds: float, job_seconds: float) -> tuple[int, float]:
    """Go through the steps one by one; return how many there are at the end, and the seconds until then."""
    bounds = [(stage.steps, stage.tokens_per_step or training.tokens_per_step) for stage in training.stages]
    tokens = [count for steps, count in bounds for _ in range(steps)]
    tokens += [training.tokens_per_step] * (training.total_steps - len(tokens))
    per_token, passed, step = seconds / tokens[progress.step], 0.0, progress.step
    limit = min((training.max_hours or 1e9) * 3600 - progress.seconds, job_seconds)
    while step < training.total_steps and passed + tokens[step] * per_token <= limit:
        passed += tokens[step] * per_token
        step += 1
    return step, passed if step == training.total_steps else limit


@pytest.mark.parametrize("stages", [[], [StageOptions(steps=30, tokens_per_step=256), StageOptions(steps=20)]])
@pytest.mark.parametrize("done, spent", [(5, 3.0), (40, 20.0), (99, 50.0)])
@pytest.mark.parametrize("hours, job", [(None, 1e9), (0.02, 1e9), (0.02, 40.0), (None, 40.0), (1.0, 1e6)])
def test_a_forecast_is_what_a_walk_through_the_steps_gives(
    stages: list[StageOptions], done: int, spent: float, hours: float | None, job: float
) -> None:
    training = TrainingOptions(max_steps=100, max_hours=hours, tokens_per_step=1024, stages=stages)
    progress = Progress(step=done, seconds=spent)
    told = forecast(training, progress, seconds_per_step=0.7, job_seconds=job)
    steps, seconds = simulate(training, progress, 0.7, job)
    assert abs(told.steps - steps) <= 1 and told.seconds == pytest.approx(seconds)


def test_the_sentence_names_the_limit_and_the_end() -> None:
    training = TrainingOptions(max_steps=1000, max_hours=0.1)
    told = forecast(training, Progress(step=10, seconds=10.0), seconds_per_step=1.0)
    assert "training.max_hours allows about 360 of 1,000 steps" in told.sentence(now=0) and told.seconds == 350
    assert "in 5 min 50 s" in told.sentence(now=0)
    told = forecast(training, Progress(step=10, seconds=1.0), seconds_per_step=0.1)
    assert "all 1,000 steps will be done at" in told.sentence(now=0)
    told = forecast(training, Progress(step=10, seconds=1.0), seconds_per_step=0.1, job_seconds=9.0)
    sentence = told.sentence(now=0)
    assert "training.max_job_hours allows about 100 of" in sentence and "rerun the command to resume" in sentence
