"""One picture of an evaluation: layers, sizes, bias."""

import math
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hf_embeddings.records.evaluation import AssociationFigures, EvaluationReport, SizeFigures
from hf_embeddings.visualization.colours import series, striking, theme
from hf_embeddings.visualization.fonts import as_written
from hf_embeddings.visualization.labels import write_legend
from hf_embeddings.visualization.style import SMALL


def evaluation_figure(report: EvaluationReport) -> Figure:
    """Draw the report of `hf-embeddings evaluate`: anisotropy by layer, quality against bytes, association tests."""
    tests = [figures for figures in report.bias if figures.skipped is None]
    figure = Figure(figsize=(15 if tests else 10, 4.2), layout="constrained", dpi=110)
    figure.suptitle(Path(report.model).name, **as_written([report.model]))
    axes = figure.subplots(1, 3 if tests else 2)
    _layers(axes[0], report.text.anisotropy_by_layer)
    _sizes(axes[1], report.sizes)
    if tests:
        _bias(axes[2], tests)
    return figure


def _layers(axis: Axes, cosines: list[float]) -> None:
    axis.bar(range(len(cosines)), cosines, color=series(0))
    axis.set(
        title="anisotropy by layer", xlabel="layer (0: embeddings)", ylabel="mean cosine of two tokens", ylim=(None, 1)
    )


def _sizes(axis: Axes, rows: list[SizeFigures]) -> None:
    curves = {"neighbours kept": [row.neighbours_kept for row in rows]}
    for name in rows[0].figures:
        heights = [math.nan if (value := row.figures[name]) is None else value for row in rows]
        curves[name] = heights  # a gap where there was nothing to measure
    markers = {"fp32": "o", "int8": "s", "binary": "^"}
    lines: dict[str, Artist] = {}
    for index, (name, values) in enumerate(curves.items()):
        for precision, marker in markers.items():
            points = [(r.bytes_per_vector, v) for r, v in zip(rows, values, strict=True) if r.precision == precision]
            (line,) = axis.plot(
                *zip(*points, strict=True), marker=marker, color=series(index), linewidth=1, markersize=4
            )
            if index == 0 or precision == "fp32":
                lines[f"{name}, {precision}" if index == 0 else name] = line
    axis.set(title="size against quality", xlabel="bytes per vector", xscale="log")
    write_legend(axis, list(lines.values()), list(lines), size=SMALL)


def _bias(axis: Axes, tests: list[AssociationFigures]) -> None:
    names = [f"{figures.test.split(':')[0]}, {figures.on}" for figures in tests]
    colours = [
        striking() if figures.p_value is not None and figures.p_value < 0.05 else theme().none for figures in tests
    ]
    places = range(len(names))  # two tests may have one name
    axis.barh(places, [figures.effect_size or 0.0 for figures in tests], color=colours)
    axis.set_yticks(places, names, **as_written(names))
    axis.axvline(0, color=theme().dim, linewidth=0.5)
    axis.invert_yaxis()
    axis.set(title="association tests (orange: p < 0.05)", xlabel="effect size", xlim=(-2, 2))
