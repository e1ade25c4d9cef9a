"""What the finished runs of a position lab say together: means over seeds with intervals, as a report and a picture."""

from pathlib import Path

import torch
import transformers

from hf_embeddings.analysis.intervals import pooled_intervals
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.hardware import describe
from hf_embeddings.lab.position_lab import PositionLab
from hf_embeddings.lab.report import lab_report
from hf_embeddings.pretraining.examples.pairs import relation

REPORT, PICTURE = "position-lab.md", "position-lab.png"


def summarise(lab: PositionLab, content: dict[str, object]) -> dict[str, object]:
    """Return what report and picture show: means over the seeds of each position type, with intervals."""
    runs = {cell.name: content["runs"][cell.name] for cell in lab.cells if cell.name in content["runs"]}
    by_position = {p: [run for run in runs.values() if run["position"] == p] for p in lab.positions}
    by_position = {position: group for position, group in by_position.items() if group}
    examples, data = lab.options.examples, lab.data
    pair = relation(examples.objectives)
    keys = {"mlm_loss": "mlm_loss"} | ({"relation_accuracy": f"{pair}_accuracy"} if pair else {})
    values = {p: {name: [run[key] for run in group] for name, key in keys.items()} for p, group in by_position.items()}
    intervals = {name: pooled_intervals({p: values[p][name] for p in values}) for name in keys}
    rows = {}
    for position, group in by_position.items():
        lengths = {}
        for factor in group[0]["losses_by_length"]:
            losses = [run["losses_by_length"][factor] for run in group]
            lengths[factor] = None if None in losses else {"mean": sum(losses) / len(losses)}
        rows[position] = {name: intervals[name][position]._asdict() for name in keys} | {
            "seeds": [run["seed"] for run in group],
            "values": values[position],
            "losses_by_length": lengths,
            "step_ratio": content["step_ratios"].get(position),
            "parameters": group[0]["parameters"],
            "failed": sum(bool(run.get("worth", {}).get("reasons")) for run in group),
            "laws": group[0]["laws"],
        }
    architecture = ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
    return {
        "corpus": lab.options.corpus.source,
        "max_steps": lab.options.training.max_steps,
        "max_length": examples.max_length,
        "length_factors": lab.options.lab.length_factors,
        "relation": pair,
        "training_tokens": next(iter(runs.values()))["training_tokens"],
        "unigram_loss": data.baseline,
        "model": {name: getattr(data.config, name) for name in architecture},
        "machine": _machine(),
        "positions": rows,
    }


def _machine() -> dict[str, str]:
    device = describe("cuda") if torch.cuda.is_available() else f"{describe()}, threads used: {torch.get_num_threads()}"
    return {"device": device, "torch": torch.__version__, "transformers": transformers.__version__}


def write_report(folder: Path, summary: dict[str, object]) -> None:
    """Write report and picture."""
    from hf_embeddings.visualization.lab_plots import lab_figure  # matplotlib is an extra

    lab_figure(summary).savefig(folder / PICTURE)
    replace_text(folder / REPORT, lab_report(summary, picture=PICTURE))
