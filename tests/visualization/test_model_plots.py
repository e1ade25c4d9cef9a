"""Pictures of the input sum, attention and training show the numbers they are given."""

import json
import re

import numpy as np
import pytest

from hf_embeddings.analysis.input_sum import decompose
from hf_embeddings.visualization.attention_plots import head_figure, heads_figure
from hf_embeddings.visualization.heat import strongest
from hf_embeddings.visualization.sum_plots import sum_figure
from hf_embeddings.visualization.training_plots import animation_page, multiples_figure

RANDOM = np.random.default_rng(0)
STAGES = {f"step-{i}": RANDOM.normal(size=(4, 2)) for i in range(5)}
WORDS, GROUPS = ["a", "b", "冷", "<d>"], ["x", "x", "y", "y"]


def test_the_sum_shows_norms_cosines_and_shares() -> None:
    parts = {name: RANDOM.normal(size=(6, 8)) for name in ("token", "position", "segment")}
    measured = decompose(parts)
    figure = sum_figure([f"t{i}" for i in range(6)], measured, title="t")
    norm, cosine, share = figure.axes
    assert [bar.get_height() for bar in norm.patches[:6]] == list(np.linalg.norm(parts["token"], axis=1))
    assert len(cosine.patches) == len(share.patches) == 18
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["token", "position", "segment"]
    assert [label.get_text() for label in share.get_xticklabels()] == [f"t{i}" for i in range(6)]


def test_no_legend_of_the_sum_lies_over_bars_and_a_lone_segment_is_named() -> None:
    measured = decompose({name: 9 + RANDOM.normal(size=(6, 8)) for name in ("token", "segment")})
    figure = sum_figure(["t"] * 6, measured, title="t", segments=[0] * 6)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert not any(box.overlaps(axis.get_window_extent()) for axis in figure.axes)
    assert [text.get_text() for text in figure.legends[0].get_texts()][1] == "segment 0, the same for all tokens"


def test_attention_has_a_map_for_each_head() -> None:
    weights = RANDOM.random(size=(2, 3, 5, 5))
    figure = heads_figure(weights, list("abcde"), title="t")
    assert len(figure.axes) == 6
    np.testing.assert_array_equal(figure.axes[5].images[0].get_array(), weights[1, 2])
    one = head_figure(weights[0, 0], list("abcde"), title="t").axes[0]
    assert [label.get_text() for label in one.get_yticklabels()] == list("abcde")


@pytest.mark.parametrize("tokens", [65, 272, 500])
def test_no_head_that_looks_at_one_token_is_an_empty_panel(tokens: int) -> None:
    """Every line is in the picture, at full strength, and a panel has no more cells than it has pixels."""
    looked_at = range(0, tokens, 32)  # by one head each, and by no other
    weights = np.zeros((1, len(looked_at), tokens, tokens), np.float32)
    for head, column in enumerate(looked_at):
        weights[0, head, :, column] = 1.0
    figure = heads_figure(weights, [""] * tokens, title="t")
    figure.draw_without_rendering()
    for axis in figure.axes:
        shown = np.asarray(axis.images[0].get_array())
        assert shown.max(axis=1).min() == 1.0 and shown.shape[0] <= axis.get_window_extent().width
    assert "the largest weight of" in figure.get_suptitle()


def test_lines_of_a_map_survive_where_it_is_shrunk() -> None:
    rows = np.full((300, 300), -5.0)
    rows[:, 151] = 2.0
    assert strongest(rows, 100, middle=-5.0)[:, 50].tolist() == [2.0] * 100
    assert strongest(-rows, 100, middle=5.0)[:, 50].tolist() == [-2.0] * 100
    np.testing.assert_array_equal(strongest(rows, 300), rows)


def test_training_has_a_panel_for_each_stage_on_one_scale() -> None:
    figure = multiples_figure(STAGES, WORDS, GROUPS, title="t")
    shown = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in shown] == list(STAGES)
    assert len({axis.get_xlim() for axis in shown}) == 1
    np.testing.assert_array_equal(shown[2].collections[0].get_offsets(), STAGES["step-2"])


def test_the_animation_is_one_file_with_a_frame_for_each_stage() -> None:
    page = animation_page(STAGES, WORDS, GROUPS, title="t")
    figure = json.loads(re.search(r"const figure = (.*);\n", page)[1])
    assert [frame["name"] for frame in figure["frames"]] == list(STAGES)
    np.testing.assert_allclose(figure["frames"][3]["data"][1]["x"], STAGES["step-3"][2:, 0], atol=1e-4)
    assert figure["frames"][0]["data"][1]["text"] == ["冷", "&lt;d&gt;"]
    assert not re.search(r"<script[^>]*\ssrc=|<link", page)
