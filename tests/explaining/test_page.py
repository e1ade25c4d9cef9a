"""The page of the seed's two sentences: its numbers, its words, and what a browser makes of it on phone and desk."""

import base64
import html
import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.explaining.encoder import load_encoder
from hf_embeddings.explaining.explain import explain
from hf_embeddings.explaining.explanation import Explanation
from hf_embeddings.explaining.page import LANGUAGES, SCRIPTS, explanation_page
from hf_embeddings.visualization.page import script_json
from tests.browser import browse
from tests.explaining.models import SEED, save_model

FILES = files("hf_embeddings.explaining").joinpath("page")
READER = Path(__file__).with_name("reader.js")
WIDTHS = (390, 1280)  # a phone, a desk
MARGIN = 2e-4  # of what is left of a number in 16 bits, in shares of the largest one


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Explanation:
    return explain(load_encoder(save_model(tmp_path_factory.mktemp("page") / "tiny")), SEED)


@pytest.fixture(scope="module")
def page(seed: Explanation) -> str:
    return explanation_page(seed)


def data_of(page: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def unpack(packed: dict) -> np.ndarray:
    numbers = np.frombuffer(base64.b64decode(packed["data"]), "<i2")
    return numbers.reshape(packed["shape"]) * packed["scale"]


def test_the_numbers_of_the_page_are_those_of_the_explanation(seed: Explanation, page: str) -> None:
    data = data_of(page)
    assert data["model"] == vars(seed.model) and data["words"]
    pair, own = data["inputs"][2], seed.inputs[2]
    arrays = [(pair["attention"]["weights"], own.attention.weights), (pair["sum"]["strip"], own.sum.strip)]
    arrays += [
        (pair["hidden"]["points"], own.hidden.points),
        (pair["sum"]["positions"]["cosine"], own.sum.positions.cosine),
    ]
    arrays += [(data["positions"]["scores"], seed.positions.scores), (data["order"]["cosine"], seed.order.cosine)]
    for packed, array in arrays:
        np.testing.assert_allclose(unpack(packed), array, atol=MARGIN * np.abs(array).max())
    words = [(data["words"][row], value) for row, value in pair["predictions"][1]["words"]]
    assert words == [(word, pytest.approx(value, rel=1e-4)) for word, value in own.predictions[1].words]


def test_the_page_needs_nothing_from_elsewhere_and_runs_no_text(tmp_path: Path) -> None:
    odd = "</script><script>document.title='hit'</script> @DATA@ <!-- & cat"
    page = explanation_page(
        explain(load_encoder(save_model(tmp_path / "@STYLE@<b>", max_position_embeddings=64)), [odd])
    )
    rest = page.replace("http://www.w3.org/2000/svg", "")  # a name that no browser loads
    assert not re.search(r"https?://|@import|url\(|src=", rest) and page.count("<script") == 3
    assert data_of(page)["inputs"][0]["text"]["texts"] == [odd]
    assert re.search(r"default-src 'none'; .*script-src 'sha256-[\w+/=]+'\"", page)


def test_both_languages_have_all_words_and_no_others() -> None:
    words = {
        language: json.loads(FILES.joinpath(f"words-{language}.json").read_text("utf-8")) for language in LANGUAGES
    }
    fields = {
        language: {key: set(re.findall(r"\{\w+\}", text)) for key, text in own.items()}
        for language, own in words.items()
    }
    assert fields["en"] == fields["zh"]
    script = "".join(FILES.joinpath(f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    assert {path.name for path in FILES.iterdir() if path.name.endswith(".js")} == {f"{name}.js" for name in SCRIPTS}
    literal = set(re.findall(r'"([a-z_]+)"', script))
    stems = set(re.findall(r'"([a-z]+_)" \+', script))  # of words that are put together
    unused = [key for key in words["en"] if key not in literal and not any(key.startswith(stem) for stem in stems)]
    composed = {key for key in unused if key.endswith(("_title", "_text"))}  # of `opening`
    assert set(unused) == composed, set(unused) - composed
    assert set(re.findall(r'say\("([a-z_]+)"[,)]', script)) <= set(words["en"])


def test_the_page_of_the_seed_in_a_browser(seed: Explanation, page: str, tmp_path: Path) -> None:
    script = f"const WIDTHS = {script_json(WIDTHS)}, PAGE = {script_json(page)};\n{READER.read_text('utf-8')}"
    document = f'<!doctype html><meta charset="utf-8"><body><pre id="answers"></pre><script>{script}</script></body>'
    (tmp_path / "reader.html").write_text(document, encoding="utf-8")
    document = browse((tmp_path / "reader.html").as_uri(), tmp_path)
    answers = json.loads(html.unescape(re.search(r'<pre id="answers">(.*?)</pre>', document, re.DOTALL)[1]))
    assert "error" not in answers, answers
    own = seed.inputs[0]
    for width in WIDTHS:
        seen = answers[str(width)]
        assert seen["errors"] == seen["wide"] == seen["small"] == seen["nameless"] == [], (width, seen)
        assert len(seen["en"]) == len(seen["zh"]) == 7 and not set(seen["en"]) & set(seen["zh"])
        assert seen["lang"] == "en" and "猫" in seen["first"][0]
        token = own.sum.summands[0]
        assert (
            seen["figures"][0]
            == f"norm {token.norm[1]:.2f}, cosine {token.cosine[1]:.2f}, share {100 * token.share[1]:.0f} %"
        )
        assert seen["figures"][3] == f"norm {own.sum.norm[1]:.2f}"
        assert seen["names"][:10] == [word for word, _ in own.predictions[1].words]
        assert seen["shares"][0] == f"{100 * own.predictions[1].words[0][1]:.0f} %"
