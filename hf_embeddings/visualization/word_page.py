"""Words and sentences as one HTML file that needs nothing else: search, zoom, neighbours under the pointer.

Shapes: N points, P 2 or 3.
"""

import html
import json
from collections.abc import Sequence

import numpy as np

from hf_embeddings.visualization.fonts import CSS_FAMILIES

# The browser itself refuses whatever is not in the file; plotly's WebGL code is compiled at run time.
POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
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
function search(query) {
  const wanted = query.trim().toLowerCase(), hits = [];
  figure.data.forEach((trace, index) => {
    const match = trace.ids.map(label => wanted !== "" && label.toLowerCase().includes(wanted));
    hits.push(...trace.ids.filter((_, row) => match[row]));
    Plotly.restyle(plot, {
      "marker.size": [match.includes(true) ? match.map(hit => (hit ? 4 : 1) * trace.meta.size) : trace.meta.size],
      "marker.opacity": [!wanted ? 0.8 : match.includes(true) ? match.map(hit => hit ? 1 : 0.2) : 0.2],
    }, [index]);
  });
  found.textContent = wanted ? hits.length + " found: " + hits.slice(0, 20).join(", ") : "";
  return hits;
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

    flat = points.shape[1] == 2
    traces: list[dict[str, object]] = []
    for name in dict.fromkeys(groups):
        rows = [row for row, group in enumerate(groups) if group == name]
        coordinates = {axis: np.round(points[rows, i], 4).tolist() for i, axis in enumerate("xyz"[: points.shape[1]])}
        size = (7 if flat else 3) if len(labels) < 3000 else (4 if flat else 2)
        traces.append(
            coordinates
            | {
                "type": "scattergl" if flat else "scatter3d",
                "mode": "markers+text" if len(labels) <= 200 else "markers",
                "name": html.escape(name),
                "ids": [labels[row] for row in rows],
                "text": [html.escape(_short(labels[row])) for row in rows],
                "textposition": "top center",
                "customdata": [_describe(labels[row], neighbours[row]) for row in rows],
                "hovertemplate": "%{customdata}<extra></extra>",
                "marker": {"size": size, "opacity": 0.8},
                "meta": {"size": size},
            }
        )
    figure = {"data": traces, "layout": _layout(flat), "config": _config(flat)}
    fields = {
        "@POLICY@": POLICY,
        "@TITLE@": html.escape(title),
        "@FONTS@": CSS_FAMILIES,
        "@COUNT@": f"{len(labels):,}",
        # A script element ends at the first "</script", even inside of a string.
        "@FIGURE@": json.dumps(figure, ensure_ascii=False).replace("</", "<\\/"),
        "@PLOTLY@": get_plotlyjs(),
    }
    page = PAGE
    for field, value in fields.items():
        page = page.replace(field, value)
    return page


def _describe(label: str, near: Sequence[tuple[str, float]]) -> str:
    lines = [f"<b>{html.escape(_short(label))}</b>"]
    return "<br>".join(lines + [f"{cosine:.2f}  {html.escape(_short(text))}" for text, cosine in near])


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _layout(flat: bool) -> dict[str, object]:
    plain = {"visible": False, "showgrid": False, "zeroline": False}
    axes = (
        {"xaxis": plain, "yaxis": plain} if flat else {"scene": {axis: plain for axis in ("xaxis", "yaxis", "zaxis")}}
    )
    return axes | {
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
