"""One style for all pictures of matplotlib: readable on a slide, light or dark; text of SVG and PDF stays text."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap

from hf_embeddings.visualization.colours import DARK, LIGHT, Theme, drawn_in, theme

SMALL = 10.5  # points of the smallest words


@contextmanager
def style(*, dark: bool = False) -> Iterator[Theme]:
    """Make and save figures within the block: matplotlib reads some settings only when it writes the file."""
    with drawn_in(DARK if dark else LIGHT) as own, matplotlib.rc_context(_settings(own)):
        yield own


def _settings(own: Theme) -> dict[Any, Any]:
    inks = dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor"), own.ink)
    dims = dict.fromkeys(("xtick.color", "ytick.color", "axes.edgecolor"), own.dim)
    grounds = dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor", "savefig.facecolor"), own.ground)
    sizes = dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALL)
    return {
        **inks, **dims, **grounds, **sizes, "font.size": 11.5, "axes.titlesize": 12.5, "axes.labelsize": 11.5,
        "figure.titlesize": 14, "figure.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False,
        "axes.spines.right": False, "grid.color": own.rule, "legend.frameon": False,
        **dict.fromkeys((f"axes3d.{axis}axis.panecolor" for axis in "xyz"), own.soft),
        "figure.constrained_layout.w_pad": 0.1, "figure.constrained_layout.h_pad": 0.1,
        "svg.fonttype": "none",  # text is text, not outlines
        "svg.hashsalt": "hf_embeddings",  # the same picture, the same file
        "pdf.fonttype": 42,
    }  # fmt: skip


def frame(axis: Axes) -> None:
    """Draw a thin frame around a map, which has no axes of its own."""
    for spine in axis.spines.values():
        spine.set(visible=True, color=theme().rule)


def weights_map() -> Colormap:
    """Return the colours of weights: nothing is the ground, much stands out."""
    own = theme()
    return _map(own.weights, (own.ground, "#2f6f9f", "#8fd0ff", "#ffffff"))


def signs_map() -> Colormap:
    """Return the colours of signed values: zero is the ground."""
    own = theme()
    return _map(own.signs, ("#7cc7ff", "#2a6ea0", own.ground, "#a8551d", "#ffb27a"))


def scale_map() -> Colormap:
    """Return the colours of a scale from its lowest value to its highest."""
    return LinearSegmentedColormap.from_list("scale", theme().scale)


def _map(name: str, dark: tuple[str, ...]) -> Colormap:
    if name in matplotlib.colormaps:
        return matplotlib.colormaps[name]
    return LinearSegmentedColormap.from_list(name, dark)
