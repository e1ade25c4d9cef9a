"""Pictures and exports of words hold their points, labels and neighbours; labels do not cover each other."""

import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib import font_manager
from matplotlib.colors import to_hex
from matplotlib.text import Text

from hf_embeddings.visualization import fonts
from hf_embeddings.visualization.colouring import Groups, Scale
from hf_embeddings.visualization.colours import LIGHT
from hf_embeddings.visualization.exports import write_parquet, write_projector
from hf_embeddings.visualization.word_plots import panels_figure, scatter_figure

WORDS = ["king", "don't @FIGURE@", "快乐", "$x$ <b>", "</script><!--<script>alert(1)</script>"]
GROUPS = Groups("group", ["royal", "royal", "mood", "odd", "odd"])
POINTS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_figure_shows_every_word(dimensions: int, tmp_path: Path) -> None:
    figure = scatter_figure(POINTS[:, :dimensions], WORDS, GROUPS, title="mine")
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.texts] == WORDS and axis.get_title("left") + axis.get_title() == "mine"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["royal", "mood", "odd"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a machine without a Chinese font still gets its picture
        figure.savefig(tmp_path / "words.png")
    assert (tmp_path / "words.png").stat().st_size > 5000


def test_a_scale_of_colours_has_a_bar_in_its_unit() -> None:
    colouring = Scale("frequency", np.array([1, 10, 100, 0, 1000.0]), "times in the corpus", logarithmic=True)
    axis, bar = scatter_figure(POINTS[:, :2], WORDS, colouring, title="t").axes
    assert bar.get_ylabel() == "frequency (times in the corpus)" and bar.get_ylim() == pytest.approx((1, 1000))
    inks = [to_hex(colour) for colour in axis.collections[0].get_facecolors()]
    assert inks == [LIGHT.scale[0], *inks[1:3], LIGHT.none, LIGHT.scale[-1]] and len(set(inks)) == 5
    assert colouring.page_data()["of"] == [0.0, 0.3333, 0.6667, None, 1.0] and colouring.page_data()["high"] == "1,000"


@pytest.mark.parametrize("dimensions", [2, 3])
def test_each_group_has_a_panel_in_its_colour(dimensions: int) -> None:
    words, names = list("abcdefghijklmnop"), ["mine", "contrast", "gradient", "grammar"]
    groups = Groups("group", [name for name in names for _ in range(4)])
    points = np.random.default_rng(0).normal(size=(16, dimensions))
    panels = {name: points[groups.rows(name), :2] for name in names}
    figure = panels_figure(points, words, groups, panels, title="all")
    titles = [axis.get_title("left") or axis.get_title() for axis in figure.axes]
    assert titles == ["all", *(f"{name}, PCA of these 4" for name in names)]
    assert [len(axis.lines) for axis in figure.axes[1:]] == [0, 4, 3, 3]
    assert {text.get_text() for axis in figure.axes[1:] for text in axis.texts} == set(words)
    assert [to_hex(axis.collections[0].get_facecolor()[0]) for axis in figure.axes[1:]] == list(LIGHT.series[:4])


@pytest.mark.parametrize("count, dimensions", [(16, 2), (16, 3), (300, 2), (1500, 2)])
def test_labels_cover_neither_each_other_nor_points(count: int, dimensions: int) -> None:
    points = np.random.default_rng(0).normal(size=(count, dimensions))
    words = [f"word{row}" for row in range(count)]
    figure = scatter_figure(points, words, Groups("group", ["a"] * count), title="")
    axis = figure.axes[0]
    figure.draw_without_rendering()
    boxes = np.array([Text.get_window_extent(text).extents for text in axis.texts]) + [1, 1, -1, -1]  # a pixel's edge
    overlap = (boxes[:, None, :2] < boxes[None, :, 2:]).all(-1) & (boxes[None, :, :2] < boxes[:, None, 2:]).all(-1)
    assert (overlap.sum(axis=1) == 1).all() and [text.get_text() for text in axis.texts][0] == "word0"
    assert len(boxes) == count if count == 16 else 40 < len(boxes) <= 300
    if dimensions == 2 and count <= 300:
        places = axis.transData.transform(points)[:, None]
        assert not ((boxes[:, :2] < places) & (places < boxes[:, 2:])).all(-1).any()


SCRIPTS = {"快乐": "Chinese", "हिन्दी": "Devanagari", "ไทย": "Thai", "မြန်မာ": "Myanmar", "🙂": "emoji"}


@pytest.mark.parametrize("text, script", SCRIPTS.items())
def test_a_missing_font_is_said_by_its_script(text: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", lambda: [])
    with pytest.warns(UserWarning, match=f"no font with {script}.*apt-get install fonts-"):
        assert fonts.families([text]) == ["DejaVu Sans"]
    assert fonts.families(["plain", "café", "\u200d\ufe0f\n"]) == ["DejaVu Sans"]


def test_fonts_are_chosen_by_the_characters_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    cmaps = {"/mine": "快乐", "/all": "快乐ไทย", "/unused": "हिन्दी"}
    monkeypatch.setattr(fonts, "_brought", lambda: frozenset(map(ord, "plain")))
    monkeypatch.setattr(fonts, "_installed", lambda: [("Mine", "/mine"), ("Unused", "/unused"), ("All", "/all")])
    monkeypatch.setattr(fonts, "_characters", lambda path: frozenset(map(ord, cmaps[path])))
    monkeypatch.setattr(fonts, "_add", lambda path: None)
    assert fonts.families(["快", "乐", "ไ", "plain"]) == ["DejaVu Sans", "Mine", "All"]


def test_fonts_that_are_found_cover_the_text() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = fonts.families(SCRIPTS)
    entries = {font.name: font.fname for font in font_manager.fontManager.ttflist}
    covered = {chr(code) for family in found for code in fonts._characters(entries[family])}
    assert said or set("".join(SCRIPTS)) <= covered  # either every character has a font, or the missing ones are named


def test_no_name_or_title_is_mathematics_or_left_out() -> None:
    groups = Groups("$g$", ["_hidden", "$a$", "$a$", "b", "b"])
    figure = scatter_figure(POINTS[:, :2], WORDS, groups, title="$x$ {")
    axis = figure.axes[0]
    legend = axis.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["_hidden", "$a$", "b"]
    texts = [axis.title, *axis.texts, *legend.get_texts(), legend.get_title()]
    assert not any(text.get_parse_math() for text in texts if text.get_text())


def test_exports_read_back(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    rows, cosines = np.tile([1, 2], (5, 1)), np.tile([0.9, 0.8], (5, 1))
    path = write_parquet(tmp_path / "words.parquet", vectors, POINTS[:, :2], WORDS, GROUPS.of, rows, cosines)
    table = pq.read_table(path).to_pydict()
    assert table["text"] == WORDS and table["group"] == GROUPS.of
    np.testing.assert_allclose(table["vector"], vectors)
    np.testing.assert_allclose(table["projection_y"], POINTS[:, 1])
    assert table["neighbors"][0]["ids"] == [1, 2] and table["neighbors"][0]["distances"] == pytest.approx([0.1, 0.2])
    folder = write_projector(tmp_path / "projector", vectors, [*WORDS[:4], "two\tlines\n"], GROUPS.of)
    np.testing.assert_allclose(np.loadtxt(folder / "vectors.tsv", delimiter="\t"), vectors, rtol=1e-4)
    lines = (folder / "metadata.tsv").read_text().splitlines()
    assert len(lines) == 6 and lines[0] == "label\tgroup" and lines[5] == "two lines\todd"
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    assert all(
        (folder / name).exists() for name in (config.embeddings[0].tensor_path, config.embeddings[0].metadata_path)
    )
