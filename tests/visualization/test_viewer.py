"""The viewer: its pages need nothing else, hold the library's numbers, and work in a real browser on phone and desk."""

import base64
import html
import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.analysis.movement import travelled
from hf_embeddings.visualization.colouring import Groups, Scale
from hf_embeddings.visualization.page import script_json
from hf_embeddings.visualization.training_page import training_page
from hf_embeddings.visualization.viewer import SCRIPTS, Near, View, viewer_page
from tests.browser import browse

FILES = files("hf_embeddings.visualization").joinpath("viewer")
READER = Path(__file__).with_name("reader.js")
WIDTHS = (390, 1280)  # a phone, a desk
RANDOM = np.random.default_rng(0)
COUNT = 10_000
# Labels that look like code or like the page's own fields, and scripts that need the browser's own shaping.
ODD = ["国王", "don't", "AT&T", "<!--<script>", "</script><script>alert(1)</script>", "@DATA@", "مرحبا", "🙂 हिन्दी"]
ODD_POINTS = RANDOM.normal(size=(len(ODD), 3))
ODD_NEAR = Near((np.arange(len(ODD))[:, None] + [1, 2]) % len(ODD), RANDOM.random((len(ODD), 2)))
SCALE = Scale("frequency", np.array([0, 1, 10, 100, 2000, 5, 5, 5.0]), "times", logarithmic=True)
GROUPS = Groups("group", ["royal", "royal", *["odd"] * 6])
STAGES = {f"step-{i}": RANDOM.normal(size=(4, 2)) for i in range(4)}
WORDS, NEIGHBOURS = ["a", "b", "冷", "<d>"], [[[("热", 0.5), ("b", 0.25)]] * 4] * 4


def odd_page(dimensions: int) -> str:
    view = View({"": ODD_POINTS[:, :dimensions]}, ODD, [GROUPS, SCALE], [ODD_NEAR])
    return viewer_page(view, title="@SCRIPT@ <t>")


def stage_page() -> str:
    spaces = list(STAGES.values())
    return training_page(STAGES, WORDS, Groups("group", ["x", "x", "y", "y"]), travelled(spaces), NEIGHBOURS, title="t")


def data_of(page: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def points_of(data: dict, stage: int = 0) -> np.ndarray:
    numbers = np.frombuffer(base64.b64decode(data["stages"][stage]["points"]), "<f4")
    return numbers.reshape(-1, data["dimensions"])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_page_needs_nothing_from_elsewhere_and_holds_the_numbers(dimensions: int) -> None:
    page = odd_page(dimensions)
    rest = page.replace("http://www.w3.org/2000/svg", "")  # a name that no browser loads
    assert not re.search(r"https?://|@import|url\(|src=|eval", rest) and page.count("<script") == 2
    assert re.search(r"default-src 'none'; .*script-src 'sha256-[\w+/=]+'\"", page)
    assert "<title>@SCRIPT@ &lt;t&gt;</title>" in page
    data = data_of(page)
    assert data["labels"] == ODD and len(page) < 60_000
    np.testing.assert_allclose(points_of(data), ODD_POINTS[:, :dimensions], rtol=1e-6)
    np.testing.assert_array_equal(data["near"][0]["cosines"], np.rint(100 * ODD_NEAR.cosines))


def test_both_languages_have_the_same_words_and_every_script_is_used() -> None:
    words = FILES.joinpath("words.js").read_text("utf-8")
    keys = [set(re.findall(r"(\w+): \"", part)) for part in words.split("zh: {")]
    assert keys[0] == keys[1] and len(keys[0]) > 15
    script = "".join(FILES.joinpath(f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    assert {path.name for path in FILES.iterdir() if path.name.endswith(".js")} == {f"{name}.js" for name in SCRIPTS}
    assert {key for key in keys[0] if f'"{key}"' not in script} == set()


def test_ten_thousand_points_are_a_small_page() -> None:
    assert len(many_page()) < 1.6e6


def many_page() -> str:
    points = RANDOM.normal(size=(COUNT, 2))
    points[0] = (6, 6)  # alone in a corner, so that it is what lies under the pointer
    near = Near(RANDOM.integers(0, COUNT, size=(COUNT, 8)), np.full((COUNT, 8), 0.87))
    labels = [f"word{row}" for row in range(COUNT)]
    colours = [Groups("group", ["odd", "even"] * (COUNT // 2)), Scale("frequency", 1 / np.arange(1, COUNT + 1))]
    return viewer_page(View({"": points}, labels, colours, [near]), title="many")


def test_the_pages_in_a_browser(tmp_path: Path) -> None:
    pages = {"many": many_page(), "flat": odd_page(2), "deep": odd_page(3), "stages": stage_page()}
    script = f"const WIDTHS = {script_json(WIDTHS)}, PAGES = {script_json(pages)};\n{READER.read_text('utf-8')}"
    document = f'<!doctype html><meta charset="utf-8"><body><pre id="answers"></pre><script>{script}</script></body>'
    (tmp_path / "reader.html").write_text(document, encoding="utf-8")
    document = browse((tmp_path / "reader.html").as_uri(), tmp_path)
    answers = json.loads(html.unescape(re.search(r'<pre id="answers">(.*?)</pre>', document, re.DOTALL)[1]))
    assert "error" not in answers, answers
    for width in WIDTHS:
        for name in pages:
            seen = answers[f"{name} {width}"]
            assert seen["errors"] == seen["wide"] == seen["nameless"] == [] and seen["overlaps"] == 0, (name, seen)
            assert seen["themes"] in (["light", "dark"], ["dark", "light"]) and seen["language"] == "zh-CN"
        _check_many(answers[f"many {width}"], width)
        for name in ("flat", "deep"):
            _check_odd(answers[f"{name} {width}"])
        assert _is_the_map(answers[f"flat {width}"]["picture"], ODD_POINTS[::-1, :2])
        seen = answers[f"stages {width}"]
        assert (seen["stage"], seen["played"]) == ("step-3", "step-3") and seen["card"]["near"] == ["热", "b"]
        assert seen["card"]["facts"][0] == "x" and seen["card"]["cosines"] == ["0.50", "0.25"]


def _check_many(seen: dict, width: int) -> None:
    assert seen["labels"][0] == seen["card"]["name"] == "word0" and seen["card"]["cosines"] == ["0.87"] * 8
    assert "word0" in seen["hover"] and seen["pinned"] == ["word0"] and seen["zoomed"] > 5
    assert 25 < len(seen["labels"]) <= (60 if width < 600 else 140)
    assert seen["found"] == "111 found" and len(seen["foundLabels"]) > 10
    assert all("word77" in label for label in seen["foundLabels"])
    assert seen["picture"].count("<circle") > COUNT  # points, and the legend
    assert "odd" in seen["legends"][1] and "even" in seen["legends"][1]
    assert all(int(label.removeprefix("word")) % 2 for label in seen["hidden"])  # those of "odd" are hidden: even rows


def _check_odd(seen: dict) -> None:
    """Every label is read as it was given, and nothing in it is code."""
    assert sorted(seen["labels"]) == sorted(ODD) and seen["title"] == "@SCRIPT@ <t>"
    assert seen["card"]["name"] == "国王" and seen["card"]["facts"] == ["royal", "0"]
    assert seen["card"]["near"] == ODD[1:3] and seen["card"]["cosines"] == [f"{c:.2f}" for c in ODD_NEAR.cosines[0]]
    assert "2,000" in seen["legends"][0] and "royal" in seen["legends"][1] and set(seen["hidden"]) == set(ODD[2:])
    texts = re.findall(r"<text[^>]*>(.*?)</text>", seen["picture"])
    assert set(ODD) <= {html.unescape(text) for text in texts}


def _is_the_map(picture: str, points: np.ndarray) -> bool:
    """Whether the circles of a picture are the points, moved and enlarged, with y upwards."""
    places = np.array(re.findall(r'<circle cx="([-\d.]+)" cy="([-\d.]+)"', picture)[: len(points)], float)
    centred, own = places - places.mean(axis=0), (points - points.mean(axis=0)) * (1, -1)
    scale = (centred * own).sum() / (own * own).sum()
    return scale > 0 and np.abs(centred - scale * own).max() < 0.2
