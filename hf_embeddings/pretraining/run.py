"""One pretraining run, from an options file to a directory that is ready for the Hub, whatever interrupts it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import accelerate
import torch
import transformers
from accelerate import Accelerator, PartialState

from hf_embeddings.file_names import FIGURES, OPTIONS
from hf_embeddings.files.reading import read_text
from hf_embeddings.hardware import Precision
from hf_embeddings.pretraining.checkpoints.facts import CheckpointFacts, text_rules
from hf_embeddings.pretraining.checkpoints.finished_model import is_exported
from hf_embeddings.pretraining.checkpoints.output_directory import OutputDirectory
from hf_embeddings.pretraining.checkpoints.resume import identity, micro_batches_per_step, precision_of, refuse_changes
from hf_embeddings.pretraining.examples.rules import rules
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.prepared.reader import PreparedCorpus
from hf_embeddings.pretraining.training.first_lines import say_beginning, say_precision
from hf_embeddings.pretraining.training.loop import Trainer
from hf_embeddings.pretraining.training.processes import (
    build_accelerator,
    choose_precision,
    computing_threads,
    from_main,
    join_processes,
    leave,
    restart_warning,
)
from hf_embeddings.pretraining.training.result import conclude
from hf_embeddings.pretraining.training.stop import Stop
from hf_embeddings.pretraining.training.trainer import build_trainer
from hf_embeddings.pretraining.training.training_data import Say, TrainingData, build_config, load_training_data
from hf_embeddings.progress import Phase, Phases, print_to_stderr
from hf_embeddings.records.run import RunFigures
from hf_embeddings.typed_yaml.options_file import dump

_UNCHANGED = "options and corpus are those of the checkpoint"


@dataclass(frozen=True)
class Outcome:
    """How a run left: done, with its figures, or stopped before its end, and saved."""

    state: Literal["done", "preempted"]
    output_dir: str
    step: int
    main_process: bool  # whether this process is the one that reports
    figures: RunFigures | None

    def to_dict(self) -> dict[str, object]:
        """Return what `hf-embeddings pretrain --json` prints."""
        if self.figures:
            return {"state": self.state} | self.figures.to_dict()
        return {"state": self.state, "step": self.step, "output_dir": self.output_dir}


def pretrain(
    options: PretrainingOptions,
    *,
    base_config: Path,
    overwrite: bool = False,
    resume: str = "auto",
    allow_changes: bool = False,
    finish: Callable[[Path], object] | None = None,
    data: TrainingData | None = None,
) -> Outcome:
    """Run everything, or what is left of it, and return the figures, which are also written to `pretraining.json`.

    Args:
        options: everything the run depends on.
        base_config: the architecture file that `options.model` changes, or the checkpoint to begin with.
        overwrite: empty an output directory that is not empty, and start over.
        resume: `auto`, `must`, `never`, a checkpoint's directory, or `hub:USER/NAME[@REVISION]`: see
            `checkpoints.resume.choose`.
        allow_changes: go on though the options are not those of the checkpoint.
        finish: called in the main process with the output directory when the model is in it; `hf-embeddings pretrain`
            writes the model card there.
        data: what `load_training_data` returned for the same corpus, tokenizer and examples; several runs may share it.

    Returns:
        The state, which is `preempted` where a signal or a time limit came before the end, and the figures of the end.

    Raises:
        ValueError: the options contradict each other, the corpus or the directory; nothing has been written then.
        TrainingFailed: training could not go on.
    """
    config = build_config(options, base_config, vocab_size=options.tokenizer.vocab_size)  # mistakes show first
    processes = join_processes(options.training)
    say = _speaker(processes)
    phases = partial(Phase, passing=True, silent=not processes.is_main_process, say=say)
    if warning := restart_warning():
        say(warning)
    inputs = {**options.inputs(), "model.base": base_config}
    output = OutputDirectory(
        Path(options.output_dir), options.checkpoints, resume=resume, overwrite=overwrite, inputs=inputs
    )
    try:
        from_main(processes, output.enter)
        source, line = from_main(processes, output.source)
        say(line)
        if figures := from_main(processes, lambda: _finished(options, output, source)):
            say(f"{output.folder} is complete: step {figures.training_steps}")
            return Outcome("done", str(output.folder), figures.training_steps, processes.is_main_process, figures)
        precision = choose_precision(options.training.mixed_precision, processes, old_format=precision_of(source))
        accelerator = build_accelerator(
            precision.name,
            objectives=options.examples.objectives,
            curves=options.output_dir if options.training.tensorboard else None,
        )
        say_precision(precision, config, processes.device, say)
        data = _load(options, base_config, data, accelerator, source, say=say, phases=phases)
        facts = _facts(options, data, accelerator, source, precision, say=say, phases=phases)
        if source:
            changes = refuse_changes(source, facts.identity, allow_changes=allow_changes)
            say(f"changed since the checkpoint: {changes}" if changes else _UNCHANGED)
        with computing_threads(options.training):
            trainer = build_trainer(options, data, accelerator, output, facts, source, say, phases)
            from_main(accelerator, output.create)
            return _finish_run(trainer, data, output, source, finish=finish, say=say, phases=phases)
    finally:
        output.close()


def _finished(options: PretrainingOptions, output: OutputDirectory, source: Path | None) -> RunFigures | None:
    """Return the figures of a run that was finished with just these options, without reading its corpus again."""
    if source is None or output.resume not in ("auto", "must") or options.hub.model_id:  # or a push may be left to do
        return None
    if not is_exported(output.folder, source):
        return None
    recorded = read_text(output.folder / OPTIONS)
    return RunFigures.load(output.folder / FIGURES) if recorded == dump(options) else None


def _load(
    options: PretrainingOptions,
    base_config: Path,
    data: TrainingData | None,
    accelerator: Accelerator,
    source: Path | None,
    *,
    say: Say,
    phases: Phases,
) -> TrainingData:
    """Return what the run trains on: verified first where it is prepared, taken over where it is there."""
    if folder := options.corpus.prepared:
        sums = options.corpus.verify_shards
        with phases("verifying the corpus"):
            from_main(accelerator, lambda: PreparedCorpus.open(Path(folder), sums=sums).facts.kind)
    if data:
        return data.for_model(options, base_config)
    rules = text_rules(source)
    return load_training_data(options, base_config, say, tokenizer_from=source, rules=rules, phases=phases)


def _facts(
    options: PretrainingOptions,
    data: TrainingData,
    accelerator: Accelerator,
    source: Path | None,
    precision: Precision,
    *,
    say: Say,
    phases: Phases,
) -> CheckpointFacts:
    """Return what each checkpoint of the run says of it."""
    training, processes = options.training, accelerator.num_processes
    micro_batches = micro_batches_per_step(source, training, processes, max_length=options.examples.max_length)
    if micro_batches > 1:
        share = f"shared by {processes} processes" if processes > 1 else "on one process"
        say(f"{micro_batches} micro-batches per step, {share}")
    with phases("planning the training"):
        run_identity = identity(
            options,
            data.config,
            corpus=data.training.fingerprint(),
            micro_batches=micro_batches,
            precision=precision.name,
            rules=rules(options.examples),
        )
    return CheckpointFacts(
        identity=run_identity,
        gradient_accumulation_steps=training.gradient_accumulation_steps,
        processes=processes,
        versions=_versions(),
        text_rules=text_rules(source),
    )


def _finish_run(
    trainer: Trainer,
    data: TrainingData,
    output: OutputDirectory,
    source: Path | None,
    *,
    finish: Callable[[Path], object] | None,
    say: Say,
    phases: Phases,
) -> Outcome:
    """Do what is left to do: nothing, or the export, or also some training."""
    progress, options = trainer.progress, trainer.options

    def outcome(figures: RunFigures | None) -> Outcome:
        state: Literal["done", "preempted"] = "done" if figures else "preempted"
        return Outcome(state, str(output.folder), progress.step, trainer.accelerator.is_main_process, figures)

    def is_done() -> bool:
        return source is not None and is_exported(output.folder, source)

    if progress.fraction(options.training) >= 1 and from_main(trainer.accelerator, is_done):
        say(f"{output.folder} is complete: step {progress.step}")
        if trainer.push:  # perhaps the last start ended before that
            trainer.push.finish(output.folder)
        return outcome(RunFigures.load(output.folder / FIGURES))
    if progress.step == 0:
        say_beginning(trainer, data, say, phases)
    if not train(trainer, say):
        return outcome(None)
    try:
        return outcome(conclude(trainer, data, output, finish=finish, say=say, phases=phases))
    except BaseException:  # a full disk, say: the last checkpoint is there, and the next start concludes
        trainer.reporter.status("failed", progress)
        raise


def train(trainer: Trainer, say: Say) -> bool:
    """Train until the end or until something asks to stop; return whether the end was reached."""
    training, progress = trainer.options.training, trainer.progress
    if training.tensorboard:
        # What was logged after the checkpoint, by a run that was cut off, will be logged again.
        again = {"tensorboard": {"purge_step": progress.step + 1}}
        trainer.accelerator.init_trackers("tensorboard", init_kwargs=again)
    stop = Stop(training.max_job_hours)
    try:
        with trainer.reporter:
            has_ended = trainer.train(stop)
    except BaseException:
        trainer.reporter.status("failed", progress)
        raise
    finally:
        stop.release()
    if not has_ended:
        trainer.reporter.status("preempted", progress)
        reason = stop.reason or "another process"
        say(f"stopped by {reason} after step {progress.step}, which is saved; rerun the command to resume")
        leave(trainer.accelerator)
    return has_ended


def _versions() -> dict[str, str]:
    return {library.__name__: library.__version__ for library in (torch, transformers, accelerate)}


def _speaker(processes: PartialState) -> Say:
    start = time.monotonic()

    def say(message: str) -> None:
        if processes.is_main_process:
            print_to_stderr(f"[{time.monotonic() - start:6.1f} s] {message}")

    return say
