"""The loss curve of a run as an SVG: small, sharp at any size, and the same bytes for the same run."""

import html
import math
from collections.abc import Mapping, Sequence

from hf_embeddings.visualization.colours import series, theme

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 280, 48, 16, 24, 36  # pixels

Curve = Sequence[tuple[int, float]]


def draw_loss(curves: Mapping[str, Curve], *, baseline: tuple[str, float] | None = None) -> str:
    """Return an SVG of one line for each named curve of (step, loss in nats), and a dashed one at the baseline."""
    steps = max(step for curve in curves.values() for step, _ in curve)
    top = max([value for curve in curves.values() for _, value in curve] + ([baseline[1]] if baseline else [])) * 1.05

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * step / steps, 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="11" fill="{theme().dim}">',
        "<title>Training loss in nats over optimizer steps</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{theme().ground}"/>',
    ]
    for value in _ticks(top):
        parts += [
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value)}" y2="{y(value)}" stroke="{theme().rule}"/>',
            f'<text x="{LEFT - 6}" y="{y(value) + 4}" text-anchor="end">{value:g}</text>',
        ]
    parts += [
        f'<text x="{x(step)}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{step:,.10g}</text>'
        for step in _ticks(steps)
    ]
    if baseline:
        height = y(baseline[1])
        parts += [
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height}" y2="{height}" stroke="{theme().dim}" '
            'stroke-dasharray="4 3"/>',
            f'<text x="{WIDTH - RIGHT}" y="{height - 4}" text-anchor="end">{html.escape(baseline[0])}</text>',
        ]
    for index, (name, curve) in enumerate(curves.items()):
        color = series(index)
        points = " ".join(f"{x(step)},{y(value)}" for step, value in curve)
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>',
            f'<text x="{LEFT + 90 * index}" y="{TOP - 8}" fill="{color}">{html.escape(name)}</text>',
        ]
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">optimizer steps</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _ticks(top: float) -> list[float]:
    """Return three to six round numbers from 0 to `top`."""
    power = 10.0 ** math.floor(math.log10(top))
    step = next(factor * power for factor in (0.2, 0.5, 1, 2) if top / (factor * power) < 6)
    return [number * step for number in range(int(top / step) + 1)]
