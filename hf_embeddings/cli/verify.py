"""`hf-embeddings verify`: compare what other verbs wrote with the sums that they left beside it."""

from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.json_text import json_text
from hf_embeddings.printable import counted

INDEX_RECORDS = "records.sqlite"  # by which an index is known, without what it takes to read one


def verify(
    folder: Annotated[Path, typer.Argument(help="A run, one of its checkpoints, a prepared corpus, or an index.")],
    as_json: AsJson = False,
) -> None:
    """Read every file and compare it with the SHA-256 sums that were left; exit code 1 if anything differs."""
    findings = _findings(folder)
    damaged_files = {name: problem for name, problem in findings.items() if problem}
    if as_json:
        print(json_text({"whole": not damaged_files, "findings": findings}))
    else:
        for name, problem in findings.items():
            print(f"{name}: {problem or 'intact'}")
    if damaged_files:
        raise typer.Exit(1)


def _findings(folder: Path) -> dict[str, str]:
    """Return what is wrong with each part; nothing where it is intact."""
    if (folder / INDEX_RECORDS).is_file():
        from hf_embeddings.search.index import Index

        with Index(folder) as index:
            return {f"index of {counted(len(index), 'passage')}": index.damage()}
    from hf_embeddings.pretraining.checkpoints.verification import verify_run

    return verify_run(folder)
