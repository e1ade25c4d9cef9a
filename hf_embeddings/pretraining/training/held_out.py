"""Evaluation on held-out documents, beside what a model would reach that knows only how often each token occurs."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from hf_embeddings.analysis.intervals import Z, share_interval
from hf_embeddings.pretraining.examples.batches import IGNORED, Vocabulary, inputs_of, make_batch
from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR, Chunks
from hf_embeddings.pretraining.examples.pairs import relation
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.examples.training_phases import TrainingPhase
from hf_embeddings.pretraining.options import ExampleOptions
from hf_embeddings.pretraining.training.detection_figures import with_detection
from hf_embeddings.pretraining.training.objectives import (
    TOKEN_PREDICTIONS,
    Scores,
    evaluation_inputs,
    parts_of,
    scores_of,
)
from hf_embeddings.progress import Phases, silent_phase
from hf_embeddings.records.run import HeldOut, ObjectiveFigures, PhaseFigures, PositionLoss


def evaluation_batches(
    chunks: Chunks, vocabulary: Vocabulary, options: ExampleOptions, *, seed: int, count: int
) -> list[dict[str, torch.Tensor]]:
    """Return the same batches at every call, with `count` held-out examples where there are so many.

    Raises:
        ValueError: none of their pairs has a label, though an objective asks for one.
    """
    longest = chunks.max_tokens + SPECIAL_TOKENS_PER_PAIR
    schedule = Schedule.plan(
        chunks,
        tokens_per_batch=max(4096, longest),
        seed=seed + 1,
        relation=relation(options.objectives),
    )
    batches, examples = [], 0
    for number in range(schedule.batches_per_epoch):
        epoch, pairs = schedule.batch(number)
        probability = options.evaluation_masking_probability
        batches.append(make_batch(schedule, epoch, pairs, vocabulary, options, probability=probability))
        examples += len(pairs)
        if examples >= count:
            break
    if schedule.relation and not any((batch["next_sentence_label"] != IGNORED).any() for batch in batches):
        raise ValueError(
            f"examples.objectives: got {schedule.relation}, and no held-out pair that may be asked for it, expected "
            "some; give more documents of several sentences, raise corpus.evaluation_fraction or examples.max_length, "
            "or train with [mlm]"
        )
    return batches


def evaluate_held_out(
    model: nn.Module,
    batches: list[dict[str, torch.Tensor]],
    objectives: Sequence[str],
    device: torch.device,
    *,
    unknown: int | None = None,
    phases: Phases = silent_phase,
) -> HeldOut:
    """Return loss, accuracy, their 95 % intervals and the number of labels for each objective.

    Args:
        model: with the heads of the objectives.
        batches: of held-out examples.
        objectives: names in OBJECTIVES.
        device: of the model.
        unknown: id of [UNK]; where labels are that, the figures of the other labels stand beside.
        phases: makes what shows how far it is.
    """
    return figures_of(score_held_out(model, batches, objectives, device, phases=phases), unknown=unknown)


@torch.no_grad()
def score_held_out(
    model: nn.Module,
    batches: list[dict[str, torch.Tensor]],
    objectives: Sequence[str],
    device: torch.device,
    *,
    phases: Phases = silent_phase,
) -> dict[str, Scores]:
    """Return how well each label of each objective was predicted: see `evaluate_held_out`."""
    model.eval()
    parts: dict[str, list[Scores]] = {name: [] for name in parts_of(objectives)}
    examples = 0
    with phases("evaluating", len(batches), unit="batches") as phase:
        for batch in batches:
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            outputs = model(**inputs_of(batch, model), **evaluation_inputs(objectives, batch))
            for name in parts:
                scores = scores_of(name, outputs, batch)
                parts[name].append(scores._replace(examples=scores.examples + examples))
            examples += len(batch["cu_seq_lens"])
            phase.advance()
    model.train()
    return {name: Scores(*map(np.concatenate, zip(*own, strict=True))) for name, own in parts.items()}


def figures_of(scores: Mapping[str, Scores], *, unknown: int | None = None) -> HeldOut:
    """Return the figures that labels and their predictions come to."""
    figures = {name: _figures(own, unknown if name in TOKEN_PREDICTIONS else None) for name, own in scores.items()}
    return {name: _detailed(name, own, scores[name]) for name, own in figures.items()}


def _detailed(name: str, figures: ObjectiveFigures, scores: Scores) -> ObjectiveFigures:
    if name == "rtd":
        return with_detection(figures, scores.labels, scores.margins, scores.examples)
    return figures


def losses_by_position(scores: Scores, edges: Sequence[int]) -> list[PositionLoss]:
    """Return the mean loss of the labels at the positions between each two edges, where there are any."""
    losses = []
    for begin, end in itertools.pairwise(edges):
        is_there = (scores.positions >= begin) & (scores.positions < end)
        if is_there.any():
            loss = float(scores.losses[is_there].mean())
            losses.append(PositionLoss(begin=begin, end=end, labels=int(is_there.sum()), loss=loss))
    return losses


def position_edges(phases: Sequence[TrainingPhase], longest: int) -> list[int]:
    """Return the bounds between which losses are measured: the shortest length of a phase, doubled up to the longest.

    None where all phases have examples as long as those that are evaluated, of `longest` tokens.
    """
    edge = min(phase.schedule.chunks.max_tokens + SPECIAL_TOKENS_PER_PAIR for phase in phases)
    edges = [0]
    while edge < longest:
        edges.append(edge)
        edge *= 2
    return [*edges, longest] if len(edges) > 1 else []


def phase_figures(
    phase: TrainingPhase, scores: dict[str, Scores], edges: Sequence[int], *, description: str, tokens: int
) -> PhaseFigures:
    """Return what is kept of a phase at its end, `tokens` into the run."""
    return PhaseFigures(
        name=phase.name,
        description=description,
        steps=phase.options.steps or 0,
        tokens=tokens,
        held_out=figures_of(scores),
        losses_by_position=losses_by_position(scores["mlm"], edges) if "mlm" in scores else [],
    )


def _figures(scores: Scores, unknown: int | None) -> ObjectiveFigures:
    count, correct = len(scores.labels), int(scores.correct.sum())
    loss, error = float(scores.losses.mean()), clustered_error(scores.losses, scores.examples)
    low, high = share_interval(correct / count, count)
    figures = ObjectiveFigures(
        loss=loss,
        loss_low=loss - Z * error,
        loss_high=loss + Z * error,
        accuracy=correct / count,
        accuracy_low=low,
        accuracy_high=high,
        labels=count,
    )
    is_known = np.ones(count, dtype=bool) if unknown is None else scores.labels != unknown
    if not is_known.all():
        figures = replace(figures, unknown_labels=int((~is_known).sum()))
        if is_known.any():
            loss, accuracy = float(scores.losses[is_known].mean()), float(scores.correct[is_known].mean())
            figures = replace(figures, loss_without_unknown=loss, accuracy_without_unknown=accuracy)
    return figures


def log_frequencies(counts: np.ndarray, vocab_size: int) -> np.ndarray:
    """Return the logarithm of each token's share of the training set (vocab_size,), from counts and one more each."""
    counts = np.pad(counts, (0, vocab_size - len(counts))).astype(np.float64) + 1
    return np.asarray(np.log(counts / counts.sum()))


def unigram_loss(log_frequencies: np.ndarray, batches: list[dict[str, torch.Tensor]]) -> float:
    """Return the loss in nats, on the evaluation labels, of a model that knows only how often each token occurs."""
    labels = np.concatenate([batch["labels"].numpy() for batch in batches])
    return -float(np.mean(log_frequencies[labels[labels != IGNORED]]))


def clustered_error(values: np.ndarray, clusters: np.ndarray) -> float:
    """Return the standard error of the mean of values (N,), of which those of one cluster (N,) are alike."""
    deviations = np.bincount(clusters, weights=values - values.mean())
    return float(np.sqrt((deviations**2).sum()) / len(values))
