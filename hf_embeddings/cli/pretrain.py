"""`hf-embeddings pretrain`: from an options file to a directory that is ready for the Hub."""

import json
import sys
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.cli.shipped_configs import check_run, find_config


def pretrain(
    options_file: Annotated[str, typer.Argument(help="YAML file, such as configs/pretraining/demo.yaml")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.field=value, which beats the file")] = None,
    overwrite: Annotated[bool, typer.Option(help="Empty the output directory if it is not empty.")] = False,
    resume: Annotated[str, typer.Option(help="auto, never, must, a directory, or hub:USER/NAME[@REVISION].")] = "auto",
    allow_changes: Annotated[bool, typer.Option(help="Resume although options differ from the checkpoint's.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pretrain a model and write a directory that is ready for the Hub. Rerun the command to resume.

    Exit codes: 0 done, 75 stopped by a signal or a time limit and saved, 2 a mistake in what was given, 1 other errors.
    """
    from hf_embeddings.pretraining.options_file import load_options
    from hf_embeddings.pretraining.training.stop import PREEMPTED, leave_on_signals

    options = load_options(find_config(options_file), overrides or [])
    check_run(options)
    leave_on_signals()
    from hf_embeddings.pretraining.run import pretrain as run
    from hf_embeddings.pretraining.training.loop import TrainingFailed
    from hf_embeddings.pretraining.training.worth import Worth
    from hf_embeddings.publishing.card import write_card

    try:
        figures = run(
            options,
            base_config=find_config(options.model.base),
            overwrite=overwrite,
            resume=resume,
            allow_changes=allow_changes,
            finish=write_card,
        )
    except TrainingFailed as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if figures.pop("main_process"):
        if figures["state"] == "done":
            words = Worth.from_dict(figures["worth"]).sentence() if "worth" in figures else "complete"
        else:
            words = f"stopped at step {figures['step']}, and saved"
        print(json.dumps(figures) if as_json else f"{options.output_dir}: {words}")
    if figures["state"] == "preempted":
        raise typer.Exit(PREEMPTED)
