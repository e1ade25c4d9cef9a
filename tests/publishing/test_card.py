"""Laws of the model card: complete, true to the files, executable, and never overwriting what people wrote."""

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from scipy.stats import binomtest, spearmanr
from torch.utils.tensorboard import SummaryWriter
from transformers import BertTokenizer

import hf_embeddings
from hf_embeddings import POSITION_TYPES, TriEmbedConfig
from hf_embeddings.analysis.intervals import correlation_interval, share_interval
from hf_embeddings.cli.main import VERBS
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.publishing.card import template, write_card
from hf_embeddings.publishing.regions import REGION
from hf_embeddings.publishing.tasks import EXAMPLES, TASKS
from hf_embeddings.typed_yaml.options_file import dump

ROOT = Path(__file__).parents[2]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "answer", "is", "on", "next", "page", ".", "today"]
TASKS_OF_A_MULTI_TASK_MODEL = {"polarity": {"problem_type": "single_label_classification", "num_labels": 2}}
FIGURES = {
    "precision": "fp32",
    "unigram_loss": 5.5, "mlm_loss": 3.25, "mlm_accuracy": 0.4, "mlm_accuracy_low": 0.35, "mlm_accuracy_high": 0.45,
    "mlm_labels": 500, "nsp_loss": 0.6, "nsp_accuracy": 0.7, "nsp_accuracy_low": 0.65, "nsp_accuracy_high": 0.75,
    "nsp_labels": 300, "training_steps": 20, "training_tokens": 1000, "training_seconds": 2.0, "parameters": 1,
    "corpus": {"training_documents": 90, "evaluation_documents": 10, "duplicates": 0},
}  # fmt: skip


def checkpoint(
    folder: Path, architecture: str = "TriEmbedForPreTraining", position: str = "learned", language: str = "en"
) -> Path:
    """Save a small model the way a pretraining run does, with the records of a run."""
    torch.manual_seed(0)
    config = TriEmbedConfig(
        vocab_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32, position_embedding_type=position,
        tasks=TASKS_OF_A_MULTI_TASK_MODEL if architecture == "TriEmbedForMultiTask" else None,
    )  # fmt: skip
    getattr(hf_embeddings, architecture)(config).save_pretrained(folder)
    BertTokenizer(vocab={word: index for index, word in enumerate(WORDS)}).save_pretrained(folder)
    changes = [
        f"card.language=[{language}]",
        "card.license=apache-2.0",
        "examples.max_length=32",
        "examples.masking_probability=0.15",
    ]
    changes += ["training.learning_rate=1e-3"]
    options = load_options(ROOT / "configs/pretraining/demo.yaml", changes)
    (folder / "pretraining.yaml").write_text(dump(options))
    (folder / "pretraining.json").write_text(json.dumps(FIGURES))
    return folder


def parts(text: str) -> dict[str, str]:
    return {found["name"]: found["body"] for found in REGION.finditer(text)}


def python_blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_metadata_is_complete_and_says_what_was_measured(tmp_path) -> None:
    write_card(checkpoint(tmp_path))
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "apache-2.0" and card.data.language == ["en"]
    assert card.data.library_name == "transformers" and card.data.pipeline_tag == "fill-mask"
    assert {"triembed", "learned", "mlm", "nsp"} <= set(card.data.tags)
    measured = {(result.task_type, result.metric_type): result.metric_value for result in card.data.eval_results}
    assert measured == {
        ("fill-mask", "loss"): 3.25,
        ("fill-mask", "accuracy"): 0.4,
        ("text-classification", "accuracy"): 0.7,
    }
    text = parts(card.text)
    assert "5.500 nats" in text["evaluation"] and "35.0% to 45.0%" in text["evaluation"]
    assert "pydoc:torch,transformers,numpy" in text["data"] and "20 steps" in text["recipe"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"optimizer": "adamw"}, "AdamW, peak learning rate 0.001, betas"),
        (
            {"optimizer": "muon", "adamw_learning_rate": 0.0005},
            "Muon on the encoder's matrices, peak learning rate 0.001; AdamW on all else, peak 0.0005, betas",
        ),
        ({"optimizer": "muon", "adamw_learning_rate": None}, "AdamW on all else, peak 0.001, betas"),
    ],
)
def test_the_recipe_names_the_optimizer_and_its_rates(given: dict, said: str, tmp_path) -> None:
    folder = checkpoint(tmp_path)
    options = yaml.safe_load((folder / "pretraining.yaml").read_text())
    for name in ("optimizer", "adamw_learning_rate"):
        options["training"].pop(name, None)
    options["training"] |= given
    (folder / "pretraining.yaml").write_text(yaml.safe_dump(options))
    write_card(folder)
    assert said in parts((folder / "README.md").read_text())["recipe"]


def test_a_run_that_predicted_no_tokens_has_its_figures_too(tmp_path) -> None:
    folder = checkpoint(tmp_path)
    figures = {name: value for name, value in FIGURES.items() if not name.startswith(("mlm", "unigram"))}
    (folder / "pretraining.json").write_text(json.dumps(figures))
    write_card(folder)
    text = parts((folder / "README.md").read_text())["evaluation"]
    assert "| NSP accuracy | 70.0% | 65.0% to 75.0% | 50.0% | 300 |" in text and "MLM" not in text
    assert "The baseline of NSP is chance." in text


def test_a_corpus_on_the_hub_becomes_metadata_and_a_private_path_does_not(tmp_path) -> None:
    checkpoint(tmp_path)
    for source, datasets, shown in (
        ("hub:user/texts", ["user/texts"], "hub:user/texts"),
        ("/home/somebody/secret-project/texts.txt", None, "texts.txt"),
    ):
        options = yaml.safe_load((tmp_path / "pretraining.yaml").read_text())
        options["corpus"]["source"] = source
        (tmp_path / "pretraining.yaml").write_text(yaml.safe_dump(options))
        write_card(tmp_path)
        card = ModelCard.load(tmp_path / "README.md")
        assert card.data.datasets == datasets and f"`{shown}`" in card.text and "secret-project" not in str(card)


HUBS = {"skewness": 0.5, "most": 9, "never": 0.1, "hubs": ["the"]}
REPORT = {  # as `hf-embeddings evaluate --card` leaves it
    "model": "runs/demo",
    "vectors": {"source": "contextual", "pooling": "mean", "layer": None, "prompt": ""},
    "similarity": {
        "wordsim353": {
            "pairs": 353, "spearman": 0.729, "p_value": 1e-9, "pairs_in_file": 353, "out_of_vocabulary": [],
            "tokens_per_text": 1.5,
        }
    },
    "analogies": {
        "questions-words": {
            "questions": 1000, "questions_in_file": 1000, "candidates": 900, "accuracy": 0.5,
            "accuracy_by_section": {"family": 0.5}, "out_of_vocabulary": [],
        }
    },
    "retrieval": {
        "pages": {
            "forward": {"queries": 3, "candidates": 4, "recall": {"1": 0.5, "5": 1.0}, "mrr": 0.75},
            "backward": {"queries": 4, "candidates": 3, "recall": {"1": 0.25, "5": 1.0}, "mrr": 0.5},
        }
    },
    "bias": [
        {
            "test": "science, arts", "on": "words", "source": "lists.json", "effect_size": 1.25, "p_value": 0.0012,
            "partitions": 20, "exact": True,
        },
        {"test": "flowers, insects", "skipped": "not in the vocabulary: aster"},
    ],
    "table": {
        "rows": 16, "rows_measured": 16,
        "isotropy": {"iso_score": 0.5, "partition_score": 0.5, "mean_cosine": 0.1, "effective_rank": 9.5},
        "hubness": HUBS, "zero_rows": ["[PAD]"], "repeated_rows": [["a", "b"]],
        "norm_outliers": {"count": 1, "farthest": {"the": 7.5}}, "unused_rows": 4,
        "like_unused": {"count": 3, "tokens": ["x", "y", "z"]},
    },
    "text": {
        "corpus": "pydoc:json", "sentences": 60,
        "isotropy": {"iso_score": 0.25, "partition_score": 0.5, "mean_cosine": 0.4, "effective_rank": 9.5},
        "hubness": HUBS, "anisotropy_by_layer": [0.1, 0.4],
    },
    "sizes": [
        {
            "width": 8, "precision": "fp32", "bytes_per_vector": 32, "neighbours_kept": 1.0,
            "figures": {"pages mrr": 0.75},
        }
    ],
    "mteb": {"Pages": 0.5},
    "mteb_datasets": {"Pages": {"id": "mteb/pages", "revision": "1" * 40}},
    "picture": "picture.png",
}  # fmt: skip


def test_the_analysis_fills_evaluation_and_limits(tmp_path) -> None:
    checkpoint(tmp_path)
    (tmp_path / "embedding_evaluation.json").write_text(json.dumps(REPORT))
    write_card(tmp_path)
    text = parts((tmp_path / "README.md").read_text())
    assert "0.729 (95 % interval 0.669 to 0.780)" in text["evaluation"]
    assert "50.0% (95 % interval 46.9% to 53.1%)" in text["evaluation"]
    assert "| science, arts | words | +1.25 | 0.0012 |" in text["limits"] and "aster" in text["limits"]
    assert "mean cosine of 0.40" in text["limits"] and "3 of the 16 rows" in text["limits"]


def test_results_on_data_sets_of_the_hub_take_the_newer_form(tmp_path) -> None:
    checkpoint(tmp_path)
    path = tmp_path / ".eval_results/hf-embeddings.yaml"
    write_card(tmp_path)
    assert not path.exists()  # docstrings are no data set of the Hub
    options = yaml.safe_load((tmp_path / "pretraining.yaml").read_text())
    options["corpus"]["source"] = "hub:user/texts"
    (tmp_path / "pretraining.yaml").write_text(yaml.safe_dump(options))
    (tmp_path / "embedding_evaluation.json").write_text(json.dumps(REPORT))
    write_card(tmp_path)
    entries = parse_eval_result_entries(yaml.safe_load(path.read_text()))
    assert {(entry.dataset_id, entry.task_id): entry.value for entry in entries} == {
        ("user/texts", "mlm_accuracy"): 40.0,
        ("user/texts", "nsp_accuracy"): 70.0,
        ("mteb/pages", "Pages"): 50.0,
    }
    assert entries[-1].dataset_revision == "1" * 40


@pytest.mark.parametrize("share, count", [(0.5, 100), (0.0, 10), (0.97, 1000)])
def test_intervals_of_shares_are_those_of_scipy(share: float, count: int) -> None:
    expected = binomtest(round(share * count), count).proportion_ci(method="wilson")
    assert share_interval(share, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_intervals_of_correlations_hold_nineteen_times_in_twenty() -> None:
    generator, held = np.random.default_rng(0), 0
    truth = 6 / math.pi * math.asin(0.7 / 2)  # Spearman's rho of a normal pair with Pearson's 0.7
    for _ in range(500):
        pair = generator.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=80)
        low, high = correlation_interval(spearmanr(*pair.T).statistic, 80)
        held += low <= truth <= high
    assert 0.92 <= held / 500 <= 0.98


def test_the_base_model_is_named_by_the_record_or_by_the_user(tmp_path) -> None:
    checkpoint(tmp_path)
    origin = {"made": "converted from `user/bert`", "description": "Bit by bit.", "base_model": "user/bert"}
    (tmp_path / "origin.json").write_text(json.dumps(origin | {"license": "mit", "language": "de"}))
    options = yaml.safe_load((tmp_path / "pretraining.yaml").read_text())
    (tmp_path / "pretraining.yaml").write_text(yaml.safe_dump(options | {"card": {}}))
    write_card(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert (card.data.base_model, card.data.license, card.data.language) == ("user/bert", "mit", ["de"])
    text = parts(card.text)
    assert "converted from `user/bert`" in text["summary"] and text["recipe"] == "Bit by bit."
    write_card(tmp_path, base_model="user/other")
    assert ModelCard.load(tmp_path / "README.md").data.base_model == "user/other"


@pytest.mark.parametrize(
    "architecture, results, row",
    [
        ("TriEmbedForSequenceClassification", {"eval_accuracy": 0.5, "eval_samples": 1000}, "0.5 (95 % interval 46.9%"),
        ("TriEmbedForQuestionAnswering", {"eval_exact_match": 0.5, "eval_samples": 1000}, "0.5 (95 % interval 46.9%"),
        ("TriEmbedForMultiTask", {"eval_a_accuracy": 0.5, "eval_a_samples": 100}, "0.5 (95 % interval 40.4%"),
        ("TriEmbedForTokenClassification", {"eval_accuracy": 0.5, "eval_samples": 1000}, "| accuracy | 0.5 |"),
        ("TriEmbedForSequenceClassification", {"eval_accuracy": 0.5}, "| accuracy | 0.5 |"),
    ],
)
def test_fine_tuned_shares_have_intervals(architecture: str, results: dict, row: str, tmp_path) -> None:
    checkpoint(tmp_path, architecture)
    (tmp_path / "all_results.json").write_text(json.dumps(results))
    write_card(tmp_path)
    assert row in parts((tmp_path / "README.md").read_text())["evaluation"]


def test_parameters_add_up(tmp_path) -> None:
    write_card(checkpoint(tmp_path))
    model = hf_embeddings.TriEmbedForPreTraining.from_pretrained(tmp_path)
    table = parts((tmp_path / "README.md").read_text())["architecture"]
    counts = [int(count.replace(",", "")) for count in re.findall(r"\| ([\d,]+) \| [\d.]+% \|", table)]
    assert sum(counts) == model.num_parameters() and f"**{model.num_parameters():,}**" in table


@pytest.mark.parametrize("position", [*POSITION_TYPES, "learned+relative_bias"])
def test_every_position_type_is_explained(position: str, tmp_path) -> None:
    write_card(checkpoint(tmp_path, position=position))
    text = parts((tmp_path / "README.md").read_text())["positions"]
    for part in position.split("+"):
        assert re.search(rf"^- `{part}`: \w.{{20,}}", text, flags=re.MULTILINE), text


@pytest.mark.parametrize("architecture", TASKS)
def test_snippets_run_for_every_class(architecture: str, tmp_path, capsys) -> None:
    write_card(checkpoint(tmp_path, architecture))
    blocks = python_blocks((tmp_path / "README.md").read_text())
    assert blocks
    for block in blocks:
        exec(compile(block.replace("PATH_OR_ID", str(tmp_path)), "README.md", "exec"), {})
    assert capsys.readouterr().out.count("\n") >= len(blocks)


@pytest.mark.parametrize("language", EXAMPLES)
def test_the_example_speaks_the_language_of_the_model(language: str, tmp_path) -> None:
    write_card(checkpoint(tmp_path, language=language))
    assert EXAMPLES[language][1].format("[MASK]") in (tmp_path / "README.md").read_text()


def test_the_template_runs() -> None:
    for block in python_blocks(template()):
        exec(compile(block, "MODEL_CARD.md", "exec"), {})


def test_the_page_about_cards_is_true_and_no_card() -> None:
    text = (ROOT / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert not text.startswith("---") and "hf_embeddings/publishing/MODEL_CARD.md" in text
    assert all((ROOT / link).is_file() for link in re.findall(r"\]\(([^)]+)\)", text))
    named = re.search(r"`hf-embeddings (.+?) write a card", text, flags=re.DOTALL)
    assert set(re.findall(r"\w+", named[1])) - {"and"} <= VERBS.keys()


@pytest.mark.parametrize("verdict, word", [("learned nothing", "worth nothing"), ("learned in part", "worth little")])
def test_a_model_that_has_not_learned_recommends_nothing(verdict: str, word: str, tmp_path) -> None:
    write_card(checkpoint(tmp_path))
    figures = FIGURES | {"worth": {"verdict": verdict, "reasons": ["NSP accuracy 50.5% is not better than chance"]}}
    (tmp_path / "pretraining.json").write_text(json.dumps(figures))
    write_card(tmp_path)
    text = parts((tmp_path / "README.md").read_text())
    assert word in text["summary"] and "50.5% is not better than chance" in text["summary"]
    assert python_blocks(text["use"]) == [] and "None is recommended" in text["use"]
    (tmp_path / "pretraining.json").write_text(json.dumps(FIGURES | {"worth": {"verdict": "learned", "reasons": []}}))
    write_card(tmp_path)
    text = parts((tmp_path / "README.md").read_text())
    assert "worth" not in text["summary"] and python_blocks(text["use"])


def test_losses_have_intervals_and_figures_without_unknown_labels(tmp_path) -> None:
    checkpoint(tmp_path)
    more = {"mlm_loss_low": 3.2, "mlm_loss_high": 3.3, "sop_loss": 0.5, "sop_labels": 7, "sop_accuracy": 0.7}
    more |= {"sop_accuracy_low": 0.6, "sop_accuracy_high": 0.8, "mlm_unknown_labels": 100}
    more |= {"mlm_loss_without_unknown": 3.9, "mlm_accuracy_without_unknown": 0.25}
    (tmp_path / "pretraining.json").write_text(json.dumps(FIGURES | more))
    write_card(tmp_path)
    text = parts((tmp_path / "README.md").read_text())["evaluation"]
    assert "| MLM loss, nats | 3.250 | 3.200 to 3.300 | 5.500 | 500 |" in text
    assert "| MLM loss without [UNK] labels | 3.900 | | | 400 |" in text
    assert "| MLM accuracy without [UNK] labels | 25.0% | | | 400 |" in text
    assert "| SOP accuracy | 70.0% | 60.0% to 80.0% | 50.0% | 7 |" in text


def test_the_loss_curve_is_drawn_from_the_events(tmp_path) -> None:
    checkpoint(tmp_path)
    with SummaryWriter(str(tmp_path / "tensorboard")) as writer:
        for step, loss in ((10, 6.0), (20, 3.0)):
            writer.add_scalar("training/mlm_loss", loss, step)
    write_card(tmp_path)
    svg = ElementTree.parse(tmp_path / "training_loss.svg").getroot()
    points = [p.split(",") for p in svg.find("{*}polyline").get("points").split()]
    (x1, y1), (x2, y2) = ((float(x), float(y)) for x, y in points)
    floor, left = 244, 48  # where loss 0 and step 0 are drawn
    assert (floor - y1) / (floor - y2) == pytest.approx(2, abs=0.01)
    assert (x2 - left) / (x1 - left) == pytest.approx(2, abs=0.01)
    assert "](training_loss.svg)" in (tmp_path / "README.md").read_text()


def test_writing_twice_changes_nothing(tmp_path) -> None:
    write_card(checkpoint(tmp_path))
    once = (tmp_path / "README.md").read_bytes()
    assert write_card(tmp_path) == []
    assert (tmp_path / "README.md").read_bytes() == once


def test_a_card_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    """Half a card would be taken for one that people have edited, and stay."""
    write_card(checkpoint(tmp_path))
    once = (tmp_path / "README.md").read_bytes()
    (tmp_path / "pretraining.json").write_text(json.dumps(FIGURES | {"training_steps": 77}))
    with monkeypatch.context() as broken:
        broken.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            write_card(tmp_path)
    assert (tmp_path / "README.md").read_bytes() == once
    assert write_card(tmp_path) == [] and "77" in (tmp_path / "README.md").read_text()


def test_edits_survive_while_the_rest_follows_the_files(tmp_path) -> None:
    write_card(checkpoint(tmp_path))
    path = tmp_path / "README.md"
    text = path.read_text()
    for old, new in (
        ("license: apache-2.0", "license: cc-by-4.0\nthumbnail: cat.png"),
        ("- mlm\n", "- mlm\n- cats\n"),
        ("and little else", "and a little else"),
        ("## Recipe", "## Thanks\n\nTo the cat.\n\n## Recipe"),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(re.sub(r"<!-- begin positions.*end positions -->\n", "", text, flags=re.DOTALL))
    (tmp_path / "pretraining.json").write_text(json.dumps(FIGURES | {"mlm_loss": 2.5}))
    for _ in range(2):
        assert sorted(write_card(tmp_path, "user/model")) == ["license", "limits", "tags"]
        card = ModelCard.load(path)
        assert card.data.license == "cc-by-4.0" and "cats" in card.data.tags and card.data.thumbnail == "cat.png"
        assert "and a little else" in card.text and "To the cat." in card.text
        assert "begin positions" not in card.text
        assert "| 2.500 |" in card.text and card.data.eval_results[0].metric_value == 2.5
        assert 'from_pretrained("user/model", ' in card.text and "# model\n" in card.text


def test_a_card_of_somebody_else_keeps_its_text(tmp_path) -> None:
    checkpoint(tmp_path)
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n\n# Mine\n\nMy words.\n")
    assert write_card(tmp_path) == ["license"]
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "mit" and card.data.pipeline_tag == "fill-mask"
    assert card.text.split("<!--")[0].strip() == "# Mine\n\nMy words."


def test_a_directory_without_a_model_is_an_error(tmp_path) -> None:
    with pytest.raises(ValueError, match="no config.json"):
        write_card(tmp_path)
