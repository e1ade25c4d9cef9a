"""One run of `hf-embeddings embed`, from an options file to a directory that loads as SentenceTransformer."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import transformers
from accelerate import PartialState
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import set_seed

from hf_embeddings.embedding.export import publish_stage, stage
from hf_embeddings.embedding.holding_out import Split, load_split
from hf_embeddings.embedding.identity import changes_since, identity
from hf_embeddings.embedding.judging import Judge, figures_in_words, worth
from hf_embeddings.embedding.losses import build_loss, make_dataset, prompts_by_column
from hf_embeddings.embedding.negatives import mine
from hf_embeddings.embedding.options import EmbeddingOptions
from hf_embeddings.embedding.sentence_model import (
    encoder_of,
    judged_encoder,
    load_sentence_model,
    plain,
    set_dropout,
)
from hf_embeddings.embedding.trainer import (
    EmbeddingTrainer,
    Reporting,
    TrainingFailed,
    passes_of,
    steps_done,
    steps_of,
    training_arguments,
)
from hf_embeddings.file_names import EMBEDDING_FIGURES, EMBEDDING_OPTIONS
from hf_embeddings.files.manifest import read_manifest
from hf_embeddings.files.reading import read_text
from hf_embeddings.hardware import describe, number_format
from hf_embeddings.loading.card_metadata import LICENSE, read_metadata
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.pretraining.checkpoints.finished_model import is_exported
from hf_embeddings.pretraining.checkpoints.output_directory import OutputDirectory
from hf_embeddings.pretraining.training.processes import choose_precision
from hf_embeddings.pretraining.training.stop import Stop
from hf_embeddings.printable import counted
from hf_embeddings.progress import Phase, Phases, print_to_stderr
from hf_embeddings.records.embedding import EmbeddingFigures, HeldOutFigures
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.recipe import Recipe
from hf_embeddings.typed_yaml.options_file import dump

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a run left: done, with its figures, or stopped before its end, and saved."""

    state: Literal["done", "preempted"]
    output_dir: str
    step: int
    figures: EmbeddingFigures | None

    def to_dict(self) -> dict[str, object]:
        """Return what `hf-embeddings embed --json` prints."""
        figures: dict[str, object] = self.figures.to_dict() if self.figures else {"step": self.step}
        return {"state": self.state, "output_dir": self.output_dir} | figures


@dataclass
class _Run:
    """What is passed along a run."""

    options: EmbeddingOptions
    split: Split
    judge: Judge
    model: SentenceTransformer
    loss: nn.Module
    recipe: Recipe
    precision: str
    before: HeldOutFigures | None = None
    before_by_query: np.ndarray | None = None  # (Q,) nDCG of each query
    during: dict[int, HeldOutFigures] = field(default_factory=dict)

    @property
    def base(self) -> Path:
        """The directory that training begins with."""
        return Path(self.options.encoder.base)


def embed(
    options: EmbeddingOptions,
    *,
    overwrite: bool = False,
    resume: str = "auto",
    allow_changes: bool = False,
    finish: Callable[[Path], object] | None = None,
) -> Outcome:
    """Train a sentence encoder, or what is left of it, and return the figures, which `embedding.json` holds, too.

    Args:
        options: everything the run depends on.
        overwrite: empty an output directory that is not empty, and start over.
        resume: `auto`, `must`, `never` or a checkpoint's directory: see `pretraining.checkpoints.resume.choose`.
        allow_changes: go on though options or rows are not those of the checkpoint.
        finish: called with the output directory when the model is in it; the command writes the model card there.

    Raises:
        ValueError: the options contradict each other, the rows or the directory; nothing has been written then.
        TrainingFailed: training could not go on.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("embed: got several processes, expected one; start it without a launcher")
    say, phases = _speaker(), partial(Phase, passing=True)
    output = OutputDirectory(
        Path(options.output_dir), options.checkpoints, resume=resume, overwrite=overwrite, inputs=options.inputs()
    )
    try:
        output.enter()
        source, line = output.source()
        say(line)
        if figures := _finished(options, output, source):
            say(f"{output.folder} is complete: step {figures.training_steps}")
            return Outcome("done", str(output.folder), figures.training_steps, figures)
        run, facts = _begin(options, source, allow_changes=allow_changes, say=say, phases=phases)
        output.create()
        step, seconds = _train(run, output, source, facts, say=say, phases=phases)
        if step < 0:
            return Outcome("preempted", str(output.folder), -step, None)
        return Outcome("done", str(output.folder), step, _conclude(run, output, step, seconds, finish, say))
    finally:
        output.close()


def _finished(options: EmbeddingOptions, output: OutputDirectory, source: Path | None) -> EmbeddingFigures | None:
    """Return the figures of a run that was finished with just these options."""
    if source is None or output.resume not in ("auto", "must") or not is_exported(output.folder, source):
        return None
    same = read_text(output.folder / EMBEDDING_OPTIONS) == dump(options)
    return EmbeddingFigures.load(output.folder / EMBEDDING_FIGURES) if same else None


def _begin(
    options: EmbeddingOptions, source: Path | None, *, allow_changes: bool, say: Say, phases: Phases
) -> tuple[_Run, dict[str, object]]:
    """Read everything, measure the encoder that training begins with, and return it, and what checkpoints say."""
    set_seed(options.seed)
    with quiet_loading():  # before the rows, which may take minutes: a mistake shows at once
        model, recipe = load_sentence_model(options)
    rate, loss = set_dropout(model, options), build_loss(options.loss, model)
    old = read_manifest(source).facts.get("precision") if source else None
    precision = choose_precision(options.training.mixed_precision, PartialState(), old_format=old).name
    say(f"{number_format(precision)} on {describe(model.device)}, dropout {rate:g}")
    with phases("reading rows"):
        split = load_split(options.data)
    say(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in split.counts.items()))
    facts: dict[str, object] = {
        "identity": identity(options, split.fingerprint, precision),
        "precision": precision,
        "versions": {library.__name__: library.__version__ for library in (torch, transformers)},
    }
    if source:
        changes = changes_since(source, facts["identity"], allow_changes=allow_changes)  # type: ignore[arg-type]
        say(f"changed since the checkpoint: {changes}" if changes else "options and rows are those of the checkpoint")
    run = _Run(options, split, Judge(split.held_out), model, loss, recipe, precision)
    encoder = judged_encoder(model, recipe, run.base)
    if run.judge:
        with phases("judging the encoder that training begins with"):
            run.before = run.judge.figures(encoder)
            run.before_by_query = _gains(run.judge)
        say(f"before: {figures_in_words(run.before)}")
    else:
        say("note: nothing is held out, and nothing will be judged; give data.evaluation_source with pairs of texts")
    if options.loss.hard_negatives:
        rows = mine(
            split.training,
            encoder,
            count=options.loss.hard_negatives,
            margin=options.loss.negative_margin,
            phases=phases,
        )
        say(f"{options.loss.hard_negatives} wrong texts mined for each of {counted(len(rows), 'row')}")
        run.split = replace(split, training=rows)
    if encoder.truncated:
        say(f"note: {encoder.truncated:,} texts were cut at {encoder.max_length} tokens; see encoder.max_length")
    return run, facts


def _train(
    run: _Run, output: OutputDirectory, source: Path | None, facts: dict[str, object], *, say: Say, phases: Phases
) -> tuple[int, float]:
    """Train to the end; return the step and the seconds. Stopped before, the step is negative.

    Raises:
        TrainingFailed: the loss is no number, or checkpoints cannot be written.
    """
    options = run.options
    passes = passes_of(options, run.split.training)
    dataset = make_dataset(options, run.split.training, passes)
    if options.loss.name == "tsdae":  # the passes are in the rows
        options = replace(options, training=replace(options.training, epochs=options.training.epochs / passes))
    precision = run.precision
    arguments = training_arguments(options, output.folder, precision, prompts_by_column(options, dataset.column_names))
    run.model.train()
    trainer = EmbeddingTrainer(
        run.model, arguments, dataset, loss=run.loss, checkpoints=output.checkpoints, facts=facts
    )
    steps = steps_of(options, len(dataset))
    stop, began = Stop(None), time.monotonic()
    say(f"{counted(steps, 'step')} of {options.training.batch_size} rows, {counted(len(dataset), 'row')} in a pass")
    done = steps_done(source)
    try:
        with phases("training", steps, unit="steps", done=done) as phase:
            reporting = Reporting(stop, phase, options.training.evaluation_steps, partial(_judge_now, run))
            trainer.add_callback(reporting)
            trainer.go_on(source, steps)
    finally:
        stop.release()
    step = trainer.state.global_step
    if not all(bool(torch.isfinite(parameter).all()) for parameter in run.model.parameters()):
        raise TrainingFailed("the weights are no numbers any more; lower training.learning_rate, and start over")
    if step < trainer.state.max_steps:
        say(f"stopped by {stop.reason} after step {step}, which is saved; rerun the command to resume")
        return -step, 0.0
    return step, time.monotonic() - began


def _judge_now(run: _Run, step: int) -> str:
    """Measure the model as it is between two steps, and return a word on it."""
    if not run.judge:
        return ""
    run.during[step] = run.judge.figures(judged_encoder(run.model, run.recipe, run.base))
    run.model.train()
    return f"at step {step} " + figures_in_words(run.during[step]).split(" (")[0]


def _conclude(
    run: _Run, output: OutputDirectory, step: int, seconds: float, finish: Callable[[Path], object] | None, say: Say
) -> EmbeddingFigures:
    """Save the model, judge what was saved, and put it into the output directory."""
    options, checkpoint = run.options, output.checkpoints.path(step)
    with quiet_loading():
        staging = stage(plain(run.model, run.recipe, run.base), checkpoint, output.folder)
    after, verdict = None, None
    if run.judge:
        assert run.before is not None, "measured at the start"
        after = run.judge.figures(Encoder.load(staging, precision="fp32"))
        gains = _gains(run.judge)
        differences = gains - run.before_by_query if gains is not None and run.before_by_query is not None else None
        verdict = worth(run.before, after, differences)
        say(f"after: {figures_in_words(after)}")
    card = read_metadata(run.base / "README.md")
    if not (options.card.license or card.get("license")):
        say("note: no license is known of the encoder that training began with; card.license states one in the card")
    figures = EmbeddingFigures(
        base=run.base.resolve().name,
        base_card={key: card[key] for key in (*LICENSE, "base_model", "language") if card.get(key)},
        loss=options.loss.name,
        before=run.before,
        during=run.during,
        after=after,
        worth=verdict,
        rows=run.split.counts,
        training_steps=step,
        training_seconds=seconds,
        precision=number_format(run.precision),
        device=describe(run.model.device),
        parameters=sum(parameter.numel() for parameter in encoder_of(run.model).parameters()),
    )
    records = {
        EMBEDDING_OPTIONS: dump(options),
        EMBEDDING_FIGURES: json.dumps(figures.to_dict(), indent=2) + "\n",
    }
    publish_stage(staging, checkpoint, output.folder, records, finish)
    return figures


def _gains(judge: Judge) -> np.ndarray | None:
    return judge.by_query.ndcg[10] if judge.by_query else None


def _speaker() -> Say:
    start = time.monotonic()
    return lambda message: print_to_stderr(f"[{time.monotonic() - start:6.1f} s] {message}")
