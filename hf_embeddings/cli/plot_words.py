"""`hf-embeddings plot words`: words or sentences as points, as a picture and as one HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hf_embeddings.cli.output import AsJson, Dark, Layer, PictureFormat, Prompt, TextField, picture_path, reader_of
from hf_embeddings.corpora.document import SourceReader
from hf_embeddings.corpora.sources import check_source
from hf_embeddings.evaluation.word_lists import (
    NO_GROUP,
    WordList,
    count_words,
    frequent_tokens,
    read_sentences,
    read_words,
    seed_example,
)
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import Pooling, check_model
from hf_embeddings.pip_extras import require

if TYPE_CHECKING:
    import numpy as np

    from hf_embeddings.evaluation.vectors import Vectors
    from hf_embeddings.visualization.colouring import Colouring

NEIGHBOURS = 8
LIBRARIES = {"pca": "sklearn", "tsne": "openTSNE", "umap": "umap", "pacmap": "pacmap"}


def words(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Directory of a model that AutoModel loads.")],
    word_list: Annotated[list[str] | None, typer.Argument(metavar="WORD", help="Words to show.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="One word a line, or 'group: word word ...', or a table: word<TAB>group ...")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Chinese words: synonyms, contrasts, grammar.")] = False,
    frequent: Annotated[
        int | None, typer.Option(min=1, help="The N most frequent words of --text that are one token.")
    ] = None,
    sentences: Annotated[int | None, typer.Option(min=1, help="The first N sentences of --text.")] = None,
    text: Annotated[
        str, typer.Option(help="Corpus for --frequent, --sentences, frequencies: pydoc:torch, notes.txt, ...")
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
    color_by: Annotated[
        str | None,
        typer.Option(help="group, frequency, script, cluster, tokens, or a column of --file; default: group."),
    ] = None,
    panels: Annotated[
        bool, typer.Option("--panels", help="Give each group of 4 or more words a panel of its own, too.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Path of the files to write; each gets its suffix.")] = Path("words"),
    form: PictureFormat = None,
    dark: Dark = False,
    export: Annotated[list[str] | None, typer.Option(help="Also write: projector, parquet.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw words, tokens or sentences as points: a picture, and one HTML page with search and neighbours."""
    require("viz", "matplotlib", LIBRARIES[method])
    if unknown := sorted(set(export or []) - {"projector", "parquet"}):
        raise ValueError(f"--export: got {unknown[0]!r}, expected projector or parquet")
    sources = [bool(word_list), file is not None, example, frequent is not None, sentences is not None]
    if sum(sources) != 1:
        raise ValueError(
            "got no words, or several sources; give words, or one of --file --example --frequent --sentences"
        )
    check_model(folder)
    given = read_words(file) if file is not None else None
    if frequent is not None or sentences is not None or color_by == "frequency":
        check_source(text)
    from hf_embeddings.evaluation.vectors import Vectors
    from hf_embeddings.evaluation.word_colours import check_choice, colourings
    from hf_embeddings.visualization.projections import NAMES, project

    check_choice(color_by, given)
    if color_by == "frequency" and sentences is not None:
        raise ValueError("--color-by frequency: got --sentences, expected words; leave it out")
    stem, suffix = picture_path(out, form)
    model_vectors = Vectors.load(folder, source=vectors, prompt=prompt, layer=layer, pooling=pooling)
    reader = reader_of(text_field)
    shown = _choose(model_vectors, given, word_list or [], example, frequent, sentences, text, reader)
    labels = shown.words
    if sentences is None and (unknown := model_vectors.unknown(labels)):
        raise ValueError(
            f"{', '.join(word[:40] for word in unknown[:5])}: the vocabulary of {folder} cannot spell {len(unknown)} "
            "of the words; leave them out, or take another model"
        )
    if color_by == "frequency" and shown.counts is None:
        shown = WordList(labels, shown.groups, shown.columns, count_words(labels, text, reader))
    matrix = model_vectors.encode(labels)
    points = project(matrix, method, dimensions=dimensions, seed=seed)
    colours = colourings(model_vectors, shown, matrix, first=color_by)
    kind = "contextual vectors" if layer is None else f"contextual vectors, layer {layer}"
    kind = "the token table" if vectors == "table" else kind
    what = "sentences" if sentences else "words"
    title = f"{Path(folder).name}: {len(labels):,} {what}, {NAMES[method]} of {kind}"
    files = {"picture": f"{stem}.{suffix}", "page": f"{stem}.html"}
    _draw(files["picture"], matrix, points, shown, colours, panels=panels or example, title=title, dark=dark)
    _write(files, stem, matrix, points, shown, colours, title=title, dark=dark, export=export or [])
    print(json_text(files, indent=2) if as_json else "\n".join(files.values()))


def _choose(
    vectors: "Vectors",
    given: WordList | None,
    word_list: list[str],
    example: bool,
    frequent: int | None,
    sentences: int | None,
    text: str,
    reader: SourceReader,
) -> WordList:
    if example:
        return seed_example()
    if given is not None:
        return given
    if frequent is not None:
        counts = frequent_tokens(vectors.encoder.tokenizer, text, frequent, reader)
        return WordList(list(counts), [NO_GROUP] * len(counts), counts=list(counts.values()))
    if sentences is not None:
        labels, group = read_sentences(text, sentences, reader), "sentences"
    else:
        labels, group = list(dict.fromkeys(word_list)), NO_GROUP
    return WordList(labels, [group] * len(labels))


def _draw(
    path: str, matrix: "np.ndarray", points: "np.ndarray", shown: WordList, colours: "list[Colouring]", *,
    panels: bool, title: str, dark: bool,
) -> None:  # fmt: skip
    """Write the picture."""
    from hf_embeddings.visualization.colouring import Groups
    from hf_embeddings.visualization.pictures import save_figure
    from hf_embeddings.visualization.projections import PROJECTIONS, project
    from hf_embeddings.visualization.style import style
    from hf_embeddings.visualization.word_plots import MOST_PANELS, panels_figure, scatter_figure

    groups = Groups("group", shown.groups)
    rows = {name: own for name in groups.names if len(own := groups.rows(name)) > PROJECTIONS["pca"][1]}
    if panels and not 0 < len(rows) <= MOST_PANELS:
        raise ValueError(
            f"--panels: got {len(rows)} groups of 4 words or more, expected 1 to {MOST_PANELS}; "
            "write 'group: word word ...' into --file"
        )
    with style(dark=dark):
        if panels:
            own_points = {name: project(matrix[own], "pca") for name, own in rows.items()}
            figure = panels_figure(points, shown.words, groups, own_points, title=title, colouring=colours[0])
        else:
            figure = scatter_figure(points, shown.words, colours[0], title=title)
        save_figure(figure, path)


def _write(
    files: dict[str, str], stem: Path, matrix: "np.ndarray", points: "np.ndarray", shown: WordList,
    colours: "list[Colouring]", *, title: str, dark: bool, export: list[str],
) -> None:  # fmt: skip
    """Write the page and what else is asked for; the files are told."""
    import numpy as np

    from hf_embeddings.analysis.geometry import neighbours, unit_rows
    from hf_embeddings.files.atomic import replace_text
    from hf_embeddings.visualization.exports import write_parquet, write_projector
    from hf_embeddings.visualization.viewer import Near, View, viewer_page

    labels = shown.words
    rows = neighbours(matrix, min(NEIGHBOURS, len(matrix) - 1))
    unit = unit_rows(matrix)
    near = Near(rows, np.einsum("nd,nkd->nk", unit, unit[rows]))
    page = viewer_page(View({"": points}, labels, colours, [near]), title=title, theme="dark" if dark else None)
    replace_text(Path(files["page"]), page, durable=False)
    if "projector" in export:
        files["projector"] = str(write_projector(Path(f"{stem}-projector"), matrix, labels, shown.groups))
    if "parquet" in export:
        path = Path(f"{stem}.parquet")
        files["parquet"] = str(write_parquet(path, matrix, points, labels, shown.groups, rows, near.cosines))
