"""`hf-embeddings plot training`: how the words found their places over the checkpoints of a run, and its loss."""

from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson, picture_path
from hf_embeddings.evaluation.word_lists import read_words, seed_example
from hf_embeddings.files.reading import not_a_directory
from hf_embeddings.json_text import json_text
from hf_embeddings.pip_extras import require


def training(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Output directory of a run, with its checkpoints.")],
    word_list: Annotated[list[str] | None, typer.Argument(metavar="WORD", help="Words to follow.")] = None,
    file: Annotated[Path | None, typer.Option(help="One word a line, or 'group: word word ...'.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Chinese words: synonyms, contrasts, grammar.")] = False,
    out: Annotated[Path, typer.Option(help="Path of the files to write; each gets its suffix.")] = Path("training"),
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Draw the token embeddings of words over the checkpoints, aligned, as PNG and animation; the loss curve as SVG."""
    require("viz", "matplotlib", "plotly")
    if sum([bool(word_list), file is not None, example]) != 1:
        raise ValueError("got no words, or several sources; give words, or one of --file --example")
    if example:
        labels, groups = seed_example()
    else:
        labels, groups = read_words(file) if file else (word_list or [], ["words"] * len(word_list or []))
    if len(labels) < 3:
        raise ValueError(f"got {len(labels)} words, expected at least 3")
    if not Path(run).is_dir():
        raise ValueError(f"{run}: {not_a_directory(run)}; expected the output directory of a run")
    from hf_embeddings.analysis.alignment import shared_plane
    from hf_embeddings.evaluation.run_checkpoints import word_spaces
    from hf_embeddings.files.atomic import replace_text
    from hf_embeddings.publishing.checkpoint import Checkpoint
    from hf_embeddings.visualization.loss_curve import draw_loss
    from hf_embeddings.visualization.pictures import save_figure
    from hf_embeddings.visualization.training_plots import animation_page, multiples_figure

    spaces = word_spaces(Path(run), labels)
    stages = dict(zip(spaces, shared_plane(list(spaces.values())), strict=True))
    title = f"{Path(run).name}: token embeddings over {len(stages)} checkpoints"
    out = picture_path(out)
    files = {"png": f"{out}.png", "html": f"{out}.html"}
    save_figure(multiples_figure(stages, labels, groups, title=title), files["png"])
    replace_text(Path(files["html"]), animation_page(stages, labels, groups, title=title), durable=False)
    checkpoint = Checkpoint(Path(run)) if (Path(run) / "config.json").is_file() else None
    if checkpoint and (curves := checkpoint.curves()):
        files["loss"] = f"{out}-loss.svg"
        replace_text(Path(files["loss"]), draw_loss(curves, baseline=checkpoint.baseline), durable=False)
    print(json_text(files, indent=2) if as_json else "\n".join(files.values()))
