"""A student: layers chosen by what their loss does, a training that resumes, another language that is learned."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel

from hf_embeddings import TriEmbedModel
from hf_embeddings.cli.distil import _kind, _pairs
from hf_embeddings.embedding import language, smaller, student_training
from hf_embeddings.embedding.language import distil_language
from hf_embeddings.embedding.layer_choice import choose_layers, trials, with_layers
from hf_embeddings.embedding.smaller import distil_smaller
from hf_embeddings.embedding.student_losses import StatesLoss
from hf_embeddings.embedding.student_training import StudentOptions
from hf_embeddings.search.encoder import Encoder
from tests.search.conftest import WORDS

FAST = StudentOptions(epochs=2, batch_size=8, learning_rate=3e-3)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few texts be enough."""
    monkeypatch.setattr(smaller, "JUDGED", 8)
    monkeypatch.setattr(smaller, "HELD_OUT", 8)
    monkeypatch.setattr(language, "HELD_OUT", 8)


def plain_encoder(folder: Path) -> Encoder:
    """The encoder of a directory whose weights can be read, and not only run."""
    loaded = Encoder.load(folder, precision="fp32")
    return Encoder(TriEmbedModel.from_pretrained(folder), loaded.tokenizer, loaded.recipe, precision="fp32")


def test_a_layer_that_does_nothing_leaves_first(model_folder: Path, texts: list[str]) -> None:
    encoder = plain_encoder(model_folder)
    layer = encoder.model.layers[1]
    with torch.no_grad():
        for part in (layer.attention.out, layer.feed_forward.down):
            part.weight.zero_()
            part.bias.zero_()
    done: list[float] = []
    choice = choose_layers(encoder, texts, 1, done.append)
    assert next(iter(choice.dropped)) == "1" and choice.dropped["1"] == pytest.approx(1, abs=1e-3)
    assert len(choice.kept) == 1 and sum(done) == trials(3, 1) == 5 and len(encoder.model.layers) == 3


def test_the_choice_is_the_best_of_each_round(model_folder: Path, texts: list[str]) -> None:
    encoder = plain_encoder(model_folder)
    whole, nearness = encoder.encode(texts), {}
    for left_out in range(3):
        model = with_layers(encoder.model, [n for n in range(3) if n != left_out])
        vectors = Encoder(model, encoder.tokenizer, encoder.recipe, precision="fp32").encode(texts)
        nearness[left_out] = float((vectors * whole).sum(1).mean())
    choice = choose_layers(encoder, texts, 2)
    best = max(nearness, key=nearness.__getitem__)
    assert choice.dropped == pytest.approx({str(best): nearness[best]}, abs=1e-6)


def test_layers_that_stay_are_bit_identical(model_folder: Path) -> None:
    model = TriEmbedModel.from_pretrained(model_folder)
    small = with_layers(model, [0, 2])
    assert small.config.num_hidden_layers == 2
    for name, weight in small.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name.replace("layers.1.", "layers.2.")])


def test_the_loss_of_a_copy_is_zero_and_of_zeros_is_two(model_folder: Path, texts: list[str]) -> None:
    one, other = (SentenceTransformer(str(model_folder), device="cpu") for _ in range(2))
    features = one.preprocess(texts[:6])
    assert StatesLoss(one, other)([features]).item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.zero_()
    assert StatesLoss(one, other)([features]).item() == pytest.approx(2, abs=1e-5)


@pytest.mark.usefixtures("few")
def test_a_smaller_student_comes_nearer(model_folder: Path, texts: list[str], tmp_path: Path) -> None:
    report = distil_smaller(model_folder, tmp_path / "out", texts * 3, layers=2, options=FAST)
    assert report.cosine[1] > report.cosine[0] and len(report.layers) == 2
    assert not (tmp_path / "out.partial").exists()
    ours = Encoder.load(tmp_path / "out", precision="fp32")
    assert ours.model.config.num_hidden_layers == 2
    theirs = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    np.testing.assert_allclose(ours.encode(texts), theirs.encode(texts), atol=1e-5)


@pytest.mark.usefixtures("few")
def test_an_interrupted_training_resumes_to_the_same_weights(
    model_folder: Path, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distil_smaller(model_folder, tmp_path / "whole", texts, layers=2, options=FAST)

    class Stop(student_training._Progress):
        def on_save(self, args: object, state: object, control: object, **_: object) -> None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(student_training, "_Progress", Stop)
        with pytest.raises(KeyboardInterrupt):
            distil_smaller(model_folder, tmp_path / "parts", texts, layers=2, options=FAST)
    assert (tmp_path / "parts.partial").is_dir() and not (tmp_path / "parts").exists()
    with pytest.raises(ValueError, match="begun with seed 0, got 1"):
        distil_smaller(model_folder, tmp_path / "parts", texts, layers=2, options=replace(FAST, seed=1))
    distil_smaller(model_folder, tmp_path / "parts", texts, layers=2, options=FAST)
    whole, parts = (AutoModel.from_pretrained(tmp_path / name).state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(weight, parts[name]) for name, weight in whole.items())


@pytest.mark.usefixtures("few")
def test_another_language_is_learned(model_folder: Path, tmp_path: Path) -> None:
    """Each word has one character as its translation, which the teacher cannot read."""
    characters = dict(zip(WORDS, "的猫狗王后跑睡吃大小红蓝房河树石光夜日一二三四五", strict=False))
    generator = np.random.default_rng(0)
    words = [generator.choice(list(characters), 4) for _ in range(240)]
    pairs = [(" ".join(some), "".join(characters[word] for word in some)) for some in words]
    options = StudentOptions(epochs=8, batch_size=16, learning_rate=1e-2)
    report = distil_language(model_folder, tmp_path / "out", pairs, options=options)
    assert report.added == len(characters) and report.recall[1] > report.recall[0] + 0.3 and report.kept > 0.9


@pytest.mark.parametrize(
    ("kinds", "given", "words"),
    [
        ({"static": False, "layers": None, "translations": None}, {}, "got none"),
        ({"static": True, "layers": 3, "translations": None}, {}, "--static and --layers"),
        ({"static": True, "layers": None, "translations": None}, {"seed": 1}, "got --seed"),
        ({"static": False, "layers": 3, "translations": None}, {"dimension": 3}, "got --dimension"),
    ],
)
def test_options_of_another_kind_are_refused(kinds: dict[str, object], given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _kind(kinds, given)


def test_a_line_that_is_no_pair_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("one\teins\ntwo\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"2: got 1 column,"):
        _pairs(path)


def test_options_of_a_training_are_written_down(tmp_path: Path) -> None:
    student_training.check_begun(tmp_path, StudentOptions(), {"layers": 2})
    assert json.loads((tmp_path / "options.json").read_text()).items() >= {"seed": 0, "layers": 2}.items()
    with pytest.raises(ValueError, match="begun with layers 2, got 3"):
        student_training.check_begun(tmp_path, StudentOptions(), {"layers": 3})
