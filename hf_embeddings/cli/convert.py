"""`hf-embeddings convert`: a checkpoint of another family becomes TriEmbed, or TriEmbed becomes one of theirs."""

from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.files.staging import check_target
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import fetch, is_hub_id


def convert(
    source: Annotated[str, typer.Argument(help="Checkpoint directory or Hub id.")],
    target: Annotated[str, typer.Argument(help="Directory to write.")],
    to: Annotated[str | None, typer.Option(help="From TriEmbed to this model type, such as bert.")] = None,
    check: Annotated[bool, typer.Option(help="Compare the outputs of both models before anything is kept.")] = True,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Read pytorch_model.bin, with the weights_only reader.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the target directory if it is not empty.")
    ] = False,
    family: Annotated[
        str | None, typer.Option(help="Family of the source, such as bert; default: as its config and weights say.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="Class of the source, such as ForMaskedLM; default: as config and weights say.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="Pattern of weights to leave out, such as 'ranker.*'; may be repeated.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Adapter to merge, such as text-matching, where the source has several.")
    ] = None,
    ignore_key: Annotated[list[str] | None, typer.Option(help="Config key that changes no output.")] = None,
    max_shard_gb: Annotated[
        float, typer.Option(min=0.001, help="Largest weight file in GB, held in memory at once.")
    ] = 5.0,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of the Hub repository.")] = None,
    as_json: AsJson = False,
) -> None:
    """Convert a checkpoint to TriEmbed; with --to, convert a TriEmbed checkpoint to another model type."""
    path = Path(source)
    # A TensorFlow checkpoint goes by what the names of its files share.
    place = path if path.exists() else next(path.parent.glob(f"{path.name}.*"), None)
    if place is None:
        if not is_hub_id(source):
            raise ValueError(f"{source}: no such directory, and no id of the Hub (USER/NAME); check the path")
        fetch(source, ["config.json"], revision=revision)
    check_target(Path(target), inputs={"SOURCE": place}, overwrite=overwrite)
    from hf_embeddings.conversion.convert import convert as run
    from hf_embeddings.progress import print_to_stderr
    from hf_embeddings.publishing.card import write_card

    report = run(
        source,
        target,
        to=to,
        check=check,
        allow_pickle=allow_pickle,
        overwrite=overwrite,
        family=family,
        head=head,
        drop=tuple(drop or ()),
        task=task,
        ignore_keys=tuple(ignore_key or ()),
        shard_bytes=int(max_shard_gb * 1e9),
        revision=revision,
        notify=print_to_stderr,
        finish=write_card if to is None else lambda folder: None,
    )
    if as_json:
        print(json_text(report.to_dict()))
        return
    print(f"{report.target}: {report.target_class}, {report.tensors} tensors, {report.bytes / 1e6:,.1f} MB")
    if report.largest_difference is None:
        print("not compared with the source")
    else:
        print(f"largest difference from the source {report.largest_difference:.2g} ({report.checked_on} tokens, fp32)")
    print(f"tokenizer: {report.tokenizer}")
    if report.left_out:
        print(f"left out, as no output depends on it: {', '.join(report.left_out)}")
    for remark in report.remarks:
        print(f"found: {remark}")
    if report.note:
        print(f"note: {report.note}")
