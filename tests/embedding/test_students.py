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
from hf_embeddings.embedding.narrower import choose_cut, directions, narrowed
from hf_embeddings.embedding.smaller import distil_smaller
from hf_embeddings.embedding.student_directory import open_student
from hf_embeddings.embedding.student_losses import Match, StatesLoss
from hf_embeddings.embedding.student_size import check_size
from hf_embeddings.embedding.student_training import StudentOptions
from hf_embeddings.embedding.teaching import Places
from hf_embeddings.embedding.unfinished import unfinished
from hf_embeddings.file_names import DISTILLATION
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.uploads.listing import list_uploads
from tests.search.conftest import WORDS

FAST = StudentOptions(epochs=2, batch_size=8, learning_rate=3e-3)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few texts be enough."""
    monkeypatch.setattr(smaller, "JUDGED", 8)
    monkeypatch.setattr(smaller, "HELD_OUT", 8)
    monkeypatch.setattr(language, "HELD_OUT", 8)


def smaller_student(folder: Path, target: Path, texts: list[str], **settings: object) -> smaller.SmallerReport:
    """Make a student of two layers."""
    return distil_smaller(Places(teacher=folder, target=target), texts, **{"layers": 2, "options": FAST} | settings)


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


def test_the_loss_of_a_copy_is_zero_and_of_zeros_is_three(model_folder: Path, texts: list[str]) -> None:
    """It has three shares: last states, vectors, and the states of the other layers."""
    one, other = (open_student(model_folder) for _ in range(2))
    features = one.preprocess(texts[:6])
    loss = StatesLoss(one, other, Match([0, 1, 2, 3]))
    assert loss([features]).item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.zero_()
    assert loss([features]).item() == pytest.approx(3, abs=1e-5)


def test_a_layer_is_to_give_what_the_next_one_reads_in_the_teacher(model_folder: Path, texts: list[str]) -> None:
    """A student of layers 0 and 2 begins with the states of the teacher before layer 0, and nothing else is right."""
    student, teacher = open_student(model_folder), open_student(model_folder)
    student[0].model.layers = with_layers(teacher[0].model, [0, 2]).layers
    features = student.preprocess(texts[:6])
    loss = StatesLoss(student, teacher, Match([0, 2, 3]))([features]).item()
    wanted, found = teacher[0](dict(features))["layer_states"], student[0](dict(features))["layer_states"]
    shares = [
        ((found[own] - wanted[its]).square().mean() / wanted[its].square().mean()).item()
        for own, its in enumerate((0, 2, 3))
    ]
    vectors = [model(dict(features))["sentence_embedding"] for model in (student, teacher)]
    of_vectors = ((vectors[0] - vectors[1]).square().mean() / vectors[1].square().mean()).item()
    assert shares[0] == 0 and loss == pytest.approx((shares[0] + shares[1]) / 2 + shares[2] + of_vectors, rel=1e-4)


def test_what_carries_nothing_is_cut_first(model_folder: Path, texts: list[str]) -> None:
    """Of a teacher with a dead head, dead neurons and channels that never vary, those leave."""
    encoder = plain_encoder(model_folder)
    model, dead = encoder.model, torch.arange(0, 32, 4)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight[dead] = 0
        for layer in model.layers:
            layer.attention.out.weight[:, 8:16] = 0
            layer.feed_forward.down.weight[:, ::4] = 0
    cut = choose_cut(model, encoder.tokenize(texts)[0], [0, 2], 24)
    assert not set(cut.channels.tolist()) & set(dead.tolist())
    assert all(set(places.tolist()) == {*range(8), *range(16, 32)} for places in cut.heads)
    assert all(not any(n % 4 == 0 for n in places.tolist()) for places in cut.neurons)
    small = narrowed(with_layers(model, [0, 2]), cut)
    assert (small.config.hidden_size, small.config.num_attention_heads, small.config.intermediate_size) == (24, 3, 48)
    weight = model.layers[2].attention.out.weight
    assert torch.equal(small.layers[1].attention.out.weight, weight[cut.channels][:, cut.heads[1]])


def test_directions_are_orthonormal_and_keep_what_the_vectors_span() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(50, 4)) @ generator.normal(size=(4, 12))
    kept = directions(vectors, np.array([1, 2, 5, 7, 8]))
    np.testing.assert_allclose(kept.T @ kept, np.eye(5), atol=1e-9)
    np.testing.assert_allclose(vectors @ kept @ kept.T, vectors, atol=1e-9)


@pytest.mark.parametrize(
    ("layers", "width", "words"),
    [
        (3, None, "--layers 3: the teacher has 3, expected 1 to 2; ask for fewer"),
        (4, 16, "leave --layers out to keep all"),
        (None, 20, "--width 20: the teacher has 32 in heads of 8, expected a multiple of 8 up to 24"),
        (None, 32, "--width 32: the teacher has 32"),
    ],
)
def test_a_student_that_is_not_smaller_is_refused(
    layers: int | None, width: int | None, words: str, model_folder: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        check_size(model_folder, layers, width)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("size", [{"layers": 2}, {"layers": None, "width": 16}], ids=str)
def test_a_smaller_student_comes_nearer(
    size: dict[str, int | None], model_folder: Path, texts: list[str], tmp_path: Path
) -> None:
    report = smaller_student(model_folder, tmp_path / "out", texts * 3, **size)
    assert report.cosine[1] > report.cosine[0] and report.agreement[1] > report.agreement[0]
    assert len(report.layers) == (size["layers"] or 3) and not (tmp_path / "out.partial").exists()
    ours = Encoder.load(tmp_path / "out", precision="fp32")
    assert ours.model.config.num_hidden_layers == len(report.layers) and ours.width == report.width
    theirs = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    assert theirs.get_embedding_dimension() == report.width
    np.testing.assert_allclose(ours.encode(texts), theirs.encode(texts), atol=1e-5)


def test_what_is_refused_leaves_nothing_and_what_is_interrupted_stays(tmp_path: Path) -> None:
    for error, stays in ((ValueError, False), (KeyboardInterrupt, True), (ValueError, True)):
        with pytest.raises(error), unfinished(tmp_path / "out", overwrite=False) as work:
            (work / "options.json").write_text("{}")
            raise error
        assert (tmp_path / "out.partial").exists() == stays


@pytest.mark.usefixtures("few")
def test_an_interrupted_training_resumes_to_the_same_weights(
    model_folder: Path, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller_student(model_folder, tmp_path / "whole", texts, width=24)

    class Stop(student_training._Progress):
        def on_save(self, args: object, state: object, control: object, **_: object) -> None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(student_training, "_Progress", Stop)
        with pytest.raises(KeyboardInterrupt):
            smaller_student(model_folder, tmp_path / "parts", texts, width=24)
    assert (tmp_path / "parts.partial").is_dir() and not (tmp_path / "parts").exists()
    with pytest.raises(ValueError, match="begun with seed 0, got 1"):
        smaller_student(model_folder, tmp_path / "parts", texts, width=24, options=replace(FAST, seed=1))
    smaller_student(model_folder, tmp_path / "parts", texts, width=24)
    whole, parts = (AutoModel.from_pretrained(tmp_path / name).state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(weight, parts[name]) for name, weight in whole.items())


@pytest.mark.usefixtures("few")
def test_what_the_same_call_has_made_is_reported_and_not_made_again_and_may_be_published(
    model_folder: Path, texts: list[str], tmp_path: Path
) -> None:
    report = smaller_student(model_folder, tmp_path / "out", texts, width=24)
    before = (tmp_path / "out/model.safetensors").stat()
    (tmp_path / "out.partial").mkdir()  # as a kill may leave it
    assert smaller_student(model_folder, tmp_path / "out", texts, width=24) == report
    assert (tmp_path / "out/model.safetensors").stat() == before and not (tmp_path / "out.partial").exists()
    uploads = list_uploads(tmp_path / "out")
    assert DISTILLATION in uploads.files and not uploads.unknown and not uploads.refused
    with pytest.raises(ValueError, match="not empty"):  # other texts
        smaller_student(model_folder, tmp_path / "out", [*texts[1:], texts[0]], width=24)


@pytest.mark.usefixtures("few")
def test_another_language_is_learned(model_folder: Path, tmp_path: Path) -> None:
    """Each word has one character as its translation, which the teacher cannot read."""
    characters = dict(zip(WORDS, "的猫狗王后跑睡吃大小红蓝房河树石光夜日一二三四五", strict=False))
    generator = np.random.default_rng(0)
    words = [generator.choice(list(characters), 4) for _ in range(240)]
    pairs = [(" ".join(some), "".join(characters[word] for word in some)) for some in words]
    options = StudentOptions(epochs=8, batch_size=16, learning_rate=1e-2)
    report = distil_language(Places(teacher=model_folder, target=tmp_path / "out"), pairs, options)
    assert report.added == len(characters) and report.recall[1] > report.recall[0] + 0.3 and report.kept > 0.9


@pytest.mark.parametrize(
    ("static", "given", "words"),
    [
        (False, {}, "got none"),
        (True, {"layers": 3}, "--static and --layers"),
        (True, {"seed": 1}, "--static: got --seed"),
        (False, {"layers": 3, "width": 8, "dimension": 3}, "--layers: got --dimension"),
    ],
)
def test_options_of_another_kind_are_refused(static: bool, given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _kind(static=static, translations=None, given={"layers": None, "width": None} | given)


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
