"""`hf-embeddings plot attention`: what every head attends to in a text or a pair."""

from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import Dark, PictureFormat, picture_path, refuse_blank, tell_cut
from hf_embeddings.loading.model_names import check_model
from hf_embeddings.pip_extras import require

MEAN = "mean"


def attention(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Directory of a model that AutoModel loads.")],
    text: Annotated[str, typer.Argument(help="Text, or first segment.")],
    pair: Annotated[str | None, typer.Argument(help="Second segment.")] = None,
    layer: Annotated[int | None, typer.Option(help="One layer, from 0: its heads, with the tokens.")] = None,
    head: Annotated[str | None, typer.Option(help="One head of it, from 0, or the 'mean' of all.")] = None,
    out: Annotated[Path, typer.Option(help="Path of the files to write; each gets its suffix.")] = Path("attention"),
    form: PictureFormat = None,
    dark: Dark = False,
) -> None:
    """Draw attention weights: all layers and heads, the heads of one layer with the tokens, or one head."""
    require("viz", "matplotlib")
    if head is not None and layer is None:
        raise ValueError(f"--head {head}: given without --layer; say which layer")
    refuse_blank(text)
    check_model(folder)
    if head is not None and head != MEAN and not head.isdecimal():
        raise ValueError(f"--head: got {head!r}, expected a number from 0, or {MEAN}")
    from hf_embeddings.evaluation.text_probes import probe_attention
    from hf_embeddings.visualization.attention_plots import head_figure, heads_figure, layer_figure
    from hf_embeddings.visualization.pictures import save_figure
    from hf_embeddings.visualization.style import style

    stem, suffix = picture_path(out, form)
    probe = probe_attention(folder, text, pair)
    weights, tokens = probe.weights, probe.tokens
    if probe.is_cut:
        tell_cut(len(tokens))
    layers, heads = weights.shape[:2]
    number = int(head) if head not in (None, MEAN) else None
    for option, value, count in (("--layer", layer, layers), ("--head", number, heads)):
        if value is not None and not 0 <= value < count:
            raise ValueError(f"{option}: got {value}, expected 0 to {count - 1}")
    name = Path(folder).name
    with style(dark=dark):
        if layer is None:
            title = f"{name}: attention from each row's token to the columns', {len(tokens)} tokens"
            figure = heads_figure(weights, title=title)
        elif head is None:
            title = f"{name}: layer {layer}, attention from each row's token to the columns'"
            figure = layer_figure(weights[layer], tokens, title=title)
        else:
            matrix = weights[layer].mean(axis=0) if number is None else weights[layer, number]
            of = "mean of heads" if number is None else f"head {number}"
            figure = head_figure(matrix, tokens, title=f"{name}: layer {layer}, {of}")
        picture = save_figure(figure, f"{stem}.{suffix}")
    print(picture)
