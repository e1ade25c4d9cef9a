"""`hf-embeddings plot words`: words or sentences as points, as PNG and as one HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hf_embeddings.cli.output import AsJson, Layer, Prompt, TextField, picture_path, reader_of
from hf_embeddings.corpora.document import SourceReader
from hf_embeddings.corpora.sources import check_source
from hf_embeddings.evaluation.word_lists import frequent_tokens, read_sentences, read_words, seed_example
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import Pooling, check_model
from hf_embeddings.pip_extras import require

if TYPE_CHECKING:
    import numpy as np

    from hf_embeddings.evaluation.vectors import Vectors

NEIGHBOURS = 8
LIBRARIES = {"pca": "sklearn", "tsne": "openTSNE", "umap": "umap", "pacmap": "pacmap"}


def words(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Directory of a model that AutoModel loads.")],
    word_list: Annotated[list[str] | None, typer.Argument(metavar="WORD", help="Words to show.")] = None,
    file: Annotated[Path | None, typer.Option(help="One word a line, or 'group: word word ...'.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Chinese words: synonyms, contrasts, grammar.")] = False,
    frequent: Annotated[
        int | None, typer.Option(min=1, help="The N most frequent words of --text that are one token.")
    ] = None,
    sentences: Annotated[int | None, typer.Option(min=1, help="The first N sentences of --text.")] = None,
    text: Annotated[
        str, typer.Option(help="Corpus for --frequent and --sentences, such as pydoc:torch or notes.txt.")
    ] = "pydoc:torch",
    text_field: TextField = "text",
    method: Annotated[Literal["pca", "tsne", "umap", "pacmap"], typer.Option(help="Projection.")] = "pca",
    dimensions: Annotated[int, typer.Option(help="2 or 3.")] = 2,
    vectors: Annotated[
        Literal["contextual", "table"], typer.Option(help="From encoder or token table.")
    ] = "contextual",
    layer: Layer = None,
    pooling: Annotated[Pooling | None, typer.Option(help="mean, cls or max; default: as the directory states.")] = None,
    prompt: Prompt = None,
    seed: Annotated[int, typer.Option(help="Seed of the projection.")] = 0,
    out: Annotated[Path, typer.Option(help="Path of the files to write; each gets its suffix.")] = Path("words"),
    export: Annotated[list[str] | None, typer.Option(help="Also write: projector, parquet.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw words, tokens or sentences as points: a PNG for paper, and one HTML page with search and neighbours."""
    require("viz", "matplotlib", "plotly", LIBRARIES[method])
    if unknown := sorted(set(export or []) - {"projector", "parquet"}):
        raise ValueError(f"--export: got {unknown[0]!r}, expected projector or parquet")
    sources = [bool(word_list), file is not None, example, frequent is not None, sentences is not None]
    if sum(sources) != 1:
        raise ValueError(
            "got no words, or several sources; give words, or one of --file --example --frequent --sentences"
        )
    check_model(folder)
    if file is not None:
        read_words(file)
    if frequent is not None or sentences is not None:
        check_source(text)
    from hf_embeddings.evaluation.vectors import Vectors
    from hf_embeddings.visualization.projections import NAMES, project

    model_vectors = Vectors.load(folder, source=vectors, prompt=prompt, layer=layer, pooling=pooling)
    labels, groups = _choose(
        model_vectors, word_list or [], file, example, frequent, sentences, text, reader_of(text_field)
    )
    if sentences is None and (unknown := model_vectors.unknown(labels)):
        raise ValueError(
            f"{', '.join(word[:40] for word in unknown[:5])}: the vocabulary of {folder} cannot spell {len(unknown)} "
            "of the words; leave them out, or take another model"
        )
    matrix = model_vectors.encode(labels)
    points = project(matrix, method, dimensions=dimensions, seed=seed)
    title = f"{Path(folder).name}: {len(labels):,} {'sentences' if sentences else 'words'}, {vectors}, {NAMES[method]}"
    files = _write(
        matrix,
        points,
        labels,
        groups,
        title=title,
        out=out,
        export=export or [],
        example_of=NAMES[method] if example else None,
    )
    print(json_text(files, indent=2) if as_json else "\n".join(files.values()))


def _choose(
    vectors: "Vectors",
    word_list: list[str],
    file: Path | None,
    example: bool,
    frequent: int | None,
    sentences: int | None,
    text: str,
    reader: SourceReader,
) -> tuple[list[str], list[str]]:
    if example:
        return seed_example()
    if file is not None:
        return read_words(file)
    if frequent is not None:
        labels = frequent_tokens(vectors.encoder.tokenizer, text, frequent, reader)
    elif sentences is not None:
        labels = read_sentences(text, sentences, reader)
    else:
        labels = list(dict.fromkeys(word_list))
    return labels, ["sentences" if sentences else "words"] * len(labels)


def _write(
    matrix: "np.ndarray",
    points: "np.ndarray",
    labels: list[str],
    groups: list[str],
    *,
    title: str,
    out: Path,
    export: list[str],
    example_of: str | None,
) -> dict[str, str]:
    import numpy as np

    from hf_embeddings.analysis.geometry import neighbours, unit_rows
    from hf_embeddings.files.atomic import replace_text
    from hf_embeddings.visualization.exports import write_parquet, write_projector
    from hf_embeddings.visualization.pictures import save_figure
    from hf_embeddings.visualization.projections import project
    from hf_embeddings.visualization.word_page import word_page
    from hf_embeddings.visualization.word_plots import example_figure, scatter_figure

    rows = neighbours(matrix, min(NEIGHBOURS, len(matrix) - 1))
    unit = unit_rows(matrix)
    cosines = np.einsum("nd,nkd->nk", unit, unit[rows])
    near = [
        [(labels[j], float(c)) for j, c in zip(own, values, strict=True)]
        for own, values in zip(rows, cosines, strict=True)
    ]
    if example_of:
        members = {name: [row for row, group in enumerate(groups) if group == name] for name in dict.fromkeys(groups)}
        panels = {name: project(matrix[own], "pca") for name, own in members.items()}
        figure = example_figure(points, labels, groups, panels, method=example_of)
    else:
        figure = scatter_figure(points, labels, groups, title=title)
    out = picture_path(out)
    files = {"png": f"{out}.png", "html": f"{out}.html"}
    save_figure(figure, files["png"])
    replace_text(Path(files["html"]), word_page(points, labels, groups, near, title=title), durable=False)
    if "projector" in export:
        files["projector"] = str(write_projector(Path(f"{out}-projector"), matrix, labels, groups))
    if "parquet" in export:
        path = Path(f"{out}.parquet")
        files["parquet"] = str(write_parquet(path, matrix, points, labels, groups, rows, cosines))
    return files
