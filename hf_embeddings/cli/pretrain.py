"""`hf-embeddings pretrain`: from an options file to a directory that is ready for the Hub."""

import json
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.cli.shipped_configs import find_config


def pretrain(
    options_file: Annotated[str, typer.Argument(help="YAML file, such as configs/pretraining/demo.yaml")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.field=value, which beats the file")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output directory if it is not empty.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pretrain a model and write a directory that is ready for the Hub."""
    from hf_embeddings.pretraining.options_file import load_options

    options = load_options(find_config(options_file), overrides or [])
    from hf_embeddings.pretraining.run import pretrain as run
    from hf_embeddings.publishing.card import write_card

    figures = run(options, base_config=find_config(options.model.base), overwrite=overwrite, finish=write_card)
    if figures["main_process"]:
        print(json.dumps(figures) if as_json else f"{options.output_dir}: ready for the Hub")
