"""`hf-embeddings positions`: every registered type, trained tables, pictures and mistakes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from typer.testing import CliRunner

from hf_embeddings import POSITION_TYPES, TriEmbedConfig, TriEmbedModel
from hf_embeddings.cli.main import app
from hf_embeddings.evaluation.position_probe import probe_checkpoint, probe_type
from hf_embeddings.model.position_biases import alibi_slopes
from hf_embeddings.visualization.position_plots import bias_figure, position_figure

SIZES = dict(hidden_size=32, num_attention_heads=4, intermediate_size=32, max_position_embeddings=40)
LAWS = {"uniqueness", "smoothness", "relative_linearity", "locality", "symmetry", "monotonicity"}


def run(*arguments: str) -> dict:
    result = CliRunner().invoke(app, ["positions", *arguments, "--json"], catch_exceptions=False)
    return json.loads(result.stdout, parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("config") / "config.json"
    path.write_text(json.dumps({"model_type": "triembed", "vocab_size": 50, "num_hidden_layers": 2} | SIZES))
    return str(path)


def test_every_type_is_measured_and_drawn(config: str, tmp_path: Path) -> None:
    measured = run("--config", config, "--length", "32", "--plot", str(tmp_path))
    assert list(measured) == list(POSITION_TYPES)
    for name, report in measured.items():
        assert set(report) >= LAWS and (report["to"], report["measured_on"] != "") == (32, True)
        assert report["extrapolation"] is not None or report["extrapolation_ends"]
        assert 0 <= report["locality"] <= 1 and 0 <= report["symmetry"] <= 1 and 0 <= report["monotonicity"] <= 1
        # Everything but the control tells positions apart, however little while it is untrained.
        assert (report["uniqueness"] > 0) == (name != "none"), name
        picture = imread(report["picture"])
        assert Path(report["picture"]).name == f"{name}.png" and picture.std() > 0.05
    assert measured["learned"]["extrapolation"] is None
    assert "positions end at max_position_embeddings 40" in str(measured["learned"])
    assert measured["alibi"]["monotonicity"] == measured["alibi"]["symmetry"] == 1.0
    assert measured["rope"]["relative_linearity"] == pytest.approx(1.0, abs=1e-3)


def test_the_probe_sees_exactly_what_the_type_adds() -> None:
    def probe(name: str):
        return probe_type(TriEmbedConfig(num_hidden_layers=1, position_embedding_type=name, **SIZES), torch.arange(9))

    distance = np.abs(np.arange(9)[:, None] - np.arange(9))
    expected = -np.array(alibi_slopes(4))[:, None, None] * distance
    np.testing.assert_allclose(probe("alibi").scores, expected, atol=1e-6)
    cosines = sum(np.cos(distance * 10_000 ** (-2 * i / 8)) for i in range(4)) * 2 / np.sqrt(8)
    np.testing.assert_allclose(probe("rope").scores[1], cosines, atol=1e-5)
    assert probe("sinusoidal").vectors.shape == (9, 32) and not probe("none").scores.any()


def test_trained_tables_of_a_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = TriEmbedModel(TriEmbedConfig(vocab_size=50, num_hidden_layers=2, **SIZES))
    model.save_pretrained(tmp_path / "mine")
    report = run(str(tmp_path / "mine"))[str(tmp_path / "mine")]
    assert report["to"] == 40 and report["measured_on"].startswith("the trained table")
    probe = probe_checkpoint(model, torch.arange(40), words=3)
    np.testing.assert_allclose(probe.vectors, model.embeddings.position["learned"].table.weight.detach(), atol=1e-7)
    assert probe.scores.shape == (4, 40, 40) and model.config._attn_implementation != "recorded_scores"


def test_checkpoints_of_one_name_have_a_picture_each_and_local_layers_are_measured(tmp_path: Path) -> None:
    local = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 6}
    for folder, more in (("a", {}), ("b", local)):
        torch.manual_seed(1)
        config = TriEmbedConfig(vocab_size=50, num_hidden_layers=2, position_embedding_type="rope", **SIZES | more)
        TriEmbedModel(config).save_pretrained(tmp_path / folder / "final")
    both = [str(tmp_path / name / "final") for name in ("a", "b")]
    found = run(*both, "--length", "32", "--plot", str(tmp_path / "pictures"))
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["a-final.png", "b-final.png"]
    # A window hides pairs; what the position type says of them is the same.
    assert found[both[1]]["translation_invariance"] == pytest.approx(found[both[0]]["translation_invariance"])
    assert found[both[1]]["monotonicity"] == pytest.approx(found[both[0]]["monotonicity"])


def test_the_table_names_types_and_ranges(config: str) -> None:
    lines = CliRunner().invoke(app, ["positions", "learned", "rope", "--config", config]).stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:5:3]] == [["learned", "0-39"], ["rope", "0-39"]]
    assert "beyond: none" in lines[2] and "40-79" in lines[5]


@pytest.mark.parametrize(
    "arguments, message",
    [(["nonsense"], "expected one of"), (["rope", "--length", "4"], "--length"), (["no/where"], "check the path")],
)
def test_mistakes_name_the_cure(arguments: list[str], message: str, config: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(*arguments, "--config", config)


def test_pictures_show_what_they_are_given() -> None:
    scores = np.random.default_rng(0).normal(size=(5, 12, 12))
    figure = position_figure("mine", None, scores, {1: 0.5, 2: None})
    assert [axis.get_title() for axis in figure.axes[:4]] == [
        "score added, head 0", "score added, mean of heads", "score added, by distance", "rows of scores, moved by k",
    ]  # fmt: skip
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), scores[0])
    assert [bar.get_height() for bar in figure.axes[3].patches] == [0.5]
    heads = [axis for axis in bias_figure("mine", scores).axes if axis.get_title().startswith("head")]
    assert len(heads) == 5 and len({image.get_clim() for axis in heads for image in axis.images}) == 1
