"""The end of a run: held-out figures, what they are worth, and the directory that they are written into."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from hf_embeddings.file_names import FIGURES, GENERATOR, OPTIONS
from hf_embeddings.hardware import describe, number_format
from hf_embeddings.loading.saved_model import check_saved
from hf_embeddings.pretraining.checkpoints.finished_model import write_finished_model
from hf_embeddings.pretraining.checkpoints.output_directory import OutputDirectory
from hf_embeddings.pretraining.examples.pairs import RELATIONS
from hf_embeddings.pretraining.examples.training_phases import phase_at
from hf_embeddings.pretraining.training.base_checkpoint import carry
from hf_embeddings.pretraining.training.held_out import figures_of, score_held_out
from hf_embeddings.pretraining.training.loop import Trainer
from hf_embeddings.pretraining.training.objectives import Scores
from hf_embeddings.pretraining.training.processes import leave
from hf_embeddings.pretraining.training.training_data import Say, TrainingData
from hf_embeddings.pretraining.training.worth import judge
from hf_embeddings.progress import Phases
from hf_embeddings.records.run import HeldOut, PhaseFigures, RunFigures, flat
from hf_embeddings.typed_yaml.options_file import dump


def conclude(
    trainer: Trainer,
    data: TrainingData,
    output: OutputDirectory,
    *,
    finish: Callable[[Path], object] | None,
    say: Say,
    phases: Phases,
) -> RunFigures:
    """Evaluate the trained model and put it into the output directory."""
    options, accelerator, progress = trainer.options, trainer.accelerator, trainer.progress
    model = trainer.model if options.training.sharding == "fsdp2" else accelerator.unwrap_model(trainer.model, False)
    if trainer.average:
        trainer.average.copy_to(model)
    scores = score_held_out(model, data.held_out, options.examples.objectives, accelerator.device, phases=phases)
    held_out = figures_of(scores, unknown=data.vocabulary.unknown)
    if options.training.tensorboard:
        accelerator.log({f"evaluation/{name}": value for name, value in flat(held_out).items()}, step=progress.step)
    leave(accelerator)
    figures = _figures(trainer, data, held_out, _phases(trainer, scores))
    if accelerator.is_main_process:
        records = {
            OPTIONS: dump(options),
            FIGURES: json.dumps(replace(figures, corpus=data.statistics).to_dict(), indent=2) + "\n",
        }

        def complete(folder: Path) -> None:
            carry(data.base, folder, figures.beginning)
            _check_models(folder)
            if finish:
                finish(folder)

        write_finished_model(output.checkpoints.path(progress.step), output.folder, records, finish=complete)
        if trainer.push:
            with phases("publishing"):
                trainer.push.finish(output.folder)
    trainer.reporter.status("done", progress)
    for line in _lines(held_out, data.baseline):
        say(line)
    return figures


def _check_models(folder: Path) -> None:
    """Load what the directory holds once: the model, and where tokens were replaced, the generator beside it."""
    for config in (folder / "config.json", *folder.glob(f"{GENERATOR}/config.json")):
        check_saved(config.parent)


def _phases(trainer: Trainer, scores: dict[str, Scores]) -> list[PhaseFigures] | None:
    """Return the figures of all phases, the last one measured now; None where the options name none."""
    if len(trainer.phases) < 2 and not trainer.options.training.phases:
        return None
    last = phase_at(trainer.phases, max(0, trainer.progress.step - 1))
    return [*trainer.progress.phases, trainer.phase_figures(last, scores)]


def _figures(trainer: Trainer, data: TrainingData, held_out: HeldOut, phases: list[PhaseFigures] | None) -> RunFigures:
    progress, accelerator = trainer.progress, trainer.accelerator
    return RunFigures(
        unigram_loss=data.baseline,
        held_out=held_out,
        training_steps=progress.step,
        training_tokens=progress.tokens,
        training_seconds=progress.seconds,
        training_tokens_per_second=progress.tokens / progress.seconds,
        training_skipped_steps=progress.monitor.skipped,
        parameters=trainer.parameters,
        precision=number_format(accelerator.mixed_precision),
        device=describe(accelerator.device),
        output_dir=trainer.options.output_dir,
        worth=judge(held_out, data.baseline),
        health=data.health,
        beginning=data.beginning,
        phases=phases,
    )


def _lines(held_out: HeldOut, unigram_loss: float) -> Iterator[str]:
    """Yield the held-out figures in words."""
    if mlm := held_out.get("mlm") or held_out.get("generator"):
        name = "mlm" if "mlm" in held_out else "generator"
        yield (
            f"held-out {name} loss {mlm.loss:.3f} nats beside {unigram_loss:.3f} for token frequencies alone; "
            f"accuracy {mlm.accuracy:.1%}"
        )
        if mlm.loss_without_unknown is not None:
            yield (
                f"without the {mlm.unknown_labels:,} of {mlm.labels:,} labels that are [UNK]: "
                f"{name} loss {mlm.loss_without_unknown:.3f} nats, accuracy {mlm.accuracy_without_unknown:.1%}"
            )
    for name in RELATIONS:
        if pair := held_out.get(name):
            interval = f"95 % interval {pair.accuracy_low:.1%} to {pair.accuracy_high:.1%}; chance 50 %"
            yield f"held-out {name} accuracy {pair.accuracy:.1%} ({interval})"
    if (rtd := held_out.get("rtd")) and rtd.roc_auc is not None:
        precision = "none is named" if rtd.precision is None else f"precision {rtd.precision:.1%}"
        yield (
            f"held-out rtd loss {rtd.loss:.3f} nats, area under the ROC curve {rtd.roc_auc:.3f} (95 % interval "
            f"{rtd.roc_auc_low:.3f} to {rtd.roc_auc_high:.3f}; chance 0.5); {rtd.replaced_share:.1%} of the tokens are "
            f"replaced: recall {rtd.recall:.1%}, {precision}"
        )
