"""Words and sentences as one HTML file that needs nothing else: search, zoom, neighbours under the pointer.

Shapes: N points, P 2 or 3.
"""

import html
from collections.abc import Sequence

import numpy as np

from hf_embeddings.visualization.colours import SERIES
from hf_embeddings.visualization.fonts import CSS_FAMILIES
from hf_embeddings.visualization.page import POLICY, drawn, fill_template, script_json

MOST_WRITTEN = (
    200  # up to here every point has its label beside it; of more, those that find room, the first ones first
)
MOST_NAMES = 120  # of more points, in view at once
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="@POLICY@">
<title>@TITLE@</title>
<style>
body { margin: 0; font-family: @FONTS@; display: flex; flex-direction: column; height: 100vh; }
header { display: flex; gap: 1em; align-items: baseline; padding: .5em 1em; flex-wrap: wrap; }
h1 { font-size: 1.1em; margin: 0; }
input { font: inherit; padding: .2em .5em; width: 18em; }
#plot { flex: 1; min-height: 0; }
#found { color: #555; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 60vw; }
</style>
<script>@PLOTLY@</script></head>
<body><header><h1>@TITLE@</h1>
<input id="search" type="search" placeholder="search @COUNT@ points" aria-label="search" autofocus>
<span id="found" role="status"></span></header>
<div id="plot"></div>
<script>
const figure = @FIGURE@;
const plot = document.getElementById("plot"), found = document.getElementById("found");
Plotly.newPlot(plot, figure.data, figure.layout, figure.config);
const pinned = new Set(), measure = document.createElement("canvas").getContext("2d");
let hits = new Set(), waiting = 0;
measure.font = "13px " + figure.layout.font.family;
// Of many points: names where there is room in view, those pinned or found first, then as they were given. Names are
// SVG, which the browser writes in any script; zooming in makes room for more.
const points = figure.data.flatMap(trace => trace.meta.rows.map((row, place) =>
  ({row, x: trace.x[place], y: trace.y[place], text: trace.text[place]})));
points.sort((one, other) => one.row - other.row);
const widths = new Map(), isSpecial = point => pinned.has(point.row) || hits.has(point.row);
function writeNames() {
  const {xaxis, yaxis} = plot._fullLayout, boxes = [], notes = [];
  for (const point of [...points.filter(isSpecial), ...points.filter(point => !isSpecial(point))]) {
    if (notes.length == figure.names) break;
    const x = xaxis.l2p(point.x), y = yaxis.l2p(point.y);
    if (x < 0 || y < 0 || x > xaxis._length || y > yaxis._length) continue;
    if (!widths.has(point.row)) widths.set(point.row, measure.measureText(point.text).width / 2 + 3);
    const half = widths.get(point.row), box = [x - half, y - 22, x + half, y - 2];
    if (boxes.some(other => other[0] < box[2] && box[0] < other[2] && other[1] < box[3] && box[1] < other[3]))
      continue;
    boxes.push(box);
    notes.push({x: point.x, y: point.y, text: pinned.has(point.row) ? `<b>${point.text}</b>` : point.text,
      showarrow: false, yanchor: "bottom", yshift: 3, font: {size: 13}, bgcolor: "#ffffffa0", captureevents: false});
  }
  Plotly.relayout(plot, {annotations: notes});
}
function later() { clearTimeout(waiting); waiting = setTimeout(writeNames, 120); }
if (figure.names) {
  plot.on("plotly_relayout", change => { if (!("annotations" in change)) later(); });
  plot.on("plotly_click", event => event.points.forEach(point => {
    const row = point.data.meta.rows[point.pointNumber];
    if (!pinned.delete(row)) pinned.add(row);
    later();
  }));
  later();
}
function search(query) {
  const wanted = query.trim().toLowerCase(), names = [];
  hits = new Set();
  figure.data.forEach((trace, index) => {
    const match = trace.ids.map(label => wanted !== "" && label.toLowerCase().includes(wanted));
    names.push(...trace.ids.filter((_, row) => match[row]));
    match.forEach((hit, row) => { if (hit) hits.add(trace.meta.rows[row]); });
    Plotly.restyle(plot, {
      "marker.size": [match.includes(true) ? match.map(hit => (hit ? 4 : 1) * trace.meta.size) : trace.meta.size],
      "marker.opacity": [!wanted ? 0.8 : match.includes(true) ? match.map(hit => hit ? 1 : 0.2) : 0.2],
    }, [index]);
  });
  if (figure.names) later();
  found.textContent = wanted ? names.length + " found: " + names.slice(0, 20).join(", ") : "";
}
document.getElementById("search").addEventListener("input", event => search(event.target.value));
</script></body></html>
"""


def word_page(
    points: np.ndarray,
    labels: Sequence[str],
    groups: Sequence[str],
    neighbours: Sequence[Sequence[tuple[str, float]]],
    *,
    title: str,
) -> str:
    """Return the page.

    Args:
        points: (N, P).
        labels: N texts.
        groups: N names; each gets a colour and an entry in the legend.
        neighbours: for each point its nearest in the full space, with their cosines; shown under the pointer.
        title: of page and picture.
    """
    from plotly.offline import get_plotlyjs

    figure = {
        "data": [_trace(points, labels, groups, neighbours, name) for name in dict.fromkeys(groups)],
        "layout": _layout(points, labels),
        "config": _config(points.shape[1] == 2),
        "names": MOST_NAMES if points.shape[1] == 2 and len(labels) > MOST_WRITTEN else 0,
    }
    fields = {
        "POLICY": POLICY,
        "TITLE": html.escape(title),
        "FONTS": CSS_FAMILIES,
        "COUNT": f"{len(labels):,}",
        "FIGURE": script_json(figure),
        "PLOTLY": get_plotlyjs(),
    }
    return fill_template(PAGE, fields)


def _trace(
    points: np.ndarray,
    labels: Sequence[str],
    groups: Sequence[str],
    neighbours: Sequence[Sequence[tuple[str, float]]],
    name: str,
) -> dict[str, object]:
    """Return the points of one group.

    Labels are SVG: the browser writes every script with its own fonts. WebGL draws them letter by letter, so only
    points without labels are drawn in it.
    """
    flat, has_labels = points.shape[1] == 2, len(labels) <= MOST_WRITTEN
    rows = [row for row, group in enumerate(groups) if group == name]
    coordinates = {axis: np.round(points[rows, i], 4).tolist() for i, axis in enumerate("xyz"[: points.shape[1]])}
    size = (7 if flat else 3) if len(labels) < 3000 else (4 if flat else 2)
    return coordinates | {
        "type": ("scatter" if has_labels else "scattergl") if flat else "scatter3d",
        "mode": "markers+text" if flat and has_labels else "markers",
        "name": drawn(name),
        "ids": [labels[row] for row in rows],
        "text": [drawn(_short(labels[row])) for row in rows],
        "textposition": "top center",
        "customdata": [_describe(labels[row], neighbours[row]) for row in rows],
        "hovertemplate": "%{customdata}<extra></extra>",
        "marker": {"size": size, "opacity": 0.8},
        "meta": {"size": size, "rows": rows},
    }


def _describe(label: str, near: Sequence[tuple[str, float]]) -> str:
    lines = [f"<b>{drawn(_short(label))}</b>"]
    return "<br>".join(lines + [f"{cosine:.2f}  {drawn(_short(text))}" for text, cosine in near])


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _layout(points: np.ndarray, labels: Sequence[str]) -> dict[str, object]:
    plain = {"visible": False, "showgrid": False, "zeroline": False}
    flat = points.shape[1] == 2
    axes: dict[str, object] = {"xaxis": plain, "yaxis": plain}
    if not flat:  # its labels are annotations: SVG, where the text of a trace would be WebGL
        notes = zip(points, labels, strict=True) if len(labels) <= MOST_WRITTEN else ()
        annotations = [
            {
                **dict(zip("xyz", np.round(point, 4).tolist(), strict=True)),
                "text": drawn(_short(label)),
                "showarrow": False,
                "yanchor": "bottom",
                "captureevents": False,
            }
            for point, label in notes
        ]
        axes = {"scene": {axis: plain for axis in ("xaxis", "yaxis", "zaxis")} | {"annotations": annotations}}
    return axes | {
        "colorway": SERIES,
        "dragmode": "pan" if flat else "orbit",
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "font": {"family": CSS_FAMILIES},
        "hoverlabel": {"align": "left"},
        "legend": {"itemsizing": "constant", "y": 0.95},
    }


def _config(flat: bool) -> dict[str, object]:
    buttons = (
        ["zoom2d", "pan2d", "resetScale2d"] if flat else ["zoom3d", "pan3d", "orbitRotation", "resetCameraDefault3d"]
    )
    return {"responsive": True, "scrollZoom": True, "displaylogo": False, "modeBarButtons": [[*buttons, "toImage"]]}
