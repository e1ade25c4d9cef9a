"""The loss curve is an SVG whose marks are round numbers at their places."""

from xml.etree import ElementTree

import pytest

from hf_embeddings.visualization.loss_curve import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, draw_loss


@pytest.mark.parametrize("steps", [1, 7, 30, 999, 1000, 3987, 120_001, 10**6])
def test_marks_are_round_and_at_their_places(steps: int) -> None:
    svg = ElementTree.fromstring(
        draw_loss({"mlm": [(0, 9.0), (steps, 3.0)]}, baseline=("token frequencies alone", 5.9))
    )
    texts = [element for element in svg.iter() if element.tag.endswith("text")]
    marks = [element for element in texts if float(element.get("y")) > HEIGHT - 30 and element.text[0].isdigit()]
    values = [float(element.text.replace(",", "")) for element in marks]
    assert 3 <= len(values) <= 6 and values[0] == 0 and values[-1] <= steps
    gap = values[1]
    assert f"{gap:e}"[0] in "125" and float(f"{gap:.0e}") == gap
    for value, element in zip(values, marks, strict=True):
        assert float(element.get("x")) == pytest.approx(LEFT + (WIDTH - LEFT - RIGHT) * value / steps, abs=0.1)


def test_a_line_goes_through_each_recorded_loss() -> None:
    svg = ElementTree.fromstring(draw_loss({"mlm": [(0, 4.0), (10, 2.0)], "nsp": [(0, 0.7), (10, 0.6)]}))
    lines = [element for element in svg.iter() if element.tag.endswith("polyline")]
    names = [element.text for element in svg.iter() if element.get("fill") == lines[1].get("stroke")]
    (_, top), (right, low) = (map(float, point.split(",")) for point in lines[0].get("points").split())
    assert names == ["nsp"] and right == WIDTH - RIGHT
    assert (HEIGHT - BOTTOM - low) / (HEIGHT - BOTTOM - top) == pytest.approx(0.5, abs=0.01)
