"""`hf-embeddings positions`: the properties of position types, measured."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_embeddings.cli.output import AsJson, Dark, PictureFormat
from hf_embeddings.cli.shipped_configs import find_config
from hf_embeddings.files.distinct_names import distinct_names
from hf_embeddings.json_text import json_text
from hf_embeddings.pip_extras import require
from hf_embeddings.pretraining.architecture import read_architecture
from hf_embeddings.records.positions import PositionReport, RangeLaws

if TYPE_CHECKING:
    from hf_embeddings.evaluation.position_probe import PositionProbe

COLUMNS = (
    "uniqueness", "smoothness", "relative_linearity", "locality", "symmetry", "translation_invariance", "monotonicity",
)  # fmt: skip
TypesOrFolders = Annotated[
    list[str] | None,
    typer.Argument(metavar="TYPE|DIR", help="Position types, or checkpoint directories; default: all types."),
]
Sizes = Annotated[str, typer.Option(help="Sizes for types given by name.")]
BASE = "configs/model/base.json"


def positions(
    types: TypesOrFolders = None,
    config: Sizes = BASE,
    length: Annotated[int | None, typer.Option(help="Positions to measure; default: as trained, 512 at most.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Folder for one picture per type.")] = None,
    form: PictureFormat = None,
    dark: Dark = False,
    as_json: AsJson = False,
) -> None:
    """Measure position types: uniqueness, smoothness, relative linearity, extrapolation, locality and symmetry."""
    if plot is not None:
        require("viz", "matplotlib")
    for name in types or ():
        check_type(name)
    read_architecture(find_config(config))
    from hf_embeddings.evaluation.position_measures import measure_positions
    from hf_embeddings.model.positions import POSITION_TYPES

    reports = {}
    names = types or list(POSITION_TYPES)
    for name, title in zip(names, picture_names(names), strict=True):
        report, probe = measure_positions(name, config=find_config(config), length=length)
        picture = None
        if plot is not None:
            from hf_embeddings.visualization.style import style

            with style(dark=dark):
                picture = str(draw(title, report, probe, plot / f"{title}.{form or 'png'}"))
        reports[name] = replace(report, picture=picture)
    values = {name: report.to_dict() for name, report in reports.items()}
    print(json_text(values, indent=2) if as_json else render_laws(reports))


def check_type(name: str) -> None:
    """Raise where a name is that of a path without a checkpoint; what else is no position type, the config says."""
    is_path = Path(name).exists() or len(Path(name).parts) > 1
    if is_path and not (Path(name) / "config.json").is_file():
        raise ValueError(f"{name}: got neither a position type nor a directory with a config.json; check the path")


def picture_names(names: Sequence[str]) -> list[str]:
    """Return what the pictures of types and checkpoints are called: no picture replaces another."""
    return [name.replace("/", "-") for name in distinct_names([Path(name) for name in names])]


def draw(title: str, report: PositionReport, probe: "PositionProbe", path: Path) -> Path:
    """Write the picture of one type or checkpoint and return its path."""
    from hf_embeddings.visualization.pictures import save_figure
    from hf_embeddings.visualization.position_plots import position_figure

    figure = position_figure(
        title,
        probe.vectors,
        probe.scores,
        report.relative_linearity_by_shift,
        measured_on=probe.measured_on,
        scored=probe.scored,
    )
    return save_figure(figure, path)


def render_laws(reports: dict[str, PositionReport]) -> str:
    """Write the measurements as a table: for each type the trained length, then as many positions beyond it."""
    width = max(len(Path(name).name) for name in reports) + 2
    lines = [" " * (width + 12) + "".join(f"{title.replace('_', ' '):>{len(title) + 2}}" for title in COLUMNS)]
    for name, report in reports.items():
        lines.append(f"{Path(name).name:<{width}}{_range(report):<12}" + _cells(report))
        beyond, note = report.extrapolation, f"measured on {report.measured_on}"
        if beyond is None:
            lines.append(f"{'':<{width}}beyond: none ({report.extrapolation_ends})")
        else:
            lines.append(f"{'':<{width}}{_range(beyond):<12}" + _cells(beyond))
            share = beyond.relative_linearity_carried_over
            if share is not None:
                note += f"; M(k) learned on {_range(report)} explains {share:.4f} of {_range(beyond)}"
        lines.append(f"{'':<{width}}{note}")
    return "\n".join(lines)


def _range(laws: RangeLaws) -> str:
    return f"{laws.start}-{laws.end - 1}"


def _cells(laws: RangeLaws) -> str:
    values = [(name, getattr(laws, name)) for name in COLUMNS]
    return "".join(f"{'-' if value is None else format(value, '.4f'):>{len(name) + 2}}" for name, value in values)
