"""The picture of a position lab: the loss of each position type, beyond the trained length too, beside its cost."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hf_embeddings.records.lab import LabSummary, MeanInterval, PositionSummary, RunDifference
from hf_embeddings.visualization.colours import series, theme
from hf_embeddings.visualization.fonts import as_written
from hf_embeddings.visualization.style import SMALL

WORST_SHOWN = 1.5  # nats above the loss at the trained length; what is worse leaves the panel
Rows = Sequence[tuple[str, PositionSummary]]  # by position type


def lab_figure(lab: LabSummary) -> Figure:
    """Draw what the runs of a lab say together."""
    rows = sorted(lab.positions.items(), key=lambda row: row[1].mlm_loss.mean, reverse=True)
    figure = Figure(figsize=(15, 1.6 + 0.26 * len(rows)), layout="constrained", dpi=110)
    title = f"position types, {lab.max_steps:,} steps on {lab.corpus}"
    figure.suptitle(title, **as_written([title]))
    axes = figure.subplots(1, 3, sharey=True)
    _means(axes[0], rows, "mlm_loss", title="held-out MLM loss", unit="nats")
    axes[0].set_yticks(range(len(rows)), [name for name, _ in rows])
    if lab.length_factors:
        _lengths(axes[1], rows, lab.length_factors)
    else:
        axes[1].set_axis_off()
    if lab.relation:
        _means(axes[2], rows, "relation_accuracy", title=f"held-out {lab.relation.upper()} accuracy", unit="share")
    else:
        axes[2].set_axis_off()
    return figure


def _means(axis: Axes, rows: Rows, key: str, *, title: str, unit: str) -> None:
    for height, (_, row) in enumerate(rows):
        interval: MeanInterval = getattr(row, key)
        difference: RunDifference | None = getattr(row, f"{key}_difference")
        fill = series(0) if difference and difference.beyond_chance else theme().ground
        axis.errorbar(
            interval.mean,
            height,
            xerr=interval.half_width,
            fmt="o",
            color=series(0),
            markerfacecolor=fill,
            markersize=4,
        )
        if len(row.seeds) > 1:
            axis.plot(row.values[key], [height] * len(row.values[key]), "|", color=theme().dim, markersize=6)
    axis.set(title=title, xlabel=f"{unit}; filled: differs from learned beyond chance")
    axis.grid(axis="x", alpha=0.3)


def _rises(rows: Rows, factor: int) -> list[tuple[float, int]]:
    """Return how much the loss of each type rises with the length, and its height; none where the type ends before."""
    losses = [(row.losses_by_length[str(factor)], row.losses_by_length["1"]) for _, row in rows]
    return [(long.mean - short.mean, height) for height, (long, short) in enumerate(losses) if long and short]


def _lengths(axis: Axes, rows: Rows, factors: Sequence[int]) -> None:
    """Draw how much the loss rises (right) or falls (left) with the length, on the same documents."""
    for index, factor in enumerate(factors):
        points = _rises(rows, factor)
        if points:
            rises, heights = zip(*points, strict=True)
            clipped_rises = [min(rise, WORST_SHOWN) for rise in rises]
            axis.scatter(
                clipped_rises, heights, marker="os^D"[index % 4], s=22, label=f"{factor}x", color=series(index + 1)
            )
        for rise, height in points:
            if rise > WORST_SHOWN:
                axis.annotate(f"{rise:.1f} ", (WORST_SHOWN, height), ha="right", va="center", fontsize=SMALL)
    for height, (_, row) in enumerate(rows):
        if all(row.losses_by_length[str(factor)] is None for factor in factors):
            axis.annotate(" ends", (0, height), ha="left", va="center", fontsize=SMALL, color=theme().dim)
    axis.axvline(0, color=theme().dim, linewidth=0.5)
    axis.set(title="loss beyond the trained length, minus that at it", xlabel="nats")
    axis.grid(axis="x", alpha=0.3)
    if axis.collections:
        axis.legend(fontsize=SMALL, loc="lower right")
