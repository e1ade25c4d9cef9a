"""Pictures in every format and on both grounds: one mechanism, the same figure, text that stays text."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from hf_embeddings.visualization.attention_plots import layer_figure
from hf_embeddings.visualization.colouring import Groups
from hf_embeddings.visualization.colours import DARK, LIGHT, THEMES, Theme, css_colours
from hf_embeddings.visualization.pictures import save_figure
from hf_embeddings.visualization.position_plots import position_figure
from hf_embeddings.visualization.style import style
from hf_embeddings.visualization.word_plots import scatter_figure

WORDS = ["国王", "快乐", "king", "&<b>", "冷"]
pytestmark = pytest.mark.filterwarnings("ignore:no font with", "ignore:Glyph")


def words_figure() -> Figure:
    points = np.random.default_rng(0).normal(size=(5, 2))
    return scatter_figure(points, WORDS, Groups("group", ["a", "a", "b", "b", "词"]), title="标题")


def test_text_of_an_svg_is_text_and_the_same_picture_is_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with style():
            save_figure(words_figure(), tmp_path / f"{name}.svg")
    texts = [part.text for part in ElementTree.parse(tmp_path / "one.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert {*WORDS, "a", "b", "词", "标题"} <= set(texts)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_a_pdf_holds_its_fonts(tmp_path: Path) -> None:
    with style():
        content = save_figure(words_figure(), tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF") and b"/FontFile2" in content and b"CreationDate" not in content


@pytest.mark.parametrize("own", THEMES.values(), ids=THEMES)
def test_every_colour_is_readable_on_its_ground(own: Theme) -> None:
    for name, colour, least in (
        ("ink", own.ink, 7), ("dim", own.dim, 4.5), *((name, name, 3) for name in (*own.series, own.accent)),
    ):  # fmt: skip
        assert _contrast(colour, own.ground) >= least, name
    assert own.series[0] in css_colours() and len(set(own.series)) == len(own.series) == len(LIGHT.series)


def test_a_dark_picture_is_dark_all_over() -> None:
    weights = np.random.default_rng(0).random((2, 5, 5))
    with style(dark=True):
        figures = [words_figure(), layer_figure(weights, WORDS, title="t"), position_figure("p", None, weights)]
        for figure in figures:
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            pixels = np.asarray(canvas.buffer_rgba())[..., :3]
            ground = np.rint(255 * np.array(to_rgb(DARK.ground)))
            assert (pixels[[0, -1, 0, -1], [0, 0, -1, -1]] == ground).all()
            assert (pixels.min(axis=-1) > 250).mean() < 0.02  # of labels and strong cells
    assert words_figure().get_facecolor()[:3] == (1, 1, 1)  # outside of the block all is as before


def _contrast(one: str, other: str) -> float:
    """The ratio of luminances of WCAG 2."""
    lights = []
    for colour in (one, other):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        lights.append(np.dot(linear, (0.2126, 0.7152, 0.0722)) + 0.05)
    return float(max(lights) / min(lights))
