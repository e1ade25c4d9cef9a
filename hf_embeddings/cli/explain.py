"""`hf-embeddings explain`: one HTML page that walks a sentence, or two, through a model."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson, picture_path, refuse_blank
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import check_model
from hf_embeddings.printable import counted


def explain(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Directory of a model: TriEmbed, or one to convert.")],
    text: Annotated[str, typer.Argument(help="Sentence.")],
    pair: Annotated[str | None, typer.Argument(help="Second one: read alone, as a pair, and compared.")] = None,
    out: Annotated[Path, typer.Option(help="HTML file to write; a file that is there is replaced.")] = Path(
        "explanation.html"
    ),
    as_json: AsJson = False,
) -> None:
    """Write one HTML page: pieces, the three vectors, positions, attention, layers and predictions of a sentence."""
    texts = [text] if pair is None else [text, pair]
    for one in texts:
        refuse_blank(one)
    check_model(folder)
    from hf_embeddings.explaining.encoder import load_encoder
    from hf_embeddings.explaining.explain import explain as explain_texts
    from hf_embeddings.explaining.page import explanation_page
    from hf_embeddings.files.atomic import replace_text

    explanation = explain_texts(load_encoder(folder), texts)
    page = Path(f"{picture_path(out)[0]}.html")
    replace_text(page, explanation_page(explanation), durable=False)
    whole = explanation.inputs[-1]  # of two texts, the pair
    if whole.unknown:
        count = counted(whole.unknown, "piece")
        print(f"{count} of {len(whole.text.pieces)} unknown to the vocabulary: the model reads [UNK]", file=sys.stderr)
    facts = {"page": str(page), "bytes": page.stat().st_size, "pieces": len(whole.text.pieces)}
    print(json_text({**facts, "unknown_pieces": whole.unknown}, indent=2) if as_json else page)
