"""What the finished runs of a position lab say together: means over seeds with intervals, as a report and a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from hf_embeddings.analysis.intervals import beyond_chance, mean_interval, paired_difference
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.hardware import describe
from hf_embeddings.lab.position_lab import BASELINE, PositionLab
from hf_embeddings.lab.report import lab_csv, lab_latex, lab_report
from hf_embeddings.pretraining.examples.pairs import relation
from hf_embeddings.records.lab import (
    LabModel,
    LabRecord,
    LabRun,
    LabSummary,
    Mean,
    MeanInterval,
    PositionSummary,
    RunDifference,
)

REPORT, PICTURE, CSV, LATEX = (f"position-lab.{ending}" for ending in ("md", "png", "csv", "tex"))


def summarise(lab: PositionLab, record: LabRecord) -> LabSummary:
    """Return what report and picture show: means over the seeds of each position type, with intervals."""
    runs = [record.runs[cell.name] for cell in lab.cells if cell.name in record.runs]
    by_position = {position: [run for run in runs if run.position == position] for position in lab.positions}
    by_position = {position: group for position, group in by_position.items() if group}
    pair = relation(lab.options.examples.objectives)
    keys = {"mlm_loss": "mlm_loss"} | ({"relation_accuracy": f"{pair}_accuracy"} if pair else {})
    values = {
        position: {name: [run.figure(key) for run in group] for name, key in keys.items()}
        for position, group in by_position.items()
    }
    differences = {name: _differences(by_position, key) for name, key in keys.items()}
    config = lab.data.config
    return LabSummary(
        corpus=lab.options.corpus.source,
        max_steps=lab.options.training.total_steps,
        max_length=lab.options.examples.max_length,
        length_factors=lab.options.lab.length_factors,
        relation=pair,
        training_tokens=runs[0].training_tokens,
        unigram_loss=lab.data.baseline,
        model=LabModel(
            num_hidden_layers=config.num_hidden_layers,
            hidden_size=config.hidden_size,
            num_attention_heads=config.num_attention_heads,
            vocab_size=config.vocab_size,
        ),
        machine=_machine(),
        positions={
            position: PositionSummary(
                **_figures_of(position, values[position], differences),
                seeds=[run.seed for run in group],
                values=values[position],
                losses_by_length=_mean_losses(group),
                step_ratio=(record.step_ratios or {}).get(position),
                parameters=group[0].parameters,
                failed=sum(bool(run.worth and run.worth.reasons) for run in group),
                laws=group[0].laws,
                judged=_judged(group),
            )
            for position, group in by_position.items()
        },
    )


def _figures_of(
    position: str, values: Mapping[str, Sequence[float]], differences: Mapping[str, Mapping[str, RunDifference]]
) -> dict[str, Any]:
    """Return the fields of a `PositionSummary` that are intervals, and differences from the baseline."""
    intervals = {name: MeanInterval(**mean_interval(own)._asdict()) for name, own in values.items()}
    return intervals | {f"{name}_difference": by_type.get(position) for name, by_type in differences.items()}


def _differences(groups: Mapping[str, Sequence[LabRun]], key: str) -> dict[str, RunDifference]:
    """Return how each position type differs from the baseline, over the seeds that both have."""
    base = {run.seed: run.figure(key) for run in groups.get(BASELINE, ())}
    by_type = {}
    for position, group in groups.items():
        pairs = [(run.figure(key), base[run.seed]) for run in group if run.seed in base]
        if pairs and position != BASELINE:
            by_type[position] = paired_difference(*zip(*pairs, strict=True))
    real = beyond_chance({name: own.p_value for name, own in by_type.items() if own.p_value is not None})
    return {name: RunDifference(**own._asdict(), beyond_chance=name in real) for name, own in by_type.items()}


def _mean_losses(runs: Sequence[LabRun]) -> dict[str, Mean | None]:
    """Return the mean loss at each length; None where the position type ends before."""
    means: dict[str, Mean | None] = {}
    for factor in runs[0].losses_by_length:
        losses = [loss for run in runs if (loss := run.losses_by_length[factor]) is not None]
        means[factor] = Mean(mean=sum(losses) / len(losses)) if len(losses) == len(runs) else None
    return means


def _judged(runs: Sequence[LabRun]) -> dict[str, MeanInterval] | None:
    """Return the mean of each measure over the runs that have it; None where none was judged."""
    values: dict[str, list[float]] = {}
    for judgement in [run.judgement for run in runs if run.judgement is not None]:
        for size, rise in judgement.shuffled.items():
            values.setdefault(f"shuffled_{size}", []).append(rise)
        if judgement.start_less_end is not None:
            values.setdefault("start_less_end", []).append(judgement.start_less_end)
        for language, figures in judgement.grammar.items():
            if figures.accuracy is not None:
                values.setdefault(f"grammar_{language}", []).append(figures.accuracy)
        for task, accuracy in judgement.fine_tuned.items():
            values.setdefault(f"task_{task}", []).append(accuracy)
    return {name: MeanInterval(**mean_interval(own)._asdict()) for name, own in values.items()} or None


def _machine() -> dict[str, str]:
    device = describe("cuda") if torch.cuda.is_available() else f"{describe()}, threads used: {torch.get_num_threads()}"
    return {"device": device, "torch": torch.__version__, "transformers": transformers.__version__}


def write_report(folder: Path, summary: LabSummary) -> None:
    """Write report, tables and picture."""
    from hf_embeddings.visualization.lab_plots import lab_figure  # matplotlib is an extra
    from hf_embeddings.visualization.pictures import save_figure
    from hf_embeddings.visualization.style import style

    with style():
        save_figure(lab_figure(summary), folder / PICTURE)
    replace_text(folder / REPORT, lab_report(summary, picture=PICTURE))
    replace_text(folder / CSV, lab_csv(summary))
    replace_text(folder / LATEX, lab_latex(summary))
