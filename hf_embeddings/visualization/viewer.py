"""The viewer: points as one HTML file that needs nothing else, with zoom, search, neighbours and stages.

Its markup, style and script lie in `viewer/`. Shapes: N points, P 2 or 3, k neighbours.
"""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np

from hf_embeddings.visualization.colouring import Colouring
from hf_embeddings.visualization.colours import LIGHT, css_colours
from hf_embeddings.visualization.fonts import CSS_FAMILIES
from hf_embeddings.visualization.page import elements, fill_template, policy, script_json

# In the order in which the browser reads them: each uses those before it.
SCRIPTS = ("words", "view", "points", "labels", "panels", "viewer")


@dataclass(frozen=True)
class Near:
    """The nearest of each point in the full space."""

    rows: np.ndarray  # (N, k) numbers of points, or of `View.names`
    cosines: np.ndarray  # (N, k)


@dataclass(frozen=True)
class View:
    """What a page shows."""

    stages: Mapping[str, np.ndarray]  # name -> (N, P), in order; one is a still map
    labels: Sequence[str]  # N texts, the most important first: they get their labels first
    colourings: Sequence[Colouring]  # the first one is shown first
    near: Sequence[Near] = ()  # for each stage, or one
    names: Sequence[str] | None = None  # what the neighbours are, where they are not the points themselves
    moved: Sequence[Sequence[str]] = field(default=())  # for each stage, in words how far each point has travelled
    note: str = ""  # what is to be known of the map, in one sentence


def viewer_page(view: View, *, title: str, theme: str | None = None) -> str:
    """Return the page; without a theme, it is light or dark as the reader's system."""
    script = "\n".join([elements(), *(_read(f"{name}.js") for name in SCRIPTS)])
    fields = {
        "THEME": theme or "",
        "POLICY": policy(script),
        "TITLE": html.escape(title),
        "COLOURS": f":root {{ --fonts: {CSS_FAMILIES}; }}\n{css_colours()}",
        "STYLE": _read("viewer.css"),
        "DATA": script_json(_page_data(view)),
        "SCRIPT": script,
    }
    return fill_template(_read("viewer.html"), fields)


def _page_data(view: View) -> dict[str, Any]:
    stages: list[dict[str, Any]] = [
        {"name": name, "points": base64.b64encode(points.astype("<f4").tobytes()).decode()}
        for name, points in view.stages.items()
    ]
    for stage, moved in zip(stages, view.moved, strict=False):
        stage["moved"] = list(moved)
    return {
        "dimensions": next(iter(view.stages.values())).shape[1],
        "stages": stages,
        "labels": list(view.labels),
        "colourings": [colouring.page_data() for colouring in view.colourings],
        "near": [
            {"rows": near.rows.tolist(), "cosines": np.rint(100 * near.cosines).astype(int).tolist()}
            for near in view.near
        ],
        "names": None if view.names is None else list(view.names),
        "note": view.note,
        "series": list(LIGHT.series),
        "scale": list(LIGHT.scale),
    }


def _read(name: str) -> str:
    return files("hf_embeddings.visualization").joinpath("viewer", name).read_text(encoding="utf-8")
