"""`hf-embeddings plot attention`: what every head attends to in a text or a pair."""

from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import picture_path, refuse_blank, tell_cut
from hf_embeddings.loading.model_names import check_model
from hf_embeddings.pip_extras import require


def attention(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Directory of a model that AutoModel loads.")],
    text: Annotated[str, typer.Argument(help="Text, or first segment.")],
    pair: Annotated[str | None, typer.Argument(help="Second segment.")] = None,
    layer: Annotated[int | None, typer.Option(help="One layer only, from 0: with the tokens.")] = None,
    head: Annotated[int | None, typer.Option(help="One head of it; default: mean of all heads.")] = None,
    out: Annotated[Path, typer.Option(help="Path of the files to write; each gets its suffix.")] = Path("attention"),
) -> None:
    """Draw attention weights: all layers and heads, or one of them with its tokens."""
    require("viz", "matplotlib")
    if head is not None and layer is None:
        raise ValueError(f"--head {head}: given without --layer; say which layer")
    refuse_blank(text)
    check_model(folder)
    from hf_embeddings.evaluation.text_probes import probe_attention
    from hf_embeddings.visualization.attention_plots import head_figure, heads_figure
    from hf_embeddings.visualization.pictures import save_figure

    probe = probe_attention(folder, text, pair)
    weights, tokens = probe.weights, probe.tokens
    if probe.is_cut:
        tell_cut(len(tokens))
    layers, heads = weights.shape[:2]
    for name, value, count in (("--layer", layer, layers), ("--head", head, heads)):
        if value is not None and not 0 <= value < count:
            raise ValueError(f"{name}: got {value}, expected 0 to {count - 1}")
    name = Path(folder).name
    if layer is None:
        figure = heads_figure(weights, tokens, title=f"{name}: attention over {len(tokens)} tokens")
    else:
        matrix = weights[layer].mean(axis=0) if head is None else weights[layer, head]
        of = "mean of heads" if head is None else f"head {head}"
        figure = head_figure(matrix, tokens, title=f"{name}: layer {layer}, {of}")
    picture = f"{picture_path(out)}.png"
    save_figure(figure, picture)
    print(picture)
