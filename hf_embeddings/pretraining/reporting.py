"""What a run tells while it trains: a progress bar with the time left, log lines, curves, and `status.json`."""

import json
import os
import sys
import time
from pathlib import Path

from accelerate import Accelerator
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from hf_embeddings.pretraining.options import TrainingOptions
from hf_embeddings.pretraining.progress import Progress

STATUS = "status.json"
LINES_EVERY = 100  # steps between lines where there is no terminal


class Reporter:
    """Reports from the main process; in the others it does nothing."""

    def __init__(self, accelerator: Accelerator, training: TrainingOptions, folder: Path) -> None:
        self.accelerator, self.training, self.folder = accelerator, training, folder
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            disable=not accelerator.is_main_process or not sys.stderr.isatty(),
        )
        self.task = self.bar.add_task("pretraining", total=1.0, note="")

    def __enter__(self) -> "Reporter":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def step(self, progress: Progress) -> None:
        """Move the bar; log where it is time to."""
        fraction = progress.fraction(self.training)
        if progress.step % self.training.logging_steps == 0:
            means = progress.take_means()
            speed = progress.tokens / max(progress.seconds, 1e-9)
            curves = {f"training/{name}_loss": value for name, value in means.items()} | {"tokens_per_second": speed}
            self.accelerator.log(curves, progress.step)
            note = "  ".join(f"{name} {value:.3f}" for name, value in means.items()) + f"  {speed:,.0f} tokens/s"
            self.bar.update(self.task, note=f"step {progress.step}  {note}")
            self.status("running", progress, means)
            if self.bar.disable and progress.step % LINES_EVERY == 0:
                self.say(f"step {progress.step}  {note}  {fraction:.0%}")
        self.bar.update(self.task, completed=fraction)

    def status(self, state: str, progress: Progress, losses: dict[str, float] | None = None) -> None:
        """Replace `status.json`, at once or not at all: for scripts that watch or restart a run."""
        if not self.accelerator.is_main_process:
            return
        content = {
            "state": state,
            "step": progress.step,
            "fraction": round(progress.fraction(self.training), 6),
            "seconds": round(progress.seconds, 1),
            "losses": losses or {},
            "skipped_steps": progress.guard.skipped,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        staged = self.folder / f".{STATUS}"
        try:
            staged.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8", newline="\n")
            os.replace(staged, self.folder / STATUS)
        except OSError:  # a full disk is reported by the checkpoints, which matter
            staged.unlink(missing_ok=True)

    def say(self, message: str) -> None:
        """Print a line to stderr, above the bar."""
        if not self.accelerator.is_main_process:
            return
        if self.bar.disable:
            print(message, file=sys.stderr, flush=True)
        else:
            self.bar.console.print(message, highlight=False)
