"""`hf-embeddings plot sum`: what token, position and segment contribute to the input vectors of a text or a pair."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from hf_embeddings.cli.output import AsJson, picture_path, refuse_blank, tell_cut
from hf_embeddings.extras import require
from hf_embeddings.json_text import json_text
from hf_embeddings.model_names import check_model


def input_sum(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Directory of a TriEmbed model.")],
    text: Annotated[str, typer.Argument(help="First segment.")],
    pair: Annotated[str | None, typer.Argument(help="Second segment.")] = None,
    out: Annotated[Path, typer.Option(help="Path of the files to write; each gets its suffix.")] = Path("sum"),
    as_json: AsJson = False,
) -> None:
    """Draw norms, cosines and shares of token, position and segment, token by token."""
    require("viz", "matplotlib")
    refuse_blank(text)
    check_model(folder, "the directory of a TriEmbed model")
    from hf_embeddings.visualization.pictures import save_figure
    from hf_embeddings.visualization.sum_plots import sum_figure

    tokens, parts = measure_sum(folder, text, pair)
    title = f"{Path(folder).name}: token + position + segment"
    picture = f"{picture_path(out)}.png"
    save_figure(sum_figure(tokens, parts, title=title), picture)
    if as_json:
        plain = {name: {key: value.tolist() for key, value in part.items()} for name, part in parts.items()}
        print(json_text({"tokens": tokens, "parts": plain, "picture": picture}, indent=2))
        return
    for name, part in parts.items():
        print(f"{name:<9} mean norm {part['norm'].mean():7.3f}   mean share of the sum {part['share'].mean():6.1%}")
    print(picture)


def measure_sum(folder: str, text: str, pair: str | None) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Return the tokens, and for each part of the sum its norm, cosine and share (S,)."""
    import torch

    from hf_embeddings.analysis.input_sum import decompose
    from hf_embeddings.corpora.word_starts import token_labels
    from hf_embeddings.model.modeling_triembed import TriEmbedModel
    from hf_embeddings.saved_model import read_config, read_tokenizer
    from hf_embeddings.stored_weights import check_finite

    read_config(folder)  # before memory is taken for it
    model = TriEmbedModel.from_pretrained(folder, add_pooling_layer=False, dtype=torch.float32).eval()
    check_finite(model.named_parameters(), folder)
    tokenizer = read_tokenizer(folder)
    batch = tokenizer(text, pair, return_tensors="pt", truncation=True, max_length=model.config.max_position_embeddings)
    tell_cut(batch.encodings[0])
    with torch.no_grad():
        parts = model.embedding_parts(batch["input_ids"], token_type_ids=batch.get("token_type_ids"))
    arrays = {
        name: part[0].expand(batch["input_ids"].shape[1], -1).numpy()
        for name, part in parts._asdict().items()
        if part is not None
    }
    tokens = token_labels(tokenizer, batch.encodings[0], (text, pair or ""))
    return tokens, {name: asdict(part) for name, part in decompose(arrays).items()}
