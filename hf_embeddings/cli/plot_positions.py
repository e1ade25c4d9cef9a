"""`hf-embeddings plot positions`: vectors, similarities and attention-bias maps of position types."""

from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import Dark, PictureFormat
from hf_embeddings.cli.positions import BASE, Sizes, TypesOrFolders, check_type, draw, picture_names
from hf_embeddings.cli.shipped_configs import find_config
from hf_embeddings.pip_extras import require
from hf_embeddings.pretraining.architecture import read_architecture


def positions(
    types: TypesOrFolders = None,
    config: Sizes = BASE,
    length: Annotated[int | None, typer.Option(help="Positions to draw; default: as trained, 128 at most.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("positions"),
    form: PictureFormat = None,
    dark: Dark = False,
) -> None:
    """Draw position types: the vectors and their similarity, and what every head adds to the attention scores."""
    require("viz", "matplotlib")
    for name in types or ():
        check_type(name)
    read_architecture(find_config(config))
    from hf_embeddings.evaluation.position_measures import measure_positions
    from hf_embeddings.model.positions import POSITION_TYPES
    from hf_embeddings.visualization.pictures import save_figure
    from hf_embeddings.visualization.position_plots import bias_figure
    from hf_embeddings.visualization.style import style

    names = types or list(POSITION_TYPES)
    suffix = form or "png"
    with style(dark=dark):
        for name, title in zip(names, picture_names(names), strict=True):
            report, probe = measure_positions(name, config=find_config(config), length=length, longest=128)
            print(draw(title, report, probe, out / f"{title}.{suffix}"))
            figure = bias_figure(title, probe.scores, scored=probe.scored)
            print(save_figure(figure, out / f"{title}-heads.{suffix}"))
