"""Pictures of the input sum, attention and training show the numbers they are given."""

import numpy as np
import pytest

from hf_embeddings.analysis.input_sum import decompose
from hf_embeddings.analysis.movement import travelled
from hf_embeddings.visualization.attention_plots import head_figure, heads_figure, layer_figure
from hf_embeddings.visualization.colouring import Groups
from hf_embeddings.visualization.heat import strongest
from hf_embeddings.visualization.sum_plots import sum_figure
from hf_embeddings.visualization.training_plots import change_figure, multiples_figure

RANDOM = np.random.default_rng(0)
STAGES = {f"step-{i}": RANDOM.normal(size=(4, 2)) for i in range(5)}
WORDS, GROUPS = ["a", "b", "$c$", "<d>"], Groups("group", ["x", "x", "y", "y"])


def test_the_sum_shows_norms_cosines_and_shares() -> None:
    parts = {name: RANDOM.normal(size=(6, 8)) for name in ("token", "position", "segment")}
    measured = decompose(parts)
    figure = sum_figure([f"t{i}" for i in range(6)], measured, title="t")
    norm, cosine, share = figure.axes
    assert [bar.get_height() for bar in norm.patches[:6]] == list(np.linalg.norm(parts["token"], axis=1))
    assert len(cosine.patches) == len(share.patches) == 18
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["token", "position", "segment"]
    assert [label.get_text() for label in share.get_xticklabels()] == [f"t{i}" for i in range(6)]


def test_no_legend_of_the_sum_lies_over_bars_and_its_note_is_read() -> None:
    measured = decompose({name: 9 + RANDOM.normal(size=(6, 8)) for name in ("token", "segment")})
    figure = sum_figure(["t"] * 6, measured, title="t", note="no position in the sum")
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert not any(box.overlaps(axis.get_window_extent()) for axis in figure.axes)
    assert figure.get_suptitle() == "t\nno position in the sum"


def test_attention_has_a_map_for_each_head() -> None:
    weights, tokens = RANDOM.random(size=(2, 3, 5, 5)), list("abcde")
    maps = heads_figure(weights, title="t").axes[0].images
    np.testing.assert_array_equal([image.get_array() for image in maps], weights.reshape(6, 5, 5))
    assert [tuple(np.floor(image.get_extent())[[0, 3]]) for image in maps[2:4]] == [(2, 0), (0, 1)]  # head, layer
    of_layer = [axis for axis in layer_figure(weights[1], tokens, title="t").axes if axis.images]
    np.testing.assert_array_equal([axis.images[0].get_array() for axis in of_layer], weights[1])
    one = head_figure(weights[0, 0], tokens, title="t").axes[0]
    for axis in (one, of_layer[0]):
        assert [label.get_text() for label in axis.get_yticklabels()] == tokens


def test_twelve_by_twelve_heads_are_legible_on_a_slide() -> None:
    """Letters keep their size beside the width of a slide, and a panel has the room of a thumbnail."""
    figure = heads_figure(RANDOM.random(size=(12, 12, 30, 30)), title="t")
    figure.draw_without_rendering()
    axis = figure.axes[0]
    assert figure.get_figwidth() < 14.1 and axis.get_window_extent().width / figure.dpi > 12 * 0.9
    assert [label.get_text() for label in axis.get_yticklabels()] == [str(layer) for layer in range(12)]
    assert axis.get_xticklabels()[0].get_fontsize() >= 10


@pytest.mark.parametrize("tokens", [65, 272, 500])
def test_no_head_that_looks_at_one_token_is_an_empty_panel(tokens: int) -> None:
    """Every line is in the picture, at full strength, and a panel has no more cells than it has pixels."""
    looked_at = range(0, tokens, 32)  # by one head each, and by no other
    weights = np.zeros((1, len(looked_at), tokens, tokens), np.float32)
    for head, column in enumerate(looked_at):
        weights[0, head, :, column] = 1.0
    figure = heads_figure(weights, title="t")
    figure.draw_without_rendering()
    axis = figure.axes[0]
    assert len(axis.images) == len(looked_at)
    for image in axis.images:
        shown, (left, right, _, _) = np.asarray(image.get_array()), image.get_extent()
        width = np.ptp(axis.transData.transform([(left, 0), (right, 0)])[:, 0])
        assert shown.max(axis=1).min() == 1.0 and shown.shape[0] <= width + 0.5
    assert "the largest weight of" in figure.get_suptitle()


def test_lines_of_a_map_survive_where_it_is_shrunk() -> None:
    rows = np.full((300, 300), -5.0)
    rows[:, 151] = 2.0
    assert strongest(rows, 100, middle=-5.0)[:, 50].tolist() == [2.0] * 100
    assert strongest(-rows, 100, middle=5.0)[:, 50].tolist() == [-2.0] * 100
    np.testing.assert_array_equal(strongest(rows, 300), rows)


def test_training_has_a_panel_for_each_stage_on_one_scale_with_the_ways() -> None:
    figure = multiples_figure(STAGES, WORDS, GROUPS, length=2.0, title="t")
    shown = [axis for axis in figure.axes if axis.collections]
    assert [axis.get_title("left") or axis.get_title() for axis in shown] == list(STAGES)
    assert len({axis.get_xlim() for axis in shown}) == 1 and figure.get_suptitle() == "t"
    np.testing.assert_array_equal(shown[2].collections[0].get_offsets(), STAGES["step-2"])
    ways = np.stack([STAGES[f"step-{i}"][1] for i in range(3)])
    np.testing.assert_array_equal(shown[2].lines[1].get_xydata(), ways)


def test_a_scale_bar_measures_what_it_says() -> None:
    axis = multiples_figure(STAGES, WORDS, GROUPS, length=2.0, title="t").axes[0]
    (text,) = [text.get_text() for text in axis.texts if "mean length" in text.get_text()]
    left, right = axis.lines[-1].get_xdata()
    assert right - left == pytest.approx(float(text.split(" %")[0]) / 100 * 2.0)


def test_movement_that_is_too_small_to_see_is_drawn_larger_and_said_to_be() -> None:
    first = np.array([[0, 0], [10, 0], [0, 10], [10, 10.0]])
    stages = {"a": first, "b": first + [[0.01, 0]] * 4}
    figure = multiples_figure(stages, WORDS, GROUPS, length=2.0, title="t")
    assert figure.get_suptitle() == "t; movement drawn 100 times as large"
    np.testing.assert_allclose(figure.axes[1].collections[0].get_offsets() - first, [[1, 0]] * 4)


def test_what_changed_is_told_in_figures() -> None:
    spaces = list(STAGES.values())
    first, last = [[("x", 0.9), ("y", 0.8)]] * 4, [[("x", 0.9), ("new", 0.7)]] * 4
    figure = change_figure(
        list(STAGES), WORDS, travelled(spaces), [first, last],
        curves={"mlm": [(0, 3.0), (9, 2.0)]}, baseline=("b", 2.5), title="t",
    )  # fmt: skip
    loss, distance, near = figure.axes
    assert list(loss.lines[0].get_ydata()) == [3.0, 2.0]
    expected = 100 * np.linalg.norm(spaces[-1] - spaces[0], axis=1) / np.linalg.norm(spaces[0], axis=1)
    assert [line.get_ydata()[-1] for line in distance.lines[:4]] == pytest.approx(list(expected))
    assert "50 % changed" in near.get_title("left") + near.get_title()
    inks = {text.get_text(): text.get_color() for text in near.texts}
    assert inks["new"] != inks["x"] and "$c$" in inks
