"""Pictures, pages and exports of words hold their points, labels and neighbours, and nothing from outside."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib import font_manager

from hf_embeddings.visualization import fonts
from hf_embeddings.visualization.exports import write_parquet, write_projector
from hf_embeddings.visualization.labels import write_labels
from hf_embeddings.visualization.word_page import POLICY, word_page
from hf_embeddings.visualization.word_plots import EXAMPLES, example_figure, scatter_figure

WORDS = ["king", "don't @FIGURE@", "快乐", "$x$ <b>", "</script><!--<script>alert(1)</script>"]
GROUPS = ["royal", "royal", "mood", "odd", "odd"]
POINTS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
NEAR = [[(WORDS[(i + 1) % 5], 0.5)] for i in range(5)]


def figure_of(page: str) -> dict:
    return json.loads(re.search(r"const figure = (.*);\n", page)[1])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_page_needs_nothing_else(dimensions: int) -> None:
    page = word_page(POINTS[:, :dimensions], WORDS, GROUPS, NEAR, title="my <model>")
    ours = page.replace(re.search(r"<script>(.*?)</script></head>", page, re.DOTALL)[1], "")
    assert "http" not in ours.replace('http-equiv="Content-Security-Policy"', "")  # beside plotly.js, no address at all
    assert not re.search(r"<(script|img|iframe)[^>]*\ssrc=|<link|@import|url\(", ours)
    assert f'content="{POLICY}"' in ours and "default-src 'none'" in POLICY and "my &lt;model&gt;" in ours
    assert ours.count("</script>") == 2  # one holds plotly.js, one the figure; no word ends it early
    assert "<!--" not in ours and "<script>alert" not in ours
    figure = figure_of(page)
    assert [trace["name"] for trace in figure["data"]] == ["royal", "mood", "odd"]
    assert [word for trace in figure["data"] for word in trace["ids"]] == WORDS
    np.testing.assert_allclose(figure["data"][0]["x"], POINTS[:2, 0], atol=1e-4)
    assert ("z" in figure["data"][0]) == (dimensions == 3)
    assert figure["data"][0]["customdata"][0] == "<b>king</b><br>0.50  don't @FIGURE@"
    assert "<script>" not in figure["data"][2]["customdata"][1]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_labels_are_svg_text_that_the_browser_shapes(dimensions: int) -> None:
    words = ["don't", 'AT&T "x"', "a<b", "مرحبا", "%{x}"]
    figure = figure_of(word_page(POINTS[:, :dimensions], words, GROUPS, NEAR, title="t"))
    traces = figure["data"]
    assert not [t for t in traces if t["type"] in ("scattergl", "scatter3d") and "text" in t["mode"]]  # WebGL text
    notes = [note["text"] for note in figure["layout"].get("scene", {}).get("annotations", [])]
    shown = notes or [text for trace in traces for text in trace["text"] if "text" in trace["mode"]]
    assert shown == ["don't", 'AT&amp;T "x"', "a&lt;b", "مرحبا", "&#37;{x}"]


def test_ten_thousand_points_fit_one_page() -> None:
    points = np.random.default_rng(0).normal(size=(10_000, 2))
    labels = [f"word{i}" for i in range(10_000)]
    page = word_page(points, labels, ["words"] * 10_000, [[("near", 0.9)] * 8] * 10_000, title="many")
    trace = figure_of(page)["data"][0]
    assert len(trace["ids"]) == len(trace["customdata"]) == 10_000 and trace["type"] == "scattergl"
    assert len(page) < 10e6 and "search 10,000 points" in page


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_figure_shows_every_word(dimensions: int, tmp_path: Path) -> None:
    figure = scatter_figure(POINTS[:, :dimensions], WORDS, GROUPS, title="mine")
    texts = [text.get_text().strip() for text in figure.axes[0].texts]
    assert texts == WORDS and figure.axes[0].get_title() == "mine"
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["royal", "mood", "odd"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a machine without a Chinese font still gets its picture
        figure.savefig(tmp_path / "words.png")
    assert (tmp_path / "words.png").stat().st_size > 5000


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_four_examples_have_a_panel_each(dimensions: int) -> None:
    words = list("abcdefghijklmnop")
    groups = [name for name in EXAMPLES for _ in range(4)]
    points = np.random.default_rng(0).normal(size=(16, dimensions))
    panels = {name: points[groups.index(name) : groups.index(name) + 4, :2] for name in EXAMPLES}
    figure = example_figure(points, words, groups, panels, method="t-SNE")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["all words, t-SNE", *(f"{name}, PCA of these 4" for name in EXAMPLES)]
    assert [len(axis.lines) for axis in figure.axes[1:]] == [0, 4, 3, 3]
    assert {text.get_text() for axis in figure.axes[1:] for text in axis.texts} == set(words)


def test_many_labels_leave_each_other_room() -> None:
    figure = scatter_figure(np.zeros((1, 2)), ["x"], ["a"], title="")
    points = np.random.default_rng(0).normal(size=(3000, 2))
    figure.axes[0].scatter(*points.T)
    write_labels(figure.axes[0], points, [f"word{i}" for i in range(3000)], inches=(8, 8))
    assert 50 < len(figure.axes[0].texts) <= 302


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


def test_no_name_or_title_is_mathematics_or_left_out(tmp_path: Path) -> None:
    figure = scatter_figure(POINTS[:, :2], WORDS, ["_hidden", "$a$", "$a$", "b", "b"], title="$x$ {")
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["_hidden", "$a$", "b"]
    texts = [axis.title, *axis.texts, *axis.get_legend().get_texts()]
    assert not any(text.get_parse_math() for text in texts)


def test_exports_read_back(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    rows, cosines = np.tile([1, 2], (5, 1)), np.tile([0.9, 0.8], (5, 1))
    path = write_parquet(tmp_path / "words.parquet", vectors, POINTS[:, :2], WORDS, GROUPS, rows, cosines)
    table = pq.read_table(path).to_pydict()
    assert table["text"] == WORDS and table["group"] == GROUPS
    np.testing.assert_allclose(table["vector"], vectors)
    np.testing.assert_allclose(table["projection_y"], POINTS[:, 1])
    assert table["neighbors"][0]["ids"] == [1, 2] and table["neighbors"][0]["distances"] == pytest.approx([0.1, 0.2])
    folder = write_projector(tmp_path / "projector", vectors, [*WORDS[:4], "two\tlines\n"], GROUPS)
    np.testing.assert_allclose(np.loadtxt(folder / "vectors.tsv", delimiter="\t"), vectors, rtol=1e-4)
    lines = (folder / "metadata.tsv").read_text().splitlines()
    assert len(lines) == 6 and lines[0] == "label\tgroup" and lines[5] == "two lines\todd"
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    assert all(
        (folder / name).exists() for name in (config.embeddings[0].tensor_path, config.embeddings[0].metadata_path)
    )
