"""What the page does in a real browser, with 10,000 points: it is drawn, hovers, zooms and searches, and is quick."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.visualization.training_plots import animation_page
from hf_embeddings.visualization.word_page import word_page
from tests.browser import browse

COUNT = 10_000
# In time of its own a headless browser asks for no frames.
FRAMES = "<script>requestAnimationFrame = draw => setTimeout(() => draw(performance.now()), 16);</script>"
# What a reader does, in the reader's events; the answers are written into the document.
READER = """
<script>
const answers = {}, pause = time => new Promise(done => setTimeout(done, time));
function point(row) {  // where a point of the first trace is on the screen
  const box = plot.getBoundingClientRect(), {xaxis, yaxis} = plot._fullLayout, trace = figure.data[0];
  return {clientX: box.left + xaxis._offset + xaxis.l2p(trace.x[row]),
          clientY: box.top + yaxis._offset + yaxis.l2p(trace.y[row]), bubbles: true, view: window};
}
const type = query => {
  const field = document.getElementById("search");
  field.value = query;
  field.dispatchEvent(new Event("input", {bubbles: true}));
};
async function read() {
  await pause(1000);
  answers.canvases = [...document.querySelectorAll("canvas")].filter(canvas => canvas.width > 100).length;
  const names = () => [...document.querySelectorAll(".annotation-text")].map(text => text.textContent);
  answers.names = names();
  const boxes = [...document.querySelectorAll(".annotation-text")].map(text => text.getBoundingClientRect());
  answers.overlaps = boxes.filter((one, place) => boxes.slice(place + 1).some(other =>
    one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom)).length;
  const ground = document.querySelector(".nsewdrag");
  ground.dispatchEvent(new MouseEvent("mousemove", point(0)));
  await pause(500);
  answers.hover = [...document.querySelectorAll(".hovertext text")].map(text => text.textContent).join("|");
  const before = plot._fullLayout.xaxis.range.slice();
  ground.dispatchEvent(new WheelEvent("wheel", {...point(0), deltaY: -300, cancelable: true}));
  await pause(1000);
  answers.zoom = (before[1] - before[0]) / (plot._fullLayout.xaxis.range[1] - plot._fullLayout.xaxis.range[0]);
  let start = performance.now();
  type("word77");
  answers.milliseconds = performance.now() - start;
  await pause(500);
  answers.found = document.getElementById("found").textContent;
  answers.foundNames = names();
  const large = plot._fullData[0].marker.size;
  answers.large = large.flatMap((size, row) => size > large[0] ? [row] : []);
  type("nothing like it");
  answers.none = document.getElementById("found").textContent;
  type("");
  answers.cleared = [document.getElementById("found").textContent, plot._fullData[0].marker.size];
}
read().catch(error => { answers.error = String(error.stack); }).finally(() => {
  const element = document.createElement("pre");
  element.id = "answers";
  element.textContent = JSON.stringify(answers);
  document.body.append(element);
});
</script></body>"""


def answers(page: str, reader: str, folder: Path) -> dict:
    path = folder / "page.html"
    path.write_text(page.replace("<style>", FRAMES + "<style>", 1).replace("</body>", reader), encoding="utf-8")
    document = browse(path.as_uri(), folder)
    return json.loads(html.unescape(re.search(r'<pre id="answers">(.*?)</pre>', document, re.DOTALL)[1]))


def test_ten_thousand_points_in_a_browser(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(COUNT, 2))
    points[0] = (3.9, 3.9)  # alone in a corner, so that it is what lies under the pointer
    labels = [f"word{row}" for row in range(COUNT)]
    near = [[(f"near{row}", 0.87)] for row in range(COUNT)]
    found = answers(word_page(points, labels, ["words"] * COUNT, near, title="many"), READER, tmp_path)
    assert "error" not in found, found
    assert found["canvases"] >= 1
    assert "word0" in found["hover"] and "0.87  near0" in found["hover"].replace("\xa0", " ")
    assert found["zoom"] > 1.1
    hits = [row for row, label in enumerate(labels) if "word77" in label]
    assert found["found"].startswith(f"{len(hits)} found: word77, word770") and found["large"] == hits
    assert 60 < len(found["names"]) <= 120 and found["names"][0] == "word0" and found["overlaps"] == 0
    assert sum("word77" in name for name in found["foundNames"]) > 20
    assert found["none"].startswith("0 found") and found["cleared"] == ["", 4]


PLAYER = """
<script>
const answers = {}, graph = document.getElementById("plot");
const pause = time => new Promise(done => setTimeout(done, time));
async function watch() {
  await pause(1000);
  const places = () => [...graph._fullData[0].x];
  answers.first = places();
  const [play] = document.querySelectorAll(".updatemenu-button");
  ["mousedown", "mouseup", "click"].forEach(kind => play.dispatchEvent(new MouseEvent(kind, {bubbles: true})));
  await pause(6000);
  answers.last = places();
  answers.steps = [...document.querySelectorAll(".slider-label")].map(label => label.textContent);
}
watch().catch(error => { answers.error = String(error.stack); }).finally(() => {
  const element = document.createElement("pre");
  element.id = "answers";
  element.textContent = JSON.stringify(answers);
  document.body.append(element);
});
</script></body>"""


def test_the_animation_plays_to_its_end(tmp_path: Path) -> None:
    stages = {f"step-{i}": np.array([[i, 0], [0, i], [1, 1]], float) for i in range(4)}
    page = animation_page(stages, ["a", "b", "冷"], ["words"] * 3, title="t")
    found = answers(page, PLAYER, tmp_path)
    assert "error" not in found, found
    assert found["first"] == [0, 0, 1] and found["last"] == [3, 0, 1]
    assert set(found["steps"]) == set(stages)


# What a reader sees of labels that look like code or like the page's own fields.
ODD = [
    "don't",
    "AT&T",
    "<!--<script>",
    "</script><script>document.title='hit'</script>",
    "@FIGURE@",
    "مرحبا",
    "🙂 हिन्दी",
]
SEEN = """
<script>
const shown = document.createElement("pre");
setTimeout(() => {
  const texts = [...document.querySelectorAll("#plot text")].map(text => text.textContent);
  shown.id = "answers";
  shown.textContent = JSON.stringify({texts, title: document.title});
  document.body.append(shown);
}, 3000);
</script></body>"""


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_label_is_read_as_it_was_given(dimensions: int, tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(len(ODD), dimensions))
    page = word_page(points, ODD, ["words"] * len(ODD), [[("near", 0.9)]] * len(ODD), title="@PLOTLY@ <t>")
    found = answers(page, SEEN, tmp_path)
    assert set(ODD) <= {text.replace("\xa0", " ") for text in found["texts"]} and found["title"] == "@PLOTLY@ <t>"
