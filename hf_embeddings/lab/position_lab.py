"""The position lab: one model pretrained with each position type, measured on the same held-out text.

All runs of a lab have the same corpus, tokenizer, examples and number of steps; they differ in position type and seed.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from hf_embeddings.lab.judgement import judge
from hf_embeddings.loading.messages import no_bars
from hf_embeddings.model.modeling_triembed import TriEmbedForPreTraining
from hf_embeddings.model.positions import POSITION_TYPES
from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR, Chunks
from hf_embeddings.pretraining.examples.pairs import RELATIONS
from hf_embeddings.pretraining.options import PositionLabOptions, PretrainingOptions
from hf_embeddings.pretraining.run import pretrain
from hf_embeddings.pretraining.training.gradients import compute_gradients
from hf_embeddings.pretraining.training.held_out import evaluate_held_out, evaluation_batches
from hf_embeddings.pretraining.training.loop import keep_freed_memory
from hf_embeddings.pretraining.training.optimization import build_optimizers
from hf_embeddings.pretraining.training.processes import build_accelerator, choose_precision, join_processes, share
from hf_embeddings.pretraining.training.training_data import Say, TrainingData, build_config, load_training_data
from hf_embeddings.progress import Phases, silent_phase
from hf_embeddings.records.lab import Judgement, LabRun

BASELINE = "learned"  # what the time of a step is compared with
NEARLY_FULL = 0.75  # of the length: shorter examples would not test it


@dataclass(frozen=True)
class Cell:
    """One run of a lab."""

    position: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its directory."""
        return f"{self.position}-seed{self.seed}"


class PositionLab:
    """The runs of a lab; the corpus is prepared once, when the first of them needs it."""

    def __init__(
        self, options: PositionLabOptions, *, base_config: Path, say: Say, phases: Phases = silent_phase
    ) -> None:
        """Check the options.

        Raises:
            ValueError: there is no loss to compare, a position type is unknown, or the model cannot be built with it.
        """
        if "mlm" not in options.examples.objectives:
            raise ValueError(
                f"examples.objectives: got {options.examples.objectives}, expected mlm among them, whose loss the lab "
                "compares; write [mlm]"
            )
        self.options, self.base_config, self.say, self.phases = options, base_config, say, phases
        self.positions = options.lab.positions or list(POSITION_TYPES)
        # Seeds outside: a lab that is not finished compares all types already.
        self.cells = [Cell(position, seed) for seed in options.lab.seeds for position in self.positions]
        for position in self.positions:
            build_config(self._options(Cell(position, 0)), base_config, vocab_size=options.tokenizer.vocab_size)
        self._data: TrainingData | None = None
        self._batches: dict[int, list[dict[str, torch.Tensor]]] = {}  # of each length, the same for all runs

    @property
    def data(self) -> TrainingData:
        """What all runs train on."""
        if self._data is None:
            self._data = load_training_data(self.options, self.base_config, self.say, phases=self.phases)
        return self._data

    def folder(self, cell: Cell) -> Path:
        """Return the output directory of a run."""
        return Path(self.options.output_dir) / "runs" / cell.name

    def _options(self, cell: Cell) -> PretrainingOptions:
        values = {field.name: getattr(self.options, field.name) for field in fields(PretrainingOptions)}
        overrides = self.options.model.overrides | {"position_embedding_type": cell.position}
        model = replace(self.options.model, overrides=overrides)
        return PretrainingOptions(**values | {"seed": cell.seed, "model": model, "output_dir": str(self.folder(cell))})

    def run(self, cell: Cell, finish: Callable[[Path], object] | None = None) -> LabRun | None:
        """Pretrain, or go on with it, and measure; None where the run was stopped. `finish` is as in `pretrain`."""
        outcome = pretrain(self._options(cell), base_config=self.base_config, finish=finish, data=self.data)
        if outcome.figures is None:
            return None
        figures, held_out = outcome.figures, outcome.figures.held_out
        with no_bars():
            model = TriEmbedForPreTraining.from_pretrained(self.folder(cell), dtype=torch.float32)
        losses: dict[str, float | None] = {"1": None}
        for factor in (1, *self.options.lab.length_factors):
            losses[str(factor)] = None
            if factor == 1 or not model.config.positions_end:
                batches = self.length_batches(factor)
                results = evaluate_held_out(model, batches, ["mlm"], torch.device("cpu"), phases=self.phases)
                losses[str(factor)] = results["mlm"].loss
        pairs = {
            f"{name}_{key}": getattr(held_out[name], key)
            for name in RELATIONS
            if name in held_out
            for key in ("accuracy", "labels")
        }
        return LabRun(
            position=cell.position,
            seed=cell.seed,
            mlm_loss=held_out["mlm"].loss,
            mlm_accuracy=held_out["mlm"].accuracy,
            mlm_labels=held_out["mlm"].labels,
            **pairs,
            worth=figures.worth,
            training_tokens=figures.training_tokens,
            parameters=figures.parameters,
            losses_by_length=losses,
        )

    def judge(self, cell: Cell) -> Judgement:
        """Measure what a finished run has learned of order."""
        return judge(
            self.folder(cell),
            held_out=self.length_batches(1),
            documents=self.data.evaluation,
            vocabulary=self.data.vocabulary,
            tokenizer=self.data.tokenizer,
            seed=self.options.seed,
            phases=self.phases,
        )

    def check_lengths(self) -> None:
        """Look for documents of every length before the first run, which may take hours; say how many there are.

        Raises:
            ValueError: no held-out document is long enough.
        """
        self.length_batches(1)
        longest = self._longest
        count = int((self._document_tokens() >= longest).sum())
        self.say(f"losses by length are of {count:,} held-out documents of {longest:,} tokens or more")
        for factor in self.options.lab.length_factors:
            self.length_batches(factor)

    def length_batches(self, factor: int) -> list[dict[str, torch.Tensor]]:
        """Return held-out batches of documents that are long enough for every factor, cut to `factor` lengths.

        Raises:
            ValueError: no held-out document is.
        """
        if factor not in self._batches:
            self._batches[factor] = self._make_length_batches(factor)
        return self._batches[factor]

    def _make_length_batches(self, factor: int) -> list[dict[str, torch.Tensor]]:
        length, longest = self.options.examples.max_length, self._longest
        chunks = long_chunks(
            self.data.evaluation, max_tokens=length * factor - SPECIAL_TOKENS_PER_PAIR, document_tokens=longest
        )
        if not len(chunks):
            most = self._document_tokens().max()
            if most < longest:
                reason = (
                    f"no held-out document has the {longest} tokens that factor "
                    f"{longest // length} needs, the longest has {most}"
                )
            else:
                reason = (
                    f"no held-out document of {longest} tokens or more has sentences in a row that fill "
                    f"{NEARLY_FULL:.0%} of {length * factor}, as factor {factor} needs"
                )
            raise ValueError(
                f"lab.length_factors: {reason}; lower it, change examples.max_length ({length}), or hold out more "
                "documents (corpus.evaluation_fraction)"
            )
        examples = replace(self.options.examples, objectives=["mlm"], objective_weights={})
        count = self.options.training.evaluation_examples
        return evaluation_batches(chunks, self.data.vocabulary, examples, seed=self.options.seed, count=count)

    @property
    def _longest(self) -> int:
        """Tokens of a document that is long enough for every factor."""
        return self.options.examples.max_length * max([1, *self.options.lab.length_factors])

    def _document_tokens(self) -> np.ndarray:
        """Return the number of tokens of each held-out document."""
        chunks = self.data.evaluation
        own = np.unique(chunks.documents)
        return np.diff(chunks.corpus.sentence_starts[chunks.corpus.document_starts[:]])[own]

    def step_ratios(self) -> dict[str, float]:
        """Return the time of a training step with each position type, as a ratio to that with `learned`.

        Medians of the ratios over rounds in which the types take turns, in one process; on a CPU it is processor time,
        which other work on the machine disturbs less.
        """
        keep_freed_memory()
        names = [BASELINE, *(position for position in self.positions if position != BASELINE)]
        steps = {name: self._stepper(Cell(name, 0)) for name in names}
        seconds: dict[str, list[float]] = {name: [] for name in names}
        rounds = self.options.lab.timing_rounds + 1  # the first one warms up
        with self.phases("measuring the time of steps", rounds * len(steps), unit="steps") as phase:
            for number in range(rounds):
                for name, step in steps.items():
                    began = _clock()
                    step()
                    if number:
                        seconds[name].append(_clock() - began)
                    phase.advance()
        return {
            name: statistics.median(own / base for own, base in zip(times, seconds[BASELINE], strict=True))
            for name, times in seconds.items()
            if name in self.positions
        }

    def _stepper(self, cell: Cell) -> Callable[[], None]:
        options = self._options(cell)
        precision = choose_precision(options.training.mixed_precision, join_processes(options.training))
        accelerator = build_accelerator(precision.name, objectives=options.examples.objectives, curves=None)
        model = TriEmbedForPreTraining(self.data.for_model(options, self.base_config).config)
        model.set_attn_implementation(options.training.attention)
        shared_model = share(model, accelerator, options.training).train()
        optimizers = [
            accelerator.prepare_optimizer(optimizer) for optimizer in build_optimizers(shared_model, options.training)
        ]
        batch = self.data.held_out[0]

        def step() -> None:
            compute_gradients(
                shared_model, [batch], options.examples, options.training, accelerator, seed=options.seed, step=0
            )
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()

        return step


def long_chunks(chunks: Chunks, *, max_tokens: int, document_tokens: int) -> Chunks:
    """Cut documents of at least `document_tokens` into other chunks, of nearly `max_tokens`."""
    corpus, candidates = chunks.corpus, chunks.recut(max_tokens)
    bounds = corpus.sentence_starts[corpus.document_starts[:]]
    if not len(candidates):
        return candidates
    is_long = (np.diff(bounds)[candidates.documents] >= document_tokens) & (
        candidates.ends - candidates.starts >= NEARLY_FULL * max_tokens
    )
    return candidates.select(np.flatnonzero(is_long))


def _clock() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()
