"""`hf-embeddings plot attention`: what every head attends to in a text or a pair."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_embeddings.cli.output import picture_path, refuse_blank, tell_cut
from hf_embeddings.extras import require
from hf_embeddings.model_names import check_model

if TYPE_CHECKING:
    import numpy as np


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
    from hf_embeddings.visualization.attention_plots import head_figure, heads_figure
    from hf_embeddings.visualization.pictures import save_figure

    weights, tokens = read_attention(folder, text, pair)
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


def read_attention(folder: str, text: str, pair: str | None) -> tuple["np.ndarray", list[str]]:
    """Return weights (L, H, S, S) and the tokens."""
    import torch

    import hf_embeddings  # noqa: F401  registers TriEmbed with AutoModel
    from hf_embeddings.corpora.word_starts import token_labels
    from hf_embeddings.saved_model import read_tokenizer
    from hf_embeddings.search.text_model import load_text_model, longest_input, read_inputs

    model = load_text_model(folder, attn_implementation="eager").eval()
    tokenizer = read_tokenizer(folder)
    longest = min(longest_input(model, tokenizer), 512)
    batch = tokenizer(text, pair, return_tensors="pt", truncation=True, max_length=longest)
    tell_cut(batch.encodings[0])
    with torch.no_grad():
        attentions = model(**read_inputs(model, batch), output_attentions=True).attentions
    if not attentions or any(weights is None for weights in attentions):
        raise ValueError(f"{folder}: {type(model).__name__} returns no attention weights; choose another model")
    tokens = token_labels(tokenizer, batch.encodings[0], (text, pair or ""))
    return torch.stack(attentions)[:, 0].numpy(), tokens
