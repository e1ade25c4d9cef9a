"""`hf-embeddings evaluate`: figures that judge the embeddings of a model directory."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from hf_embeddings.cli.output import AsJson, Dark, Layer, Prompt, TextField, reader_of
from hf_embeddings.corpora.sources import check_source
from hf_embeddings.evaluation.evaluation_data import read_evaluation_data
from hf_embeddings.evaluation.grammar import read_languages
from hf_embeddings.evaluation.word_lists import FEWEST_SENTENCES, read_sentences
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import Pooling, check_model
from hf_embeddings.pip_extras import require

Files = list[Path] | None
Source = Literal["contextual", "table"]


def evaluate(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Directory of a model that AutoModel loads.")],
    similarity: Annotated[Files, typer.Option(help="Words or sentences: two texts and a score a line.")] = None,
    analogies: Annotated[Files, typer.Option(help="Questions of four words a line (questions-words.txt)")] = None,
    retrieval: Annotated[Files, typer.Option(help="A query and its text a line, or a BEIR folder.")] = None,
    bias: Annotated[list[str] | None, typer.Option(help="'weat', or a JSON file of word lists.")] = None,
    minimal_pairs: Annotated[list[str] | None, typer.Option(help="en or zh: sentences, one of two wrong.")] = None,
    text: Annotated[str, typer.Option(help="Corpus whose sentences show the geometry.")] = "pydoc:json,logging,asyncio",
    text_field: TextField = "text",
    sentences: Annotated[int, typer.Option(help="Sentences of the corpus to use.")] = 1000,
    vectors: Annotated[Source, typer.Option(help="From the encoder, or the token table.")] = "contextual",
    pooling: Annotated[Pooling | None, typer.Option(help="mean, cls or max; default: as the directory states.")] = None,
    layer: Layer = None,
    prompt: Prompt = None,
    plot: Annotated[Path | None, typer.Option(help="File for the picture: .png, .svg or .pdf.")] = None,
    dark: Dark = False,
    card: Annotated[bool, typer.Option("--card", help="Write the figures into the model card.")] = False,
    mteb: Annotated[list[str] | None, typer.Option(help="MTEB tasks, by name or as module:Class.")] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Judge embeddings: similarity, analogies, retrieval, geometry, bias, size against quality."""
    require("eval", "scipy", *(["matplotlib"] if plot else []), *(["mteb", "sentence_transformers"] if mteb else []))
    if sentences < FEWEST_SENTENCES:
        raise ValueError(f"--sentences {sentences}: expected {FEWEST_SENTENCES} or more; fewer say nothing of geometry")
    data = read_evaluation_data(
        similarity=similarity or [], analogies=analogies or [], retrieval=retrieval or [], bias=bias or []
    )
    languages = read_languages(minimal_pairs or [])
    check_model(folder)
    check_source(text)
    drawn = read_sentences(text, sentences, reader_of(text_field))
    data = replace(data, grammar=languages, corpus=text, sentences=drawn)
    if mteb:
        from hf_embeddings.evaluation.mteb_tasks import find_tasks

        find_tasks(mteb)
    from hf_embeddings.evaluation.report import evaluate as measure
    from hf_embeddings.evaluation.report import write_into_card
    from hf_embeddings.evaluation.vectors import Vectors

    model_vectors = Vectors.load(folder, source=vectors, prompt=prompt, pooling=pooling, layer=layer)
    report = measure(folder, model_vectors, data)
    if mteb:
        from hf_embeddings.evaluation.mteb_tasks import run_tasks, task_datasets

        report.mteb, report.mteb_datasets = run_tasks(folder, mteb), task_datasets(mteb)
    if plot is not None:
        from hf_embeddings.visualization.evaluation_plots import evaluation_figure
        from hf_embeddings.visualization.pictures import save_figure
        from hf_embeddings.visualization.style import style

        with style(dark=dark):
            save_figure(evaluation_figure(report), plot)
        report.picture = str(plot)
    if card:
        write_into_card(Path(folder), report)
    if as_json:
        print(json_text(report.to_dict(), indent=2))
    else:
        from hf_embeddings.cli.evaluation_table import render_report

        render_report(report)
