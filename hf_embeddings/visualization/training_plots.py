"""Pictures of training: how words found their places, how far they travelled, which neighbours changed, and the loss.

Shapes: T stages, N words, P 2.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hf_embeddings.analysis.movement import kept_neighbours, magnified, round_down
from hf_embeddings.visualization.colouring import Groups
from hf_embeddings.visualization.colours import series, theme
from hf_embeddings.visualization.fonts import as_written
from hf_embeddings.visualization.labels import write_labels
from hf_embeddings.visualization.loss_curve import Curve
from hf_embeddings.visualization.style import SMALL, frame

COLUMNS = 4
LISTED = 14  # words whose neighbours are told
NAMES = 4  # neighbours of a word that are told

Neighbours = Sequence[Sequence[tuple[str, float]]]  # of N words: the nearest and their cosines


def multiples_figure(
    stages: Mapping[str, np.ndarray], words: Sequence[str], groups: Groups, *, length: float, title: str
) -> Figure:
    """Draw the points (N, 2) of each stage of training side by side, on one scale, with the ways they went.

    Where little moved, movement is drawn larger, and the title says so.

    Args:
        stages: name of the checkpoint -> points, in order.
        words: N labels.
        groups: of the words; each gets a colour.
        length: mean length of the vectors, in units of the points.
        title: shown above.
    """
    columns = min(COLUMNS, len(stages))
    rows = -(-len(stages) // columns)
    figure = Figure(figsize=(3.7 * columns, 3.6 * rows + 0.7), layout="constrained", dpi=110)
    places, factor = magnified(list(stages.values()))
    if factor > 1:
        title += f"; movement drawn {factor:,} times as large"
    figure.suptitle(title, **as_written([title]))
    everything = np.concatenate(places)
    margin = 0.16 * np.ptp(everything, axis=0).max() + 1e-12
    low, high = everything.min(axis=0) - margin, everything.max(axis=0) + margin
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(stages) :]:
        axis.set_axis_off()
    inks = groups.inks()
    for place, (axis, stage) in enumerate(zip(axes, stages, strict=False)):
        for row, ink in enumerate(inks):
            axis.plot(*np.stack([own[row] for own in places[: place + 1]]).T, color=ink, linewidth=0.8, alpha=0.5)
        axis.scatter(*places[place].T, s=20, color=inks, zorder=2)
        axis.set_title(stage, **as_written([stage]))
        frame(axis)
        axis.set(xticks=[], yticks=[], xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    _scale_bar(axes[0], span=float((high - low)[0]), length=length)
    for place, (axis, _) in enumerate(zip(axes, stages, strict=False)):
        write_labels(axis, places[place], words)
    return figure


def change_figure(
    stages: Sequence[str], words: Sequence[str], distances: np.ndarray, near: Sequence[Neighbours], *,
    curves: Mapping[str, Curve], baseline: tuple[str, float] | None, title: str,
) -> Figure:  # fmt: skip
    """Draw the loss, how far each word travelled, and the neighbours that it had at first and has at last.

    Args:
        stages: T names of checkpoints.
        words: N labels.
        distances: (T, N) from where each word was at first, in shares of its length then.
        near: for each stage the nearest tokens of each word.
        curves: losses of the run by name, in nats; none where nothing was recorded.
        baseline: name and value of a loss to compare with.
        title: shown above.
    """
    listed = min(LISTED, len(words))
    panels = 3 if curves else 2
    figure = Figure(figsize=(5.2 * panels + 1.5, max(4.4, 0.3 * listed + 1.8)), layout="constrained", dpi=110)
    figure.suptitle(title, **as_written([title]))
    axes = figure.subplots(1, panels, width_ratios=[*([1] if curves else []), 1, 1.35])
    if curves:
        _losses(axes[0], curves, baseline)
    _distances(axes[-2], stages, words, distances)
    _neighbours(axes[-1], words, near[0], near[-1])
    return figure


def _scale_bar(axis: Axes, *, span: float, length: float) -> None:
    """Draw a bar and say what it measures, in shares of the mean length of a vector."""
    share = round_down(0.3 * span / length)
    left, low = axis.get_xlim()[0] + 0.04 * span, axis.get_ylim()[0] + 0.05 * span
    axis.plot([left, left + share * length], [low, low], color=theme().ink, linewidth=2, solid_capstyle="butt")
    words = f"{100 * share:.3g} % of a vector's mean length"
    axis.text(left, low + 0.025 * span, words, fontsize=SMALL - 1.5, color=theme().dim)


def _losses(axis: Axes, curves: Mapping[str, Curve], baseline: tuple[str, float] | None) -> None:
    for index, (name, curve) in enumerate(curves.items()):
        axis.plot(*zip(*curve, strict=True), color=series(index), label=name)
    if baseline:
        axis.axhline(baseline[1], color=theme().dim, linestyle="--", label=baseline[0])
    axis.set(title="training loss", xlabel="optimizer steps", ylabel="loss in nats", ylim=(0, None))
    axis.legend()


def _distances(axis: Axes, stages: Sequence[str], words: Sequence[str], distances: np.ndarray) -> None:
    """Draw a line for each word, and name the ones that went furthest and least far."""
    for row in range(len(words)):
        axis.plot(range(len(stages)), 100 * distances[:, row], color=theme().none, linewidth=1)
    axis.plot(range(len(stages)), 100 * distances.mean(axis=1), color=series(0), linewidth=2.5, label="mean")
    order = distances[-1].argsort()
    for row, ink in ((order[-1], series(1)), (order[0], series(2))):
        line = axis.plot(range(len(stages)), 100 * distances[:, row], color=ink, linewidth=2)[0]
        line.set_label(f"{words[row]}: {shown_share(distances[-1, row])}")
    style = as_written(words)
    legend = axis.legend(prop={"family": style["family"], "size": SMALL})
    for text in legend.get_texts():
        text.set_parse_math(False)
    places = range(0, len(stages), -(-len(stages) // 8))
    axis.set_xticks(places, [stages[place] for place in places], rotation=30, ha="right", **as_written(stages))
    axis.set(title="distance from the first checkpoint", ylabel="% of the vector's length there", ylim=(0, None))


def shown_share(share: float) -> str:
    """Return a share in percent, with two figures."""
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.2g} %"


def _neighbours(axis: Axes, words: Sequence[str], first: Neighbours, last: Neighbours) -> None:
    """Write the nearest tokens of words at first and at last; words come first whose neighbours changed most."""
    names = [[[name for name, _ in own] for own in stage] for stage in (first, last)]
    kept = kept_neighbours(*names)
    rows = sorted(range(len(words)), key=lambda row: kept[row])[:LISTED]
    axis.set_axis_off()
    changed = 1 - sum(kept) / len(kept)
    axis.set_title(f"nearest tokens: {100 * changed:.0f} % changed (orange: new)")
    heads = ("word", "at first", "at last")
    starts = (0.0, 0.2, 0.6)
    figure = axis.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # lays out: the words have the room that the panel then has
    for start, head in zip(starts, heads, strict=True):
        _line(axis, start, 1 - 0.5 / (len(rows) + 1), [(head, theme().dim)], most=1)
    for place, row in enumerate(rows, 1):
        height = 1 - (place + 0.5) / (len(rows) + 1)
        old, new = names[0][row][:NAMES], names[1][row][:NAMES]
        _line(axis, starts[0], height, [(words[row], theme().ink)], most=0.19)
        _line(axis, starts[1], height, [(name, theme().dim) for name in old], most=0.38)
        inks = [(name, theme().dim if name in names[0][row] else series(1)) for name in new]
        _line(axis, starts[2], height, inks, most=0.40)


def _line(axis: Axes, start: float, height: float, parts: Sequence[tuple[str, str]], *, most: float) -> None:
    """Write words beside each other, each in its colour, as many as have room (shares of the axis)."""
    place, wide = start, axis.get_window_extent().width
    for text, ink in parts:
        short = text if len(text) <= 14 else text[:13] + "…"
        style = as_written([short]) | {"fontsize": SMALL, "color": ink, "va": "center"}
        drawn = axis.text(place, height, short, transform=axis.transAxes, **style)
        drawn.set_in_layout(False)
        width = drawn.get_window_extent().width / wide
        if place + width - start > most and place > start:
            drawn.remove()
            return
        place += width + 0.02
