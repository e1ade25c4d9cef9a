"""A run of replaced-token detection, then what a user does with the two models that it leaves."""

import json
import math
import random
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    ElectraForPreTraining,
    pipeline,
)

from hf_embeddings.conversion import convert
from hf_embeddings.model.modeling_triembed import TriEmbedForPreTraining, TriEmbedForTokenClassification
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.pretraining.run import pretrain
from hf_embeddings.pretraining.training.replaced_tokens import TABLE
from hf_embeddings.publishing.card import write_card
from hf_embeddings.records.run import RunFigures
from hf_embeddings.uploads.listing import list_uploads

ROOT = Path(__file__).parents[2]
SMALL = (
    "tokenizer.vocab_size=200 training.max_steps=20 training.tokens_per_step=512 training.evaluation_examples=20 "
    "training.tensorboard=false training.max_hours=null corpus.evaluation_fraction=0.25 model.hidden_size=32 "
    "model.num_attention_heads=2 model.intermediate_size=32 training.mixed_precision=no training.learning_rate=0.01"
).split()
CLASSIC = (
    "model.norm_position=post model.position_embedding_type=learned model.layer_types=null model.sliding_window=null "
    "model.rope_parameters=null"
).split()


@pytest.fixture(autouse=True)
def no_accelerator() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of few words, whose order is a rule: what does not fit is told soon."""
    file, draw = tmp_path_factory.mktemp("texts") / "texts.txt", random.Random(0)
    words = "red green blue one two three four five cat dog bird fish".split()
    lines = [" ".join(words[(start + n) % 12] for n in range(9)) + "." for start in draw.choices(range(12), k=480)]
    file.write_text("\n\n".join(" ".join(lines[n : n + 4]) + f" End {n}." for n in range(0, 480, 4)), encoding="utf-8")
    return file


def train(texts: Path, folder: Path, *overrides: str, base: str = "") -> RunFigures:
    given = [*SMALL, *([f"model.base={base}"] if base else CLASSIC), f"corpus.source={texts}", f"output_dir={folder}"]
    if base:
        given = [entry for entry in given if not entry.startswith(("tokenizer.", "model.h", "model.n", "model.i"))]
    options = load_options(_recipe(texts.parent, bool(base)), [*given, *overrides])
    assert isinstance(options, PretrainingOptions)
    outcome = pretrain(options, base_config=Path(base) if base else ROOT / options.model.base)
    assert outcome.figures is not None
    return outcome.figures


def _recipe(folder: Path, continues: bool) -> Path:
    """Return the recipe; without its architecture for a run that goes on from a checkpoint."""
    text = (ROOT / "configs/pretraining/rtd.yaml").read_text(encoding="utf-8")
    if continues:
        before, _, rest = text.partition("model:\n")
        text = before + rest[rest.index("corpus:") :]
    file = folder / ("continued.yaml" if continues else "new.yaml")
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def run(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunFigures]:
    AcceleratorState._reset_state(reset_partial_state=True)
    folder = tmp_path_factory.mktemp("run") / "out"
    figures = train(texts, folder, "training.max_steps=100")
    write_card(folder)
    return folder, figures


def test_it_learns_to_tell_replaced_tokens(run: tuple[Path, RunFigures]) -> None:
    """More than the share of either kind tells."""
    _, figures = run
    rtd = figures.held_out["rtd"]
    assert rtd.roc_auc_low > 0.5 and 0 < rtd.replaced_share < 0.15
    share = rtd.replaced_share
    assert rtd.loss < -share * math.log(share) - (1 - share) * math.log(1 - share)
    assert figures.worth.verdict == "learned"


def test_its_card_is_true(run: tuple[Path, RunFigures]) -> None:
    folder, figures = run
    card = ModelCard.load(folder / "README.md")
    assert card.data.pipeline_tag == "feature-extraction" and "fill-mask" not in card.data.tags
    [result] = card.data.eval_results
    assert result.metric_value == round(figures.held_out["rtd"].roc_auc, 4)
    assert "| objectives | mlm of a generator + 50 rtd of the discriminator, which is this model |" in card.text
    assert "25% of the width and 100% of the layers, kept in `generator/`" in card.text and "(GDES)" in card.text
    assert f"| RTD area under the ROC curve | {figures.held_out['rtd'].roc_auc:.3f} |" in card.text
    assert "sigmoid()" in card.text and "MLM loss, nats" not in card.text


def test_both_models_are_published(run: tuple[Path, RunFigures]) -> None:
    folder, _ = run
    uploads = list_uploads(folder)
    assert {"model.safetensors", "generator/model.safetensors", "generator/tokenizer.json"} <= uploads.files.keys()
    assert not uploads.unknown and not uploads.refused
    checkpoint = list_uploads(next((folder / "checkpoints").iterdir()), checkpoint=True)
    assert {"token_difference.safetensors", "generator/config.json"} <= checkpoint.files.keys()
    assert not checkpoint.unknown and not checkpoint.refused


def test_the_discriminator_is_that_of_electra(run: tuple[Path, RunFigures], tmp_path: Path) -> None:
    """Converted, it scores in transformers' own class as here."""
    folder, _ = run
    convert(folder, tmp_path / "electra", to="electra")
    stock, ours = ElectraForPreTraining.from_pretrained(tmp_path / "electra"), AutoModelForTokenClassification
    inputs = AutoTokenizer.from_pretrained(folder)("red green one blue", return_tensors="pt")
    with torch.no_grad():
        expected = stock.eval()(**inputs).logits
        found = ours.from_pretrained(folder).eval()(**inputs).logits[..., 0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_generator_fills_masks_and_the_discriminator_refuses(run: tuple[Path, RunFigures]) -> None:
    folder, _ = run
    answers = pipeline("fill-mask", model=str(folder / "generator"))("red green [MASK] one two")
    assert len(answers) == 5
    with pytest.raises(ValueError, match=f"holds a discriminator.*load its generator .{folder}/generator"):
        AutoModelForMaskedLM.from_pretrained(folder)


def test_a_classifier_of_a_user_has_a_head_of_its_own(run: tuple[Path, RunFigures]) -> None:
    folder, _ = run
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    assert model.classifier.weight.shape == (2, 32) and "classifier" in model.new_modules


def test_a_run_goes_on_from_both_models(run: tuple[Path, RunFigures], texts: Path, tmp_path: Path, capfd) -> None:
    """At a learning rate of nearly 0, the held-out figures are what they were."""
    folder, before = run
    after = train(texts, tmp_path / "on", "training.learning_rate=1e-30", base=str(folder))
    for name in ("generator", "rtd"):
        assert after.held_out[name].loss == pytest.approx(before.held_out[name].loss, rel=1e-4)
    assert "random at first" not in capfd.readouterr().err
    with pytest.raises(ValueError, match="generator: its options make hidden_size 32, expected 16, as in"):
        train(texts, tmp_path / "wider", "generator.width=1.0", base=str(folder))
    assert not (tmp_path / "wider").exists()


def test_a_masked_language_model_becomes_a_discriminator_and_back(texts: Path, tmp_path: Path, capfd) -> None:
    """The new generator takes its token table over; heads that are new, or left, are named."""
    train(texts, tmp_path / "mlm", "examples.objectives=[mlm]", "generator.width=0.25")
    still = ("training.learning_rate=1e-30", "training.max_steps=1")
    train(texts, tmp_path / "rtd", *still, base=str(tmp_path / "mlm"))
    told = capfd.readouterr().err
    assert "mlm has no generator, transform, classifier: random at first" in told
    assert "not carried over from mlm: pooler, predictions, seq_relationship" in told
    tables = [load_file(tmp_path / name / "model.safetensors")[TABLE] for name in ("mlm", "rtd", "rtd/generator")]
    torch.testing.assert_close(tables[1], tables[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(tables[2], tables[0], atol=1e-6, rtol=0)
    train(texts, tmp_path / "again", *still, "examples.objectives=[mlm]", base=str(tmp_path / "rtd"))
    assert "not carried over from rtd: classifier, generator, transform" in capfd.readouterr().err
    config = json.loads((tmp_path / "again/config.json").read_text())
    assert (
        config.get("id2label") != {"0": "REPLACED"} and not config["token_transform"] and config["pooler_act"] == "tanh"
    )
    assert TriEmbedForPreTraining.from_pretrained(tmp_path / "again").new_modules == ()


def test_a_classifier_of_something_else_is_no_head_of_a_discriminator(texts: Path, run, tmp_path: Path, capfd) -> None:
    folder, _ = run
    labels = {"id2label": {0: "O", 1: "B"}}
    model = TriEmbedForTokenClassification.from_pretrained(folder, **labels)
    model.save_pretrained(tmp_path / "tagger")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "tagger")
    train(texts, tmp_path / "rtd", "training.max_steps=1", base=str(tmp_path / "tagger"))
    told = capfd.readouterr().err
    assert "tagger has no generator, transform, classifier: random at first" in told
    assert "not carried over from tagger: its classifier, its transform" in told


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["examples.objectives=[mlm, rtd]"], "expected rtd alone"),
        (["examples.objectives=[rtd, nsp]"], "expected rtd alone"),
        (["examples.objective_weights={mlm: 2}"], "expected a number above 0 for one of rtd"),
        (["training.ema_decay=0.9"], "got ema_decay 0.9 beside the objective rtd"),
        (["examples.objectives=[mlm]", "generator.width=0.5"], "got options of one beside"),
        (["generator.width=0"], "generator.width: got 0"),
        (["generator.embeddings=none"], "expected one of disentangled, shared, separate"),
    ],
)
def test_what_contradicts_is_refused_before_any_work(
    overrides: list[str], message: str, texts: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        train(texts, tmp_path / "out", *overrides)
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("generator.width=0.5", "generator.width: the checkpoint has its generator"),
        ("examples.objectives=[mlm]", "examples.objectives: the checkpoint has its kind of model"),
    ],
)
def test_a_run_is_not_resumed_as_another_kind(run, override: str, message: str, texts: Path) -> None:
    folder, _ = run
    with pytest.raises(ValueError, match=message):
        options = load_options(_recipe(texts.parent, False), [*SMALL, *CLASSIC, f"corpus.source={texts}",
                               f"output_dir={folder}", "training.max_steps=100", override])  # fmt: skip
        pretrain(options, base_config=ROOT / options.model.base, allow_changes=True)
