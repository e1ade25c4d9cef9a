"""`hf-embeddings embed`: from an options file with pairs of texts to a directory that loads as SentenceTransformer."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hf_embeddings.cli.output import AllowChanges, AsJson, EmptyOutput, Overrides
from hf_embeddings.cli.shipped_configs import find_config
from hf_embeddings.json_text import json_text
from hf_embeddings.pip_extras import require
from hf_embeddings.printable import one_line

if TYPE_CHECKING:
    from hf_embeddings.embedding.run import Outcome


def embed(
    options_file: Annotated[str, typer.Argument(help="YAML file, such as configs/embedding/pairs.yaml.")],
    overrides: Overrides = None,
    overwrite: EmptyOutput = False,
    resume: Annotated[str, typer.Option(help="auto, never, must, or a directory.")] = "auto",
    allow_changes: AllowChanges = False,
    as_json: AsJson = False,
) -> None:
    """Train a sentence encoder on pairs of texts, or on texts alone. Rerun the command to resume.

    Exit codes: 0 done, 75 stopped by a signal and saved, 2 a mistake in what was given, 1 other errors.
    """
    from hf_embeddings.corpora.sources import check_source
    from hf_embeddings.embedding.options import EmbeddingOptions
    from hf_embeddings.loading.model_names import check_model
    from hf_embeddings.pretraining.training.stop import PREEMPTED, leave_on_signals
    from hf_embeddings.typed_yaml.options_file import read_options

    options = read_options(EmbeddingOptions, find_config(options_file), overrides or [])
    require("embed", "sentence_transformers", "scipy")
    check_model(options.encoder.base, "encoder.base, the directory of a model")
    for source in filter(None, (options.data.source, options.data.evaluation_source)):
        check_source(source)
    leave_on_signals()
    from hf_embeddings.embedding.run import embed as run
    from hf_embeddings.embedding.trainer import TrainingFailed
    from hf_embeddings.publishing.card import write_card

    try:
        outcome = run(options, overwrite=overwrite, resume=resume, allow_changes=allow_changes, finish=write_card)
    except TrainingFailed as error:
        print(one_line(f"error: {error}"), file=sys.stderr)
        raise typer.Exit(1) from None
    print(json_text(outcome.to_dict()) if as_json else f"{options.output_dir}: {_sentence(outcome)}")
    if outcome.state == "preempted":
        raise typer.Exit(PREEMPTED)


def _sentence(outcome: "Outcome") -> str:
    if outcome.figures is None:
        return f"stopped at step {outcome.step}, and saved"
    if outcome.figures.worth is None:
        return "complete; nothing was held out, so that its worth is not known"
    return outcome.figures.worth.sentence("Train longer, on more rows, or begin with another encoder")
