"""Laws of the model card: complete, true to the files, executable, and never overwriting what people wrote."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from torch.utils.tensorboard import SummaryWriter
from transformers import BertTokenizer

import hf_embeddings
from hf_embeddings import POSITION_TYPES, TriEmbedConfig
from hf_embeddings.publishing.card import template, write_card
from hf_embeddings.publishing.regions import REGION
from hf_embeddings.publishing.tasks import EXAMPLES, TASKS

ROOT = Path(__file__).parents[2]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "answer", "is", "on", "next", "page", ".", "today"]
TASKS_OF_A_MULTI_TASK_MODEL = {"polarity": {"problem_type": "single_label_classification", "num_labels": 2}}
FIGURES = {
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
    options = yaml.safe_load((ROOT / "configs/pretraining/demo.yaml").read_text())
    options["output_dir"], options["seed"] = "runs/demo", 0
    options["card"] = {"name": None, "language": [language], "license": "apache-2.0"}
    options["examples"] = {
        "max_length": 32, "masking_probability": 0.15, "mask_token_fraction": 0.8, "random_token_fraction": 0.1,
        "objectives": ["mlm", "nsp"],
    }  # fmt: skip
    options["training"] |= {"adam_beta1": 0.9, "adam_beta2": 0.98, "weight_decay": 0.01, "warmup_fraction": 0.05}
    options["training"]["learning_rate"] = 0.001
    (folder / "pretraining.yaml").write_text(yaml.safe_dump(options))
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


def test_the_project_card_runs_and_is_the_template() -> None:
    text = (ROOT / "MODEL_CARD.md").read_text()
    assert text == template()
    for block in python_blocks(text):
        exec(compile(block, "MODEL_CARD.md", "exec"), {})


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
