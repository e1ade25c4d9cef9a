"""The options of a pretraining run: each key of a `configs/pretraining/*.yaml` file is a field here, with its unit."""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from hf_embeddings.corpora.options import CorpusOptions, TokenizerOptions
from hf_embeddings.pretraining.phase_options import (
    LearningRateSchedule,
    PhaseOptions,
    StageOptions,
    check_alike,
    check_weights,
)
from hf_embeddings.typed_yaml.fields import bounded, path_field, remaining

DEFAULT_STEPS = 1000  # of a run that does not say


@cache
def model_fields() -> Mapping[str, object]:
    """Return the architecture's own fields and their types: the keys that the `model` section takes besides `base`.

    What PreTrainedConfig adds (label maps, dtype, ...) is not architecture. The class is read, not imported: that would
    import torch and transformers, and a mistake in an options file is answered at once.
    """
    source = files("hf_embeddings").joinpath("model", "configuration_triembed.py").read_text(encoding="utf-8")
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    statements = next(node.body for node in classes if node.name == "TriEmbedConfig")
    types = {
        ast.unparse(node.target): eval(ast.unparse(node.annotation), {"Literal": Literal})
        for node in statements
        if isinstance(node, ast.AnnAssign)
    }
    return types | {"rope_parameters": dict[str, object] | None}  # read by the config, though it is not a field of it


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What the run begins with, and the fields of its config that the run changes."""

    # Path of a config JSON, such as configs/model/tiny.json, for a new model; or a checkpoint directory, whose weights
    # and tokenizer the run takes over.
    base: str = path_field()
    overrides: dict[str, Any] = remaining(lambda: model_fields())  # any field of TriEmbedConfig, beside `base`


@dataclass(frozen=True, kw_only=True)
class ExampleOptions:
    """How documents become training examples (BERT, https://arxiv.org/abs/1810.04805, section 3.1)."""

    max_length: int = bounded(128, min=8)  # tokens of one example, special ones included
    masking_probability: float = bounded(0.15, above=0, below=1)  # share of tokens that `mlm` predicts
    mask_token_fraction: float = bounded(0.8, min=0, max=1)  # share of those shown as [MASK]
    random_token_fraction: float = bounded(0.1, min=0, max=1)  # share of those shown as a random token; the rest stay
    # Share of tokens that `mlm` predicts in the last step; in between it changes linearly. None: the same throughout.
    final_masking_probability: float | None = bounded(None, above=0, below=1)
    # Share of tokens that `mlm` predicts in evaluations: a constant, so that the losses of recipes can be compared.
    evaluation_masking_probability: float = bounded(0.15, above=0, below=1)
    masking_unit: Literal["token", "word", "span"] = (
        "token"  # what is hidden together: pieces, whole words, runs of words
    )
    # Losses, summed; or `rtd` alone, for which a generator replaces tokens and the model tells which they are.
    objectives: list[Literal["mlm", "nsp", "sop", "rtd"]] = field(default_factory=lambda: ["mlm", "nsp"])
    # Factor of each loss; 1 where none is given, 50 for `rtd`, whose generator has 1.
    objective_weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        mask, random = self.mask_token_fraction, self.random_token_fraction
        if mask + random > 1 + 1e-9:  # 0.9 + 0.1 may round to a little above 1
            raise ValueError(
                f"random_token_fraction: got {random} beside mask_token_fraction {mask}, expected a sum of at most 1; "
                "lower one of them"
            )
        if "rtd" in self.objectives and len(self.objectives) > 1:
            raise ValueError(
                f"objectives: got {self.objectives}, expected rtd alone: its generator is trained with mlm already, "
                "and a discriminator has no head for pairs; write [rtd]"
            )
        if (
            len(set(self.objectives)) < len(self.objectives)
            or not self.objectives
            or {"nsp", "sop"} <= set(self.objectives)
        ):
            raise ValueError(
                f"objectives: got {self.objectives}, expected one of mlm, nsp and sop, or mlm with one of the others "
                "(the label of a pair cannot mean both); write [mlm, nsp]"
            )
        for name, weight in self.objective_weights.items():
            if name not in self.objectives or not 0 < weight < math.inf:
                raise ValueError(
                    f"objective_weights: got {weight} for {name!r}, expected a number above 0 for one of "
                    f"{', '.join(self.objectives)}; change or remove it"
                )


@dataclass(frozen=True, kw_only=True)
class GeneratorOptions:
    """The small masked language model that replaces tokens for `rtd` (ELECTRA, https://arxiv.org/abs/2003.10555)."""

    width: float = bounded(0.25, above=0, max=1)  # share of heads, hidden_size and intermediate_size of the model
    layers: float = bounded(1.0, above=0, max=1)  # share of num_hidden_layers of the model
    # The token table of the discriminator. "disentangled": that of the generator, without gradient to it, plus a
    # difference of its own (GDES, https://arxiv.org/abs/2111.09543). "shared": one table for both. "separate": its own.
    embeddings: Literal["disentangled", "shared", "separate"] = "disentangled"


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Length, batch, optimizer and hardware of the training loop."""

    # Optimizer steps; None: those of the phases together, or 1,000.
    max_steps: int | None = bounded(None, min=1)
    # Hours of training time. The learning rate schedule follows whichever of steps and hours is further along.
    max_hours: float | None = bounded(None, above=0)
    max_job_hours: float | None = bounded(None, above=0)  # hours after which a process saves and leaves with code 75
    num_processes: int | None = bounded(None, min=1)  # processes the run must have; None takes what the launcher starts
    tokens_per_step: int = bounded(2048, min=8)  # tokens, padding included, per optimizer step over all devices
    # The parts of a run, one after the other, each with what changes in it: longer examples, other weights of the
    # sources, a learning rate that falls.
    phases: list[PhaseOptions] = field(default_factory=list)
    # What the run begins with, one stage after the other, before `tokens_per_step` and examples.max_length hold: phases
    # with steps, of which the last takes the rest of max_steps.
    stages: list[StageOptions] = field(default_factory=list)
    # Parts that a step is computed in, over all processes, which share them. The number belongs to the run, which is so
    # the same on any number of processes that divides it. None: 4 where each holds two of the longest examples, else 2
    # or 1; more where they would have over 8,192 tokens.
    micro_batches: int | None = bounded(None, min=1)
    # Earlier spelling: passes of each process. `micro_batches` is this times the processes.
    gradient_accumulation_steps: int | None = bounded(None, min=1)
    dataloader_num_workers: int = bounded(0, min=0)  # processes that make batches ahead; 0 makes them between steps
    sharding: Literal["none", "fsdp2"] = "none"  # what each device holds: the whole model (DDP), or a share of it
    # The same bits on any number of processes: gradients are summed in one order, which takes more traffic, and each
    # process computes on one thread of a CPU, as sums over threads depend on their number.
    strict_determinism: bool = False
    spikes: Literal["off", "warn", "skip"] = "warn"  # steps with loss or gradient norm 6 sigma above the last 128 steps
    optimizer: Literal["adamw", "muon"] = "adamw"  # "muon": for the encoder's matrices, with adamw for all else
    learning_rate: float = bounded(1e-3, above=0)  # peak, reached at the end of the warmup
    # Peak of what "muon" leaves to adamw: tables, heads, biases, norms; None: that of the encoder's matrices.
    adamw_learning_rate: float | None = bounded(None, above=0)
    # How it falls to 0; "sqrt" falls as 1 - sqrt, "wsd" stays at the peak before that, "constant" stays there. It holds
    # for the whole run, as warmup_fraction does, unless its phases have schedules.
    schedule: LearningRateSchedule = "linear"
    warmup_fraction: float = bounded(0.05, min=0, max=1)  # share of training over which the learning rate rises
    decay_fraction: float = bounded(0.2, above=0, max=1)  # share of what follows the warmup over which "wsd" falls
    ema_decay: float | None = bounded(None, above=0, below=1)  # of an average of the weights, which is then exported
    weight_decay: float = bounded(0.01, min=0)  # of the weights of linear layers; per step, times the learning rate
    adam_beta1: float = bounded(0.9, min=0, below=1)  # decay of the gradient's mean, per step
    adam_beta2: float = bounded(0.98, min=0, below=1)  # decay of the gradient's square, per step
    adam_epsilon: float = bounded(1e-6, above=0)  # added to the root of the gradient's square
    max_grad_norm: float = bounded(1.0, above=0)  # L2 norm over all parameters, to which gradients are clipped
    # Number format of the forward pass. "auto": bf16 (on a GPU without it fp16) where the hardware multiplies that
    # faster than fp32, else fp32; "no" is fp32.
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    attention: Literal["eager", "sdpa", "flex_attention"] = "sdpa"  # attention kernel
    compile: bool = False  # torch.compile the feed-forward layers; on CPU it takes a C++ compiler, and gains nothing
    gradient_checkpointing: bool = False  # recompute activations in the backward pass: less memory, more time
    logging_steps: int = bounded(10, min=1)  # optimizer steps between log lines
    evaluation_steps: int | None = bounded(None, min=1)  # optimizer steps between evaluations; None: only at the end
    evaluation_examples: int = bounded(2000, min=1)  # examples per evaluation, at most
    tensorboard: bool = True  # write the curves as TensorBoard events to the output directory

    def __post_init__(self) -> None:
        if self.adamw_learning_rate is not None and self.optimizer == "adamw":
            raise ValueError(
                f"adamw_learning_rate: got {self.adamw_learning_rate} beside optimizer 'adamw', expected null: all "
                "parameters have the learning_rate then; write null, or use muon"
            )
        if self.micro_batches is not None and self.gradient_accumulation_steps is not None:
            raise ValueError(
                f"gradient_accumulation_steps: got {self.gradient_accumulation_steps} beside micro_batches "
                f"{self.micro_batches}, expected null; remove it, which is the earlier spelling"
            )
        check_alike(self.parts())
        early = sum(stage.steps for stage in self.stages)
        if early >= self.total_steps and not self.phases:
            raise ValueError(
                f"stages: last {early} steps, expected fewer than max_steps {self.total_steps}; shorten them"
            )
        if not self.phases:
            return
        if self.stages:
            raise ValueError("stages: got some beside phases, expected one of them; write the stages as phases")
        if self.max_hours is not None:
            raise ValueError(
                f"max_hours: got {self.max_hours} beside phases, which last steps or tokens, expected null; remove it, "
                "or limit each start by max_job_hours"
            )
        if self.max_steps not in (None, self.total_steps):
            raise ValueError(
                f"max_steps: got {self.max_steps} beside phases of {self.total_steps} steps, expected null; remove it, "
                "or change the phases"
            )

    def parts(self) -> list[PhaseOptions]:
        """Return the phases of the run, at least one, each with its name, steps and tokens_per_step filled in.

        Stages are phases too, and what follows them is the last one.
        """
        given = self.phases
        if not given:
            early = [PhaseOptions(**vars(stage)) for stage in self.stages]
            rest = (self.max_steps or DEFAULT_STEPS) - sum(stage.steps for stage in self.stages)
            given = [*early, PhaseOptions(steps=max(1, rest))]
        filled = []
        for number, phase in enumerate(given, start=1):
            tokens = phase.tokens_per_step or self.tokens_per_step
            steps = phase.steps or -(-(phase.tokens or 0) // tokens)
            name = phase.name or f"phase {number}"
            filled.append(replace(phase, name=name, steps=steps, tokens=None, tokens_per_step=tokens))
        return filled

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run, where max_hours do not end it earlier."""
        if self.phases:
            return sum(phase.steps or 0 for phase in self.parts())
        return self.max_steps or DEFAULT_STEPS


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions:
    """When the state of the run is saved, and how many of these checkpoints stay."""

    save_steps: int | None = bounded(1000, min=1)  # optimizer steps between checkpoints; None: only where a run stops
    save_total_limit: int | None = bounded(2, min=2)  # checkpoints that stay, the newest; None keeps all


@dataclass(frozen=True, kw_only=True)
class HubOptions:
    """Publishing while training: a background push of committed checkpoints."""

    model_id: str | None = None  # USER/NAME on the Hub; None pushes nothing
    private: bool = True  # whether a repository that the push creates is private
    # `end`: the finished model. `every_save`: also each checkpoint's weights, in its place. `checkpoint`: also what a
    # run resumes from, the newest in last-checkpoint/. `all_checkpoints`: each in a folder of its own.
    hub_strategy: Literal["end", "every_save", "checkpoint", "all_checkpoints"] = "every_save"


@dataclass(frozen=True, kw_only=True)
class CardOptions:
    """What the model card says beyond what the run knows by itself."""

    name: str | None = None  # title of the model; None takes the name of the output directory
    language: list[str] = field(default_factory=list)  # ISO 639-1 codes of the corpus; the card says none otherwise
    # The Hub's identifier of the license of the weights; None: that of the checkpoint that the run begins with, if any.
    license: str | None = None


@dataclass(frozen=True, kw_only=True)
class PretrainingOptions:
    """Everything one pretraining run depends on; the top level of the YAML file."""

    output_dir: str = path_field()  # directory that receives checkpoints, logs and the final model
    seed: int = bounded(0, min=0, max=2**63 - 1)  # of everything random in the run; torch takes 63 bits
    model: ModelOptions
    corpus: CorpusOptions
    tokenizer: TokenizerOptions = field(default_factory=TokenizerOptions)
    examples: ExampleOptions = field(default_factory=ExampleOptions)
    generator: GeneratorOptions = field(default_factory=GeneratorOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    checkpoints: CheckpointOptions = field(default_factory=CheckpointOptions)
    hub: HubOptions = field(default_factory=HubOptions)
    card: CardOptions = field(default_factory=CardOptions)

    def inputs(self) -> dict[str, str | None]:
        """Return the files and directories that a run reads, by the option that names them."""
        return {"model.base": self.model.base, "tokenizer.path": self.tokenizer.path, **self.corpus.paths()}

    def __post_init__(self) -> None:
        kind = "stages" if self.training.stages else "phases"
        phases = self.training.parts()
        longest = max(phase.max_length or 0 for phase in phases)
        if longest > self.examples.max_length:
            raise ValueError(
                f"training: {kind} have max_length {longest}, expected at most examples.max_length "
                f"{self.examples.max_length}; lower it there, or raise examples.max_length"
            )
        masks = any(phase.masking_probability is not None for phase in phases)
        if masks and self.examples.final_masking_probability is not None:
            raise ValueError(
                "training: phases have a masking_probability beside examples.final_masking_probability, which changes "
                "over the whole run, expected one of them; write final_masking_probability in the phases"
            )
        if self.corpus.prepared is None:  # whose sources stand in its directory
            check_weights(phases, {part.source: part.weight for part in self.corpus.sources})
        if "rtd" not in self.examples.objectives and self.generator != GeneratorOptions():
            raise ValueError(
                f"generator: got options of one beside examples.objectives {self.examples.objectives}, expected the "
                "objective rtd; remove them, or write objectives: [rtd]"
            )
        if "rtd" in self.examples.objectives and self.training.ema_decay is not None:
            raise ValueError(
                f"training: got ema_decay {self.training.ema_decay} beside the objective rtd, expected null: no "
                "average is made of a generator and its discriminator; remove it"
            )


@dataclass(frozen=True, kw_only=True)
class LabOptions:
    """What a position lab compares; every other option is that of each of its runs."""

    positions: list[str] = field(default_factory=list)  # position types and sums of them; none given: all types
    seeds: list[int] = field(default_factory=lambda: [0, 1])  # of one run each, for every position type
    length_factors: list[int] = field(default_factory=lambda: [2, 4])  # trained lengths with a loss; []: no longer ones
    judge: bool = True  # also by word order, position bias, grammar and small tasks: about a minute for each run
    timing_rounds: int = bounded(7, min=1)  # training steps of each position type, in turns, whose time is compared

    def __post_init__(self) -> None:
        for name, values, lowest in (("seeds", self.seeds, 0), ("length_factors", self.length_factors, 2)):
            if len(set(values)) < len(values) or min(values, default=lowest) < lowest:
                raise ValueError(f"{name}: got {values}, expected different numbers from {lowest} on; write [2, 4]")
        if not self.seeds:
            raise ValueError("seeds: got [], expected one number for each run of a position type; write [0, 1]")


@dataclass(frozen=True, kw_only=True)
class PositionLabOptions(PretrainingOptions):
    """A position lab: the options of its runs, and what differs between them."""

    lab: LabOptions = field(default_factory=LabOptions)
