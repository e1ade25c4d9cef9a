"""`hf-embeddings position-lab`: the same small model with every position type, and a report."""

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.extras import require
from hf_embeddings.cli.output import AsJson
from hf_embeddings.cli.shipped_configs import check_run, find_config
from hf_embeddings.files.atomic import write_text

STATE, REPORT, PICTURE = "position-lab.json", "position-lab.md", "position-lab.png"


def position_lab(
    options_file: Annotated[str, typer.Argument(help="YAML file, such as configs/pretraining/position-lab.yaml")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.field=value, which beats the file")] = None,
    report: Annotated[bool, typer.Option(help="Start no run; report what the finished ones say.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pretrain one model with every position type and several seeds, measure, report; started again, go on.

    Writes position-lab.md, .png and .json, and the runs, each a directory that `from_pretrained` loads, in the output
    directory. Exit codes as of `pretrain`.
    """
    require("viz", "matplotlib")
    from hf_embeddings.pretraining.options import PositionLabOptions
    from hf_embeddings.pretraining.options_file import load_options
    from hf_embeddings.pretraining.training.stop import leave_on_signals

    options = load_options(find_config(options_file), overrides or [], PositionLabOptions)
    check_run(options)
    leave_on_signals()
    from transformers.utils import logging

    from hf_embeddings.lab.position_lab import PositionLab
    from hf_embeddings.pretraining.training.loop import TrainingFailed
    from hf_embeddings.progress import Phase, print_to_stderr

    logging.disable_progress_bar()  # of each small model that is loaded
    base_config = find_config(options.model.base)
    phases = partial(Phase, passing=True)
    lab = PositionLab(options, base_config=base_config, say=print_to_stderr, phases=phases)
    state = _State(Path(options.output_dir), options)
    try:
        if not report:
            _run_all(lab, state)
    except TrainingFailed as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if not (done := [cell for cell in lab.cells if cell.name in state.content["runs"]]):
        raise ValueError(f"--report: no run of {options.output_dir} is finished; start without it")
    if "step_ratios" not in state.content or state.content["step_ratios"].keys() < set(lab.positions):
        lab.say("measuring the time of steps")
        state.content["step_ratios"] = lab.step_ratios()
        state.save()
    summary = summarise(lab, state.content)
    write(Path(options.output_dir), summary)
    print(json.dumps(summary) if as_json else f"{options.output_dir}: {REPORT}, {PICTURE}, {len(done)} runs")


def _run_all(lab, state: "_State") -> None:
    from hf_embeddings.cli.positions import measure
    from hf_embeddings.pretraining.training.stop import PREEMPTED
    from hf_embeddings.publishing.card import write_card

    missing = [cell for cell in lab.cells if cell.name not in state.content["runs"]]
    began = time.monotonic()
    for number, cell in enumerate(missing):
        left = f", {(time.monotonic() - began) / number * (len(missing) - number) / 60:.0f} min left" if number else ""
        lab.say(f"run {len(lab.cells) - len(missing) + number + 1} of {len(lab.cells)}{left}: {cell.name}")
        figures = lab.run(cell, finish=write_card)
        if figures["state"] == "preempted":
            lab.say("stopped, and saved; start again to go on")
            raise typer.Exit(PREEMPTED)
        laws, _ = measure(str(lab.folder(cell)), config=lab.base_config, length=None)
        state.content["runs"][cell.name] = figures | {"laws": laws}
        state.save()


class _State:
    """What is measured so far, in the output directory."""

    def __init__(self, folder: Path, options: object) -> None:
        """Read what is there.

        Raises:
            ValueError: it belongs to other options.
        """
        from hf_embeddings.option_fields import to_dict

        self.path = folder / STATE
        own = {name: value for name, value in to_dict(options).items() if name not in ("lab", "output_dir")}
        self.content: dict = {"options": own, "runs": {}}
        if self.path.exists():
            self.content = json.loads(self.path.read_text(encoding="utf-8"))
            if self.content["options"] != own:
                raise ValueError(f"output_dir: {folder} holds a lab with other options; give those, or choose another")

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, json.dumps(self.content, indent=1) + "\n")


def summarise(lab, content: dict[str, object]) -> dict[str, object]:
    """Return what report and picture show: means over the seeds of each position type, with intervals."""
    from hf_embeddings.analysis.intervals import pooled_intervals
    from hf_embeddings.pretraining.examples.pairs import relation

    runs = {cell.name: content["runs"][cell.name] for cell in lab.cells if cell.name in content["runs"]}
    by_position = {p: [run for run in runs.values() if run["position"] == p] for p in lab.positions}
    by_position = {position: group for position, group in by_position.items() if group}
    examples, material = lab.options.examples, lab.material
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
        "unigram_loss": material.baseline,
        "model": {name: getattr(material.config, name) for name in architecture},
        "machine": _machine(),
        "positions": rows,
    }


def _machine() -> dict[str, str]:
    import torch
    import transformers

    from hf_embeddings.hardware import describe

    device = describe("cuda") if torch.cuda.is_available() else f"{describe()}, threads used: {torch.get_num_threads()}"
    return {"device": device, "torch": torch.__version__, "transformers": transformers.__version__}


def write(folder: Path, summary: dict[str, object]) -> None:
    """Write report and picture."""
    from hf_embeddings.lab.report import lab_report
    from hf_embeddings.visualization.lab_plots import lab_figure

    lab_figure(summary).savefig(folder / PICTURE)
    (folder / REPORT).write_text(lab_report(summary, picture=PICTURE), encoding="utf-8", newline="\n")
