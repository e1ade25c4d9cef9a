"""`hf-embeddings publish`: a checkpoint directory to the Hub, with code and card, after a scan of its files."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import check_model
from hf_embeddings.printable import counted


def publish(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Checkpoint directory.")],
    repo_id: Annotated[str, typer.Argument(metavar="USER/NAME", help="Repository on the Hub.")],
    private: Annotated[bool, typer.Option("--private", help="Create the repository as a private one.")] = False,
    revision: Annotated[str, typer.Option(help="Branch; made from main where it is missing.")] = "main",
    exclude: Annotated[list[str] | None, typer.Option(help="Pattern of files to leave out; may be repeated.")] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(help="Pattern of files to publish although their kind is unknown; may be repeated."),
    ] = None,
    card: Annotated[
        Literal["newest", "local", "hub"], typer.Option(help="Which card to continue from if both were edited.")
    ] = "newest",
    base_model: Annotated[str | None, typer.Option(help="Id of the model that this one was fine-tuned from.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Scan and list, without writing or pushing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Push a checkpoint to the Hub, with its code and model card, as one commit."""
    if repo_id.count("/") != 1 or not all(repo_id.split("/")):
        raise ValueError(f"{repo_id}: expected USER/NAME, such as me/my-encoder")
    check_model(folder, "the directory of a TriEmbed checkpoint")
    from huggingface_hub.utils import validate_repo_id

    validate_repo_id(repo_id)
    from hf_embeddings.publishing.checkpoint import Checkpoint
    from hf_embeddings.publishing.push import publish as push

    if failings := Checkpoint(folder).failings:
        print(f"warning: this model is not worth publishing: {'; '.join(failings)}", file=sys.stderr, flush=True)
    publication = push(
        folder, repo_id, private=private, revision=revision, exclude=exclude or (), include=include or (), card=card,
        base_model=base_model, dry_run=dry_run,
    )  # fmt: skip
    if as_json:
        print(json_text(asdict(publication)))
        return
    for path, size in publication.files.items():
        print(f"  {size:>13,}  {path}")
    for path, reason in publication.included.items():
        print(f"included by name: {path}: {reason}")
    for path, changes in publication.changed.items():
        print(f"changed for readers: {path}: {changes}")
    if publication.kept:
        print(f"kept in the card as you edited it: {', '.join(publication.kept)}")
    total = f"{counted(len(publication.files), 'file')}, {sum(publication.files.values()):,} bytes"
    print(f"{total}: would go to {repo_id} ({revision})" if dry_run else f"{total}: {publication.url}")
