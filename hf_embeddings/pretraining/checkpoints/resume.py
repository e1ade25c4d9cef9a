"""Where a run begins: which checkpoint it goes on from, and whether that is a checkpoint of the same run."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from transformers import PreTrainedConfig

from hf_embeddings.corpora.options import TokenizerOptions
from hf_embeddings.files.manifest import check_manifest, read_manifest
from hf_embeddings.files.reading import not_a_directory
from hf_embeddings.pretraining.checkpoints.download import PREFIX, fetch_checkpoint
from hf_embeddings.pretraining.checkpoints.facts import PRECISION, CheckpointFacts, Identity
from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from hf_embeddings.pretraining.options import ExampleOptions, GeneratorOptions, PretrainingOptions, TrainingOptions
from hf_embeddings.pretraining.phase_options import PhaseOptions, default_micro_batches
from hf_embeddings.typed_yaml.fields import to_dict

# Fields of `training` that may differ between the parts of a run: the sequence of samples and what is optimised do not
# depend on them.
FREE = {
    "micro_batches", "gradient_accumulation_steps", "max_job_hours", "num_processes", "dataloader_num_workers",
    "sharding", "strict_determinism", "attention", "compile",
    "gradient_checkpointing", "logging_steps", "evaluation_steps", "evaluation_examples", "tensorboard",
}  # fmt: skip

PHASES = "training.phases"
RULES = "rules"  # the section of an identity with those that examples are drawn by


def choose(resume: str, checkpoints: Checkpoints) -> tuple[Path | None, str]:
    """Return the checkpoint to go on from, verified, or None; and a line that says so.

    Args:
        resume: `auto` (the newest good one, if there is one), `must` (an error if there is none), `never`, the
            directory of a checkpoint, or of a run that has some, or `hub:USER/NAME[@REVISION]`.
        checkpoints: of the run.

    Raises:
        ValueError: there is none though there must be, or all are damaged.
    """
    if resume == "never":
        return None, "starting at step 0: --resume never"
    if resume not in ("auto", "must"):
        commit = ""
        if resume.startswith(PREFIX):
            source, commit = fetch_checkpoint(resume)
        else:
            source = _named(Path(resume))
        step = check_manifest(source).facts["step"]
        if newer := [other for other in checkpoints.steps() if other > step]:
            raise ValueError(
                f"--resume {resume}: {checkpoints.folder} holds newer checkpoints (step {newer[0]}), which this run "
                "would meet again; choose another output_dir, or move them away"
            )
        return source, f"resuming step {step} from {f'{resume}, commit {commit}' if commit else source}"
    newest = checkpoints.newest()
    if newest is None:
        if resume == "must":
            raise ValueError(f"--resume must: no checkpoint in {checkpoints.folder}; start with --resume auto")
        return None, f"starting at step 0: no checkpoint in {checkpoints.folder}"
    step, damage_lines = newest
    line = f"resuming step {step} from {checkpoints.path(step)}"
    if damage_lines:
        line = f"warning: {line}; {len(damage_lines)} newer damaged: {'; '.join(damage_lines)}"
    return checkpoints.path(step), line


def _named(folder: Path) -> Path:
    """Return the checkpoint that a path means: itself, or the newest of a run."""
    inner = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
    if steps := Checkpoints(inner).steps():
        return Checkpoints(inner).path(steps[0])
    if not folder.is_dir():
        raise ValueError(f"--resume {folder}: {not_a_directory(folder)}, expected auto, never, must or a directory")
    return folder


def micro_batches_per_step(source: Path | None, training: TrainingOptions, processes: int, *, max_length: int) -> int:
    """Return the number of micro-batches of a step, over all processes: that of the checkpoint, where there is one.

    Raises:
        ValueError: the processes cannot share them.
    """
    facts, passes = CheckpointFacts.read(source) if source else None, training.gradient_accumulation_steps
    if passes and not (facts and passes == facts.gradient_accumulation_steps):
        total = passes * processes
    elif facts:
        total = training.micro_batches or facts.identity.micro_batches_per_step
    else:
        total = training.micro_batches or default_micro_batches(training.parts(), max_length)
    if total % processes:
        possible = ", ".join(str(number) for number in range(1, total + 1) if total % number == 0)
        of, again = (f" of {source}", "start over with ") if source else ("", "write ")
        raise ValueError(
            f"{processes} processes cannot share {total} micro-batches per step{of}; start one of {possible} processes "
            f"or {again}training.micro_batches={math.lcm(processes, total)}, each of which has to hold an example"
        )
    return total


def precision_of(source: Path | None) -> str | None:
    """Return the number format that a checkpoint was trained in; None without a checkpoint."""
    return CheckpointFacts.read(source).identity.precision if source else None


def identity(
    options: PretrainingOptions,
    config: PreTrainedConfig,
    *,
    corpus: str,
    micro_batches: int,
    precision: str,
    rules: Mapping[str, int],
) -> Identity:
    """Return everything that a checkpoint and the run that goes on from it must agree on.

    `corpus` is the fingerprint of the training examples; `precision` stands for `training.mixed_precision`, for `auto`
    is not the same everywhere; `rules` are the numbers of those that examples are drawn by.
    """
    training = {name: value for name, value in to_dict(options.training).items() if name not in FREE}
    training |= {"max_steps": options.training.total_steps}
    if options.training.phases:  # which decide how long the run is
        training |= {"max_steps": None, "phases": [to_dict(phase) for phase in options.training.parts()]}
    sections = {
        "tokenizer": to_dict(options.tokenizer),
        "examples": to_dict(options.examples),
        "training": training,
        "model": deciding_fields(config),
        RULES: rules,
    }
    if "rtd" in options.examples.objectives:
        sections["generator"] = to_dict(options.generator)
    flat = {f"{section}.{name}": value for section, fields in sections.items() for name, value in fields.items()}
    settings = flat | {PRECISION: precision}
    return Identity(seed=options.seed, micro_batches_per_step=micro_batches, settings=settings, corpus=corpus)


def deciding_fields(config: PreTrainedConfig) -> dict[str, object]:
    """Return the fields of a config that decide the model."""
    skipped_fields = {"architectures", "auto_map", "transformers_version", "dtype", "torch_dtype", "_name_or_path"}
    return {name: value for name, value in json.loads(config.to_json_string()).items() if name not in skipped_fields}


def refuse_changes(checkpoint: Path, identity: Identity, *, allow_changes: bool) -> str:
    """Return what changed between the checkpoint, whose manifest has been verified, and the run that goes on from it.

    Raises:
        ValueError: something did, and that is not allowed.
    """
    identity_then, now = CheckpointFacts.read(checkpoint).identity.to_dict(), identity.to_dict()
    rules = {name for name in now if _is_rule(name)}
    # An option that came later had its default then: one whose default changes what there was gets another name. A
    # version that records no rules had the first ones.
    then = {name: value for name, value in _defaults().items() if name in now} | dict.fromkeys(rules, 1)
    then |= {name: value for name, value in identity_then.items() if name in rules or not _is_rule(name)}
    ahead = then.get(PHASES) != now.get(PHASES)
    step = int(read_manifest(checkpoint).facts.get("step", 0))
    for values in (then, now):
        values[PHASES] = done_phases(cast(list[dict[str, object]], values.get(PHASES) or []), step)
    names = [name for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)]
    changes = ", ".join(f"{name}: {_brief(then.get(name))} -> {_brief(now.get(name))}" for name in names)
    for name in names:
        if what := _fixed(name, then.get(name), now.get(name)):
            raise ValueError(f"{name}: the checkpoint has its {what}; {changes}; start over in another output_dir")
    if names and not allow_changes and rules.issuperset(names):
        subjects = " and ".join(name.removeprefix(f"{RULES}.") for name in names)
        raise ValueError(
            f"{checkpoint}: was begun by a version that draws {subjects} by another rule ({changes}); end the run with "
            "that version, resume with other examples by --allow-changes, or start over in another output_dir"
        )
    if changes and not allow_changes:
        raise ValueError(
            f"the checkpoint and this run differ (checkpoint -> now): {changes}; give the old values, accept the new "
            "ones by --allow-changes, or start over in another output_dir"
        )
    return changes or (f"{PHASES} after step {step}" if ahead else "")


def done_phases(phases: Sequence[Mapping[str, object]], step: int) -> list[dict[str, object]]:
    """Return what of the phases decides the steps before `step`: what comes after it may be changed without a word.

    A phase in which nothing depends on its length may have been cut short, too.
    """
    filled = [to_dict(PhaseOptions(steps=1)) | dict(phase) | {"name": None} for phase in phases]
    if any(phase["schedule"] is None for phase in filled):
        return filled  # the learning rate follows the length of the whole run
    done: list[dict[str, object]] = []
    for phase in filled:
        if step <= 0:
            break
        steps = int(str(phase["steps"]))
        if phase["schedule"] == "constant" and phase["final_masking_probability"] is None:
            steps = min(steps, step)
        done.append(phase | {"steps": steps})
        step -= steps
    return done


def _fixed(name: str, then: object, now: object) -> str | None:
    """Return what a setting decides that a checkpoint holds, so that it cannot change; None for all others."""
    section = name.partition(".")[0]
    if section in ("tokenizer", "generator"):
        return section
    is_other = name == "examples.objectives" and len({"rtd" in str(value) for value in (then, now)}) > 1
    return "kind of model" if is_other else None


def _defaults() -> dict[str, object]:
    """Return the options of a run that have defaults, with them."""
    sections = {"tokenizer": TokenizerOptions(), "examples": ExampleOptions(), "training": TrainingOptions()}
    sections["generator"] = GeneratorOptions()
    return {f"{name}.{key}": value for name, own in sections.items() for key, value in to_dict(own).items()}


def _is_rule(name: str) -> bool:
    return name.startswith(f"{RULES}.")


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:12]}...{text[-4:]}"
