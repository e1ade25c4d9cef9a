"""Pictures of training: how the words found their places, and the loss.

Shapes: N words.
"""

import html
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from hf_embeddings.visualization.colours import SERIES, series
from hf_embeddings.visualization.fonts import CSS_FAMILIES, as_written
from hf_embeddings.visualization.labels import write_labels
from hf_embeddings.visualization.page import POLICY, drawn, fill_template, script_json

ANIMATION = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="@POLICY@">
<title>@TITLE@</title>
<style>
body { margin: 0; font-family: @FONTS@; }
h1 { font-size: 1.1em; margin: .5em 1em; }
#plot { height: 90vh; }
</style>
<script>@PLOTLY@</script></head>
<body><h1>@TITLE@</h1><div id="plot"></div>
<script>
const figure = @FIGURE@;
Plotly.newPlot("plot", figure.data, figure.layout, {responsive: true, displaylogo: false})
  .then(plot => Plotly.addFrames(plot, figure.frames));
</script></body></html>
"""


def multiples_figure(
    stages: Mapping[str, np.ndarray], words: Sequence[str], groups: Sequence[str], *, title: str
) -> Figure:
    """Draw the points (N, 2) of each stage of training side by side, on one scale.

    Args:
        stages: name of the checkpoint -> points, in order.
        words: N labels.
        groups: N names; each gets a colour.
        title: shown above.
    """
    columns = min(4, len(stages))
    rows = -(-len(stages) // columns)
    figure = Figure(figsize=(3.6 * columns, 3.5 * rows + 0.4), layout="constrained", dpi=110)
    figure.suptitle(title, **as_written([title]))
    everything = np.concatenate(list(stages.values()))
    margin = 0.12 * np.ptp(everything, axis=0)
    low, high = everything.min(axis=0) - margin, everything.max(axis=0) + margin
    names = list(dict.fromkeys(groups))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(stages) :]:
        axis.set_axis_off()
    for axis, (stage, points) in zip(axes, stages.items(), strict=False):
        axis.scatter(*points.T, s=18, color=[series(names.index(group)) for group in groups])
        axis.set_title(stage, **as_written([stage]))
        axis.set(xticks=[], yticks=[], xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        write_labels(axis, points, words, inches=(3.4, 3.2))
    return figure


def animation_page(stages: Mapping[str, np.ndarray], words: Sequence[str], groups: Sequence[str], *, title: str) -> str:
    """Return one self-contained HTML page that plays the stages of `multiples_figure`."""
    from plotly.offline import get_plotlyjs

    names = list(dict.fromkeys(groups))
    everything = np.concatenate(list(stages.values()))
    span = float(1.15 * np.abs(everything).max())
    frames = [
        {"name": stage, "data": [_trace(points, words, groups, name) for name in names]}
        for stage, points in stages.items()
    ]
    play = {"frame": {"duration": 600, "redraw": True}, "transition": {"duration": 400}, "fromcurrent": True}
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    layout = {
        "colorway": SERIES,
        "xaxis": {"range": [-span, span], "visible": False},
        "yaxis": {"range": [-span, span], "visible": False, "scaleanchor": "x"},
        "font": {"family": CSS_FAMILIES},
        "updatemenus": [{
            "type": "buttons", "direction": "left", "x": 0, "y": 0, "xanchor": "left", "yanchor": "top",
            "showactive": False,
            "buttons": [
                {"label": "play", "method": "animate", "args": [None, play]},
                {"label": "pause", "method": "animate", "args": [[None], still]},
            ],
        }],
        "sliders": [{
            "x": 0.2, "len": 0.8,
            "steps": [{"label": drawn(stage), "method": "animate", "args": [[stage], still]} for stage in stages],
        }],
    }  # fmt: skip
    figure = {"data": frames[0]["data"], "layout": layout, "frames": frames}
    fields = {
        "POLICY": POLICY,
        "TITLE": html.escape(title),
        "FONTS": CSS_FAMILIES,
        "FIGURE": script_json(figure),
        "PLOTLY": get_plotlyjs(),
    }
    return fill_template(ANIMATION, fields)


def _trace(points: np.ndarray, words: Sequence[str], groups: Sequence[str], name: str) -> dict[str, object]:
    rows = [row for row, group in enumerate(groups) if group == name]
    return {
        "type": "scatter", "mode": "markers+text", "name": drawn(name), "textposition": "top center",
        "x": np.round(points[rows, 0], 4).tolist(), "y": np.round(points[rows, 1], 4).tolist(),
        "text": [drawn(words[row]) for row in rows], "marker": {"size": 9},
    }  # fmt: skip
