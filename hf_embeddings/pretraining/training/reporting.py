"""What a run tells while it trains: how far it is, when it will end, curves, and `status.json`."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from accelerate import Accelerator

from hf_embeddings.file_names import STATUS
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.pretraining.examples.training_phases import TrainingPhase, phase_at
from hf_embeddings.pretraining.options import TrainingOptions
from hf_embeddings.pretraining.training.forecast import MIN_SECONDS, MIN_STEPS, forecast
from hf_embeddings.pretraining.training.progress import Progress
from hf_embeddings.progress import Phases


class Reporter:
    """Reports from the main process; in the others it does nothing."""

    def __init__(
        self,
        accelerator: Accelerator,
        training: TrainingOptions,
        folder: Path,
        *,
        progress: Progress,
        phases: Phases,
        training_phases: Sequence[TrainingPhase],
        say: Callable[[str], None],
    ) -> None:
        """Take what is reported on, from where it is now."""
        self.accelerator, self.training, self.folder, self.say = accelerator, training, folder, say
        self.training_phases = training_phases
        self.deadline: float | None = None  # of the process, in seconds of `time.monotonic`
        self._phase = phases("training", 1.0, done=progress.fraction(training))
        self._phase.shortest = 0.0  # the last losses belong into every log
        self._note = ""
        self._begin: tuple[int, float] | None = None  # step and seconds after the first step, which is a slow one
        self._forecast_told = False

    def __enter__(self) -> "Reporter":
        self._phase.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._phase.__exit__(*error)

    def step(self, progress: Progress) -> None:
        """Say how far the run is; log where it is time to."""
        if progress.step % self.training.logging_steps == 0:
            means = progress.take_means()
            speed = progress.tokens / max(progress.seconds, 1e-9)
            curves = {f"training/{name}_loss": value for name, value in means.items()} | {"tokens_per_second": speed}
            if phase := self._phase_of(progress):
                curves["phase"] = phase.number
            self.accelerator.log(curves, progress.step)
            losses = (f"{name} {value:.3f}" for name, value in means.items())
            self._note = ", ".join([*losses, f"{speed:,.0f} tokens/s"])
            self.status("running", progress, means)
        phase = self._phase_of(progress)
        self._phase.describe(f"step {progress.step}, {phase.name}" if phase else f"step {progress.step}")
        self._phase.reach(progress.fraction(self.training), self._note)
        self._tell_forecast(progress)

    def _phase_of(self, progress: Progress) -> TrainingPhase | None:
        """Return the phase that the last step was in; None where the run has but one."""
        several = len(self.training_phases) > 1
        return phase_at(self.training_phases, max(0, progress.step - 1)) if several else None

    def _tell_forecast(self, progress: Progress) -> None:
        """Say once, when the speed is known, how many steps there will be and when they end."""
        if self._begin is None:
            self._begin = progress.step, progress.seconds
        steps, seconds = progress.step - self._begin[0], progress.seconds - self._begin[1]
        if self._forecast_told or steps < MIN_STEPS or seconds < MIN_SECONDS:
            return
        self._forecast_told = True
        job_seconds = self.deadline - time.monotonic() if self.deadline is not None else None
        outlook = forecast(self.training, progress, seconds_per_step=seconds / steps, job_seconds=job_seconds)
        self.say(outlook.sentence(now=time.time()))

    def status(self, state: str, progress: Progress, losses: dict[str, float] | None = None) -> None:
        """Replace `status.json`, at once or not at all: for scripts that watch or restart a run."""
        if not self.accelerator.is_main_process:
            return
        phase = self._phase_of(progress)
        content = {
            "state": state,
            "step": progress.step,
            **({"phase": phase.name} if phase else {}),
            "fraction": round(progress.fraction(self.training), 6),
            "seconds": round(progress.seconds, 1),
            "losses": losses or {},
            "skipped_steps": progress.monitor.skipped,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        with suppress(OSError):  # a full disk is reported by the checkpoints, which matter
            replace_text(self.folder / STATUS, json.dumps(content, indent=1) + "\n", durable=False)
