"""`hf-embeddings pretrain`: from an options file to a directory that is ready for the Hub."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hf_embeddings.cli.output import AllowChanges, AsJson, EmptyOutput, Overrides
from hf_embeddings.cli.shipped_configs import check_run, find_config
from hf_embeddings.json_text import json_text
from hf_embeddings.printable import one_line

if TYPE_CHECKING:
    from hf_embeddings.pretraining.run import Outcome


def pretrain(
    options_file: Annotated[str, typer.Argument(help="YAML file, such as configs/pretraining/demo.yaml.")],
    overrides: Overrides = None,
    overwrite: EmptyOutput = False,
    resume: Annotated[str, typer.Option(help="auto, never, must, a directory, or hub:USER/NAME[@REVISION].")] = "auto",
    allow_changes: AllowChanges = False,
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
    from hf_embeddings.publishing.card import write_card

    try:
        outcome = run(
            options,
            base_config=find_config(options.model.base),
            overwrite=overwrite,
            resume=resume,
            allow_changes=allow_changes,
            finish=write_card,
        )
    except TrainingFailed as error:
        print(one_line(f"error: {error}"), file=sys.stderr)
        raise typer.Exit(1) from None
    if outcome.main_process:
        print(json_text(outcome.to_dict()) if as_json else f"{options.output_dir}: {_sentence(outcome)}")
    if outcome.state == "preempted":
        raise typer.Exit(PREEMPTED)


def _sentence(outcome: "Outcome") -> str:
    if outcome.figures is None:
        return f"stopped at step {outcome.step}, and saved"
    return outcome.figures.worth.sentence() if outcome.figures.worth else "complete"
