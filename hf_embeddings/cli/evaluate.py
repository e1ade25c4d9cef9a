"""`hf-embeddings evaluate`: figures that judge the embeddings of a model directory."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from hf_embeddings.cli.output import AsJson
from hf_embeddings.corpora.sources import check_source
from hf_embeddings.extras import require
from hf_embeddings.file_names import EMBEDDING_EVALUATION
from hf_embeddings.model_names import Pooling, check_model

Files = list[Path] | None
Source = Literal["contextual", "table"]


def evaluate(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Directory of a model that AutoModel loads")],
    similarity: Annotated[Files, typer.Option(help="Words or sentences: two texts and a score a line")] = None,
    analogies: Annotated[Files, typer.Option(help="Questions of four words a line (questions-words.txt)")] = None,
    retrieval: Annotated[Files, typer.Option(help="A query and its text a line, or a BEIR folder")] = None,
    bias: Annotated[list[str] | None, typer.Option(help="'weat', or a JSON file of word lists")] = None,
    text: Annotated[str, typer.Option(help="Corpus whose sentences show the geometry")] = "pydoc:json,logging,asyncio",
    sentences: Annotated[int, typer.Option(help="Sentences of the corpus to use")] = 1000,
    vectors: Annotated[Source, typer.Option(help="From the encoder, or the token table")] = "contextual",
    pooling: Annotated[Pooling | None, typer.Option(help="mean, cls or max; default: as the directory states")] = None,
    layer: Annotated[int | None, typer.Option(help="Hidden states to pool, 0 the embeddings; default: last")] = None,
    prompt: Annotated[str, typer.Option(help="Put before every text, such as 'query: '")] = "",
    plot: Annotated[Path | None, typer.Option(help="PNG file for the picture")] = None,
    card: Annotated[bool, typer.Option(help="Write the figures into the model card")] = False,
    mteb: Annotated[list[str] | None, typer.Option(help="MTEB tasks, by name or as module:Class")] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Judge embeddings: similarity, analogies, retrieval, geometry, bias, size against quality."""
    require("eval", "scipy", *(["matplotlib"] if plot else []), *(["mteb", "sentence_transformers"] if mteb else []))
    for path in [*(similarity or []), *(analogies or []), *(retrieval or [])]:
        if not path.exists():
            raise ValueError(f"{path}: no such file; check the path")
    check_model(folder)
    check_source(text)
    report = measure(
        folder, similarity or [], analogies or [], retrieval or [], bias or [], read_sentences(text, sentences), text,
        source=vectors, pooling=pooling, layer=layer, prompt=prompt,
    )  # fmt: skip
    if mteb:
        from hf_embeddings.evaluation.mteb_tasks import run_tasks, task_datasets

        report["mteb"], report["mteb_datasets"] = run_tasks(folder, mteb), task_datasets(mteb)
    if plot is not None:
        from hf_embeddings.visualization.evaluation_plots import evaluation_figure

        plot.parent.mkdir(parents=True, exist_ok=True)
        evaluation_figure(report).savefig(plot)
        report["picture"] = str(plot)
    if card:
        write_into_card(Path(folder), report)
    if as_json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        from hf_embeddings.cli.evaluation_table import render

        render(report)


def measure(
    folder: str, similarity: list[Path], analogies: list[Path], retrieval: list[Path], bias: list[str],
    sentences: list[str], text: str, *, source: str, pooling: str | None, layer: int | None, prompt: str,
) -> dict[str, object]:  # fmt: skip
    """Return the whole report as plain data."""
    from hf_embeddings.evaluation import measures as evaluation
    from hf_embeddings.evaluation.vectors import Vectors
    from hf_embeddings.progress import steps

    made = Vectors.load(folder, source=source, prompt=prompt, pooling=pooling, layer=layer)
    recipe = made.encoder.recipe
    report: dict[str, object] = {
        "model": str(folder),
        "vectors": {"source": source, "pooling": recipe.pooling, "layer": recipe.layer, "prompt": prompt},
        "similarity": {}, "analogies": {}, "retrieval": {}, "bias": [],
    }  # fmt: skip
    work = [("similarity", path, lambda path=path: evaluation.similarity(made, path)) for path in similarity]
    work += [("analogies", path, lambda path=path: evaluation.analogies(made, path)) for path in analogies]
    work += [("retrieval", path, lambda path=path: evaluation.retrieval(made, path)) for path in retrieval]
    work += [("bias", name, lambda name=name: evaluation.bias(made, name)) for name in bias]
    work += [("table", None, lambda: evaluation.table_geometry(made))]
    work += [("text", None, lambda: {"corpus": text} | evaluation.text_geometry(made, sentences))]
    work += [("sizes", None, lambda: evaluation.sizes(made, sentences, similarity, retrieval))]
    for part, name, function in steps(work, describe=lambda item: f"{item[0]} {item[1] or ''}".strip()):
        result = function()
        if part == "bias":
            report[part] += result
        elif name is None:
            report[part] = result
        else:
            report[part][Path(name).stem] = result
    return report


def read_sentences(corpus: str, count: int) -> list[str]:
    """Return the first different sentences of 4 words or 8 Chinese characters and more."""
    from hf_embeddings.corpora.sentences import split_sentences
    from hf_embeddings.corpora.sources import read_documents

    found: dict[str, None] = {}
    for document in read_documents(corpus):
        for sentence in split_sentences(document):
            sentence = " ".join(sentence.split())
            if len(sentence.split()) >= 4 or (len(sentence) >= 8 and not sentence.isascii()):
                found.setdefault(sentence)
            if len(found) == count:
                return list(found)
    if len(found) < 20:
        raise ValueError(f"--text {corpus}: got {len(found)} sentences, expected at least 20; choose a longer corpus")
    return list(found)


def write_into_card(folder: Path, report: dict[str, object]) -> None:
    """Leave the figures beside the weights and bring the model card up to date."""
    from hf_embeddings.files.atomic import write_text
    from hf_embeddings.publishing.card import write_card

    write_text(folder / EMBEDDING_EVALUATION, json.dumps(report, indent=2, ensure_ascii=False) + "\n", durable=False)
    write_card(folder)
