"""`hf-embeddings verify`: compare a run or a checkpoint with its manifests."""

from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.json_text import json_text


def verify(
    folder: Annotated[Path, typer.Argument(help="Output directory of a run, or one of its checkpoints.")],
    as_json: AsJson = False,
) -> None:
    """Read every file and compare it with the SHA-256 sums in the manifests; exit code 1 if anything differs."""
    from hf_embeddings.pretraining.checkpoints.verification import verify_run as run

    findings = run(folder)
    damaged_files = {name: problem for name, problem in findings.items() if problem}
    if as_json:
        print(json_text({"whole": not damaged_files, "findings": findings}))
    else:
        for name, problem in findings.items():
            print(f"{name}: {problem or 'intact'}")
    if damaged_files:
        raise typer.Exit(1)
