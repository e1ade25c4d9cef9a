"""`hf-embeddings plot training`: how the words found their places over the checkpoints of a run, and its loss."""

from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson, Dark, PictureFormat, picture_path
from hf_embeddings.evaluation.word_lists import NO_GROUP, WordList, read_words, seed_example
from hf_embeddings.files.reading import not_a_directory
from hf_embeddings.json_text import json_text
from hf_embeddings.pip_extras import require
from hf_embeddings.printable import counted


def training(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Output directory of a run, with its checkpoints.")],
    word_list: Annotated[list[str] | None, typer.Argument(metavar="WORD", help="Words to follow.")] = None,
    file: Annotated[Path | None, typer.Option(help="One word a line, or 'group: word word ...'.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Chinese words: synonyms, contrasts, grammar.")] = False,
    out: Annotated[Path, typer.Option(help="Path of the files to write; each gets its suffix.")] = Path("training"),
    form: PictureFormat = None,
    dark: Dark = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Draw the token embeddings of words over the checkpoints, and what changed: distances, neighbours, the loss."""
    require("viz", "matplotlib")
    if sum([bool(word_list), file is not None, example]) != 1:
        raise ValueError("got no words, or several sources; give words, or one of --file --example")
    if example:
        words = seed_example()
    else:
        words = read_words(file) if file else WordList(word_list or [], [NO_GROUP] * len(word_list or []))
    if len(words.words) < 3:
        raise ValueError(f"got {counted(len(words.words), 'word')}, expected at least 3")
    if not Path(run).is_dir():
        raise ValueError(f"{run}: {not_a_directory(run)}; expected the output directory of a run")
    import numpy as np

    from hf_embeddings.analysis.alignment import shared_plane
    from hf_embeddings.analysis.movement import travelled
    from hf_embeddings.evaluation.run_checkpoints import word_stages
    from hf_embeddings.files.atomic import replace_text
    from hf_embeddings.publishing.checkpoint import Checkpoint
    from hf_embeddings.visualization.colouring import Groups
    from hf_embeddings.visualization.pictures import save_figure
    from hf_embeddings.visualization.style import style
    from hf_embeddings.visualization.training_page import training_page
    from hf_embeddings.visualization.training_plots import change_figure, multiples_figure

    stem, suffix = picture_path(out, form)
    stages = word_stages(Path(run), words.words)
    spaces, near = [stage.vectors for stage in stages], [stage.neighbours for stage in stages]
    places = dict(zip([stage.name for stage in stages], shared_plane(spaces), strict=True))
    length, distances = float(np.linalg.norm(spaces[-1], axis=1).mean()), travelled(spaces)
    checkpoint = Checkpoint(Path(run)) if (Path(run) / "config.json").is_file() else None
    groups, name = Groups("group", words.groups), Path(run).name
    title = f"{name}: token embeddings at {counted(len(stages), 'checkpoint')}"
    files = {"picture": f"{stem}.{suffix}", "change": f"{stem}-change.{suffix}", "page": f"{stem}.html"}
    with style(dark=dark):
        save_figure(multiples_figure(places, words.words, groups, length=length, title=title), files["picture"])
        change = change_figure(
            list(places), words.words, distances, near, curves=checkpoint.curves() if checkpoint else {},
            baseline=checkpoint.baseline if checkpoint else None, title=f"{name}: what changed in training",
        )  # fmt: skip
        save_figure(change, files["change"])
    page = training_page(places, words.words, groups, distances, near, title=title, theme="dark" if dark else None)
    replace_text(Path(files["page"]), page, durable=False)
    print(json_text(files, indent=2) if as_json else "\n".join(files.values()))
