"""`hf-embeddings position-lab`: the same small model with every position type, and a report."""

import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_embeddings.cli.output import AsJson, Overrides
from hf_embeddings.cli.shipped_configs import check_run, find_config
from hf_embeddings.json_text import json_text
from hf_embeddings.pip_extras import require
from hf_embeddings.printable import one_line

if TYPE_CHECKING:
    from hf_embeddings.lab.position_lab import Cell, PositionLab
    from hf_embeddings.lab.state import LabState


def position_lab(
    options_file: Annotated[str, typer.Argument(help="YAML file, such as configs/pretraining/position-lab.yaml.")],
    overrides: Overrides = None,
    report: Annotated[bool, typer.Option("--report", help="Start no run; report on those that are finished.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pretrain one model with every position type and several seeds, measure, and report. Rerun the command to resume.

    The output directory gets position-lab.md, .csv, .tex, .png and .json, and each run in a directory that
    `from_pretrained` loads.

    Exit codes: as `pretrain`.
    """
    require("viz", "matplotlib")
    from hf_embeddings.pretraining.options import PositionLabOptions
    from hf_embeddings.pretraining.training.stop import leave_on_signals
    from hf_embeddings.typed_yaml.options_file import read_options

    options = read_options(PositionLabOptions, find_config(options_file), overrides or [])
    check_run(options)
    leave_on_signals()
    from transformers.utils import logging

    from hf_embeddings.lab.position_lab import PositionLab
    from hf_embeddings.lab.state import LabState
    from hf_embeddings.lab.summary import PICTURE, REPORT, summarise, write_report
    from hf_embeddings.pretraining.training.loop import TrainingFailed
    from hf_embeddings.progress import Phase, print_to_stderr

    logging.disable_progress_bar()  # of each small model that is loaded
    base_config = find_config(options.model.base)
    phases = partial(Phase, passing=True)
    lab = PositionLab(options, base_config=base_config, say=print_to_stderr, phases=phases)
    state = LabState(Path(options.output_dir), options)
    try:
        if not report:
            _run_all(lab, state)
    except TrainingFailed as error:
        print(one_line(f"error: {error}"), file=sys.stderr)
        raise typer.Exit(1) from None
    if not (finished_cells := [cell for cell in lab.cells if cell.name in state.record.runs]):
        raise ValueError(f"--report: no run of {options.output_dir} is finished; start without it")
    if state.record.step_ratios is None or state.record.step_ratios.keys() < set(lab.positions):
        lab.say("measuring the time of steps")
        state.record.step_ratios = lab.step_ratios()
        state.save()
    summary = summarise(lab, state.record)
    write_report(Path(options.output_dir), summary)
    print(
        json_text(summary.to_dict())
        if as_json
        else f"{options.output_dir}: {REPORT}, {PICTURE}, {len(finished_cells)} runs"
    )


def _run_all(lab: "PositionLab", state: "LabState") -> None:
    from hf_embeddings.evaluation.position_measures import measure_positions
    from hf_embeddings.pretraining.training.stop import PREEMPTED
    from hf_embeddings.publishing.card import write_card

    missing = [cell for cell in lab.cells if cell.name not in state.record.runs]
    if missing:
        lab.check_lengths()
    for cell in lab.cells:
        _judge(lab, state, cell)  # of earlier calls
    began = time.monotonic()
    for number, cell in enumerate(missing):
        time_left = (
            f", {(time.monotonic() - began) / number * (len(missing) - number) / 60:.0f} min left" if number else ""
        )
        lab.say(f"run {len(lab.cells) - len(missing) + number + 1} of {len(lab.cells)}{time_left}: {cell.name}")
        run = lab.run(cell, finish=write_card)
        if run is None:
            lab.say("stopped and saved; rerun the command to resume")
            raise typer.Exit(PREEMPTED)
        laws, _ = measure_positions(str(lab.folder(cell)), config=lab.base_config, length=None)
        state.record.runs[cell.name] = replace(run, laws=laws)
        state.save()
        _judge(lab, state, cell)


def _judge(lab: "PositionLab", state: "LabState", cell: "Cell") -> None:
    run = state.record.runs.get(cell.name)
    if lab.options.lab.judge and run is not None and run.judgement is None and lab.folder(cell).is_dir():
        lab.say(f"judging {cell.name}")
        state.record.runs[cell.name] = replace(run, judgement=lab.judge(cell))
        state.save()
