"""The end of a run: held-out figures, what they are worth, and the directory that they are written into."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from hf_embeddings.file_names import FIGURES, OPTIONS
from hf_embeddings.hardware import describe, number_format
from hf_embeddings.pretraining.checkpoints.finished_model import export
from hf_embeddings.pretraining.checkpoints.output_directory import OutputDirectory
from hf_embeddings.pretraining.examples.pairs import relation
from hf_embeddings.pretraining.options_file import dump
from hf_embeddings.pretraining.training.held_out import evaluate
from hf_embeddings.pretraining.training.loop import Trainer
from hf_embeddings.pretraining.training.processes import leave
from hf_embeddings.pretraining.training.training_data import Say, TrainingData
from hf_embeddings.pretraining.training.worth import judge
from hf_embeddings.progress import Phases


def conclude(
    trainer: Trainer,
    data: TrainingData,
    output: OutputDirectory,
    *,
    finish: Callable[[Path], object] | None,
    say: Say,
    phases: Phases,
) -> dict[str, object]:
    """Evaluate the trained model and put it into the output directory."""
    options, accelerator, progress = trainer.options, trainer.accelerator, trainer.progress
    model = trainer.model if options.training.sharding == "fsdp2" else accelerator.unwrap_model(trainer.model, False)
    if trainer.average:
        trainer.average.copy_to(model)
    figures = evaluate(
        model,
        data.held_out,
        options.examples.objectives,
        accelerator.device,
        unknown=data.vocabulary.unknown,
        phases=phases,
    )
    if options.training.tensorboard:
        accelerator.log({f"evaluation/{name}": value for name, value in figures.items()}, step=progress.step)
    leave(accelerator)
    figures = (
        {"unigram_loss": data.baseline}
        | figures
        | {
            "training_steps": progress.step,
            "training_tokens": progress.tokens,
            "training_seconds": progress.seconds,
            "training_tokens_per_second": progress.tokens / progress.seconds,
            "training_skipped_steps": progress.monitor.skipped,
            "parameters": trainer.parameters,
            "precision": number_format(accelerator.mixed_precision),
            "device": describe(accelerator.device),
            "output_dir": options.output_dir,
        }
    )
    figures |= {"worth": judge(figures).to_dict(), "health": data.health.to_dict()}
    if accelerator.is_main_process:
        records = {
            OPTIONS: dump(options),
            FIGURES: json.dumps(figures | {"corpus": data.statistics}, indent=2) + "\n",
        }
        export(output.checkpoints.path(progress.step), output.folder, records, finish=finish)
        if trainer.push:
            with phases("publishing"):
                trainer.push.finish(output.folder)
    trainer.reporter.status("done", progress)
    for line in _lines(figures, relation(options.examples.objectives)):
        say(line)
    return figures


def _lines(figures: dict[str, float], name: str | None) -> Iterator[str]:
    """Yield the held-out figures in words; `name` is that of the objective that relates the segments of a pair."""
    if "mlm_loss" in figures:
        yield (
            f"held-out mlm loss {figures['mlm_loss']:.3f} nats beside {figures['unigram_loss']:.3f} for token "
            f"frequencies alone; accuracy {figures['mlm_accuracy']:.1%}"
        )
    if figures.get("mlm_loss_without_unknown") is not None:
        yield (
            f"without the {figures['mlm_unknown_labels']:,} of {figures['mlm_labels']:,} labels that are [UNK]: "
            f"mlm loss {figures['mlm_loss_without_unknown']:.3f} nats, "
            f"accuracy {figures['mlm_accuracy_without_unknown']:.1%}"
        )
    if name:
        low, high = figures[f"{name}_accuracy_low"], figures[f"{name}_accuracy_high"]
        accuracy = figures[f"{name}_accuracy"]
        yield f"held-out {name} accuracy {accuracy:.1%} (95 % interval {low:.1%} to {high:.1%}; chance 50 %)"
