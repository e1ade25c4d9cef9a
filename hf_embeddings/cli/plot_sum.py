"""`hf-embeddings plot sum`: what token, position and segment contribute to the input vectors of a text or a pair."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson, Dark, PictureFormat, picture_path, refuse_blank, tell_cut
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import check_model
from hf_embeddings.pip_extras import require


def input_sum(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Directory of a TriEmbed model.")],
    text: Annotated[str, typer.Argument(help="First segment.")],
    pair: Annotated[str | None, typer.Argument(help="Second segment.")] = None,
    out: Annotated[Path, typer.Option(help="Path of the files to write; each gets its suffix.")] = Path("sum"),
    form: PictureFormat = None,
    dark: Dark = False,
    as_json: AsJson = False,
) -> None:
    """Draw norms, cosines and shares of token, position and segment, token by token."""
    require("viz", "matplotlib")
    refuse_blank(text)
    check_model(folder, "the directory of a TriEmbed model")
    from hf_embeddings.evaluation.text_probes import probe_sum
    from hf_embeddings.visualization.pictures import save_figure
    from hf_embeddings.visualization.style import style
    from hf_embeddings.visualization.sum_plots import sum_figure

    stem, suffix = picture_path(out, form)
    probe = probe_sum(folder, text, pair)
    if probe.is_cut:
        tell_cut(len(probe.tokens))
    if probe.note:
        print(probe.note, file=sys.stderr)
    title = f"{Path(folder).name}: the input, {' + '.join(probe.parts)}"
    picture = f"{stem}.{suffix}"
    with style(dark=dark):
        save_figure(sum_figure(probe.tokens, probe.parts, title=title, note=probe.note), picture)
    if as_json:
        plain = {name: {key: value.tolist() for key, value in vars(part).items()} for name, part in probe.parts.items()}
        print(json_text({"tokens": probe.tokens, "parts": plain, "picture": picture}, indent=2))
        return
    for name, part in probe.parts.items():
        print(f"{name:<9} mean norm {part.norm.mean():7.3f}   mean share of the sum {part.share.mean():6.1%}")
    print(picture)
