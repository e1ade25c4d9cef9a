"""The code of CONTRIBUTING.md, executed, and what the pages on position types say, compared with the code."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hf_embeddings import POSITION_TYPES, TriEmbedConfig, TriEmbedModel, register_position_type
from hf_embeddings.model.position_signal import PositionType
from tests.model import test_position_oracles as oracles
from tests.test_floors import FLOORS

ROOT = Path(__file__).parents[1]


def blocks(path: Path, heading: str) -> list[str]:
    text = path.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture
def gaussian():
    """Register the worked example, hand out the code of its oracle, and forget the type."""
    example, oracle = blocks(ROOT / "CONTRIBUTING.md", "Add a position type")
    exec(example, {"__name__": __name__})
    yield oracle
    del POSITION_TYPES["gaussian"]


def test_the_worked_example_equals_its_oracle(gaussian: str, monkeypatch) -> None:
    names = {"Oracle": oracles.Oracle, "math": math}
    exec(gaussian, names)
    monkeypatch.setitem(oracles.ORACLES, "gaussian", names["Gaussian"])
    for position in ("gaussian", "rope+gaussian"):
        model = oracles.model_of(position)
        ids = torch.randint(1, 50, (oracles.LENGTH,))
        expected = oracles.slow_attention(model, ids)
        for kernel in ("eager", "sdpa"):
            found = oracles.fast_attention(model, ids, kernel)
            torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


def test_the_worked_example_packs_and_reloads_where_it_is_registered(gaussian: str, tmp_path) -> None:
    options = {"gaussian": {"width": 3.0}}
    model = oracles.model_of("gaussian", position_parameters=options).float()
    ids = torch.randint(1, 50, (1, 14))
    with torch.no_grad():
        packed = model(ids, cu_seq_lens_q=torch.tensor([0, 9, 14])).last_hidden_state
        torch.testing.assert_close(packed[:, 9:], model(ids[:, 9:]).last_hidden_state, atol=1e-5, rtol=1e-5)
        before = model(ids).last_hidden_state
    model.save_pretrained(tmp_path)
    again = TriEmbedModel.from_pretrained(tmp_path).eval()
    assert again.embeddings.position["gaussian"].options == {"width": 3.0}
    with torch.no_grad():
        torch.testing.assert_close(again(ids).last_hidden_state, before)
    with pytest.raises(ValueError, match="flash attention cannot add the score bias .* 'gaussian'"):
        model.set_attn_implementation("flash_attention_2")
    # Another process has not made the call: it says so.
    load = f"from transformers import AutoModel; import hf_embeddings; AutoModel.from_pretrained({str(tmp_path)!r})"
    run = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True)
    assert run.returncode != 0
    assert "got 'gaussian'" in run.stderr and "must be registered first with `register_position_type`" in run.stderr


@pytest.mark.parametrize(
    "name, position_type, message",
    [
        ("alibi", type("Other", (PositionType,), {}), "'alibi' is AlibiPosition already"),
        ("my+type", type("Other", (PositionType,), {}), "expected letters, digits and underscores"),
        ("mine", dict, "expected a subclass of PositionType"),
    ],
)
def test_registration_refuses_in_words(name: str, position_type: type, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        register_position_type(name, position_type)
    assert name not in POSITION_TYPES or name == "alibi"


@pytest.mark.parametrize(
    "asked, answer",
    [
        ("xpos", "causal attention only"),
        ("cope", "bidirectional attention the count is undefined"),
        ("rope+hope", "of the kind 'rotation'; keep one"),
        ("alibi+alibi_asymmetric", "of the kind 'ALiBi slope'"),
        ("relative_key+relative_key_query", "of the kind 'relative key'"),
        ("learned+learned", "each part may occur once"),
        ("allibi", "did you mean 'alibi'?"),
    ],
)
def test_what_does_not_exist_is_answered_in_words(asked: str, answer: str) -> None:
    with pytest.raises(ValueError) as error:
        TriEmbedConfig(position_embedding_type=asked)
    assert answer in str(error.value) and "\n" not in str(error.value)


def test_the_page_lists_every_position_type() -> None:
    text = (ROOT / "docs/how-to/choose-a-position-type.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in text.splitlines() if line.startswith("| "))
    assert set(POSITION_TYPES) <= set(re.findall(r"`(\w+)`", table))


def test_the_figures_on_the_page_are_those_committed() -> None:
    figures = json.loads((ROOT / "benchmarks" / "positions.json").read_text())["types"]
    assert set(figures) == set(POSITION_TYPES)
    kinds = {"added": [], "shared": [], "content": []}
    for name, part in POSITION_TYPES.items():
        kind = "content" if part.layer_part else "shared" if part.pairwise else "added"
        kinds[kind].append(figures[name]["512"]["time"])
    text = " ".join((ROOT / "docs/benchmarks/position-types.md").read_text(encoding="utf-8").split())
    assert max(kinds["added"]) <= 1.05 and "1.0 to 1.05 for types that add, rotate or fold" in text
    assert f"{min(kinds['shared']):.2f} to {max(kinds['shared']):.2f} for a bias shared by all layers" in text
    assert f"{min(kinds['content']):.2f} to {max(kinds['content']):.2f} for those that read query and key" in text


def test_the_map_names_every_room() -> None:
    """And the floors of the map are those that tests/test_floors.py holds."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| (.+?) \|", text, flags=re.MULTILINE)
    found = {name: int(floor) for floor, cell in rows for name in re.findall(r"`(?:hf_embeddings/)?(\w+)/`", cell)}
    assert found == {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
