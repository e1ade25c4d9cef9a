"""The cards of what `convert`, `reposition` and `vocabulary` make: filled in, inherited, and safe for edits."""

import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, ModelCard
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

from hf_embeddings.cli.main import main
from hf_embeddings.publishing.card import write_card
from tests.hub.server import Hub
from tests.publishing.test_card import WORDS, parts

ORIGIN = "---\nlicense: mit\nlanguage: de\n---\n\n# A BERT\n"


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "bert"
    torch.manual_seed(0)
    sizes = dict(vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    BertForMaskedLM(BertConfig(**sizes, intermediate_size=16, max_position_embeddings=16)).save_pretrained(folder)
    BertTokenizer(vocab={word: index for index, word in enumerate(WORDS)}).save_pretrained(folder)
    (folder / "README.md").write_text(ORIGIN)
    return folder


@pytest.fixture
def run(monkeypatch):
    def command(*arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["hf-embeddings", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code

    return command


def test_each_change_names_its_source_and_inherits_its_metadata(bert, run, tmp_path) -> None:
    run("convert", bert, tmp_path / "ours")
    run("reposition", tmp_path / "ours", tmp_path / "rope", "--to", "rope")
    run("vocabulary", "add", tmp_path / "rope", tmp_path / "words", "--token", "tomorrow")
    for name, made, figure in (
        ("ours", "converted from `bert` (`BertForMaskedLM`)", "difference from the source"),
        ("rope", "made from `ours`, which has `learned` positions", "`rope` positions in place of `learned`"),
        ("words", "made from `rope` with another vocabulary", "| tokens | 14, before 13 |"),
    ):
        card = ModelCard.load(tmp_path / name / "README.md")
        assert (card.data.license, card.data.language) == ("mit", ["de"])
        assert card.data.base_model is None  # the source is not on the Hub
        text = parts(card.text)
        assert made in text["summary"] and figure in text["recipe"] and "triembed" in card.data.tags


def test_edits_survive_and_the_rest_follows(bert, run, tmp_path) -> None:
    run("convert", bert, tmp_path / "ours")
    path = tmp_path / "ours/README.md"
    text = path.read_text()
    assert "That of its source." in text
    path.write_text(
        text.replace("That of its source.", "Letters of my aunt.").replace("license: mit", "license: cc0-1.0")
    )
    assert sorted(write_card(tmp_path / "ours", "user/ours")) == ["data", "license"]
    card = ModelCard.load(path)
    assert "Letters of my aunt." in card.text and card.data.license == "cc0-1.0"
    assert 'model="user/ours"' in card.text


def test_a_source_on_the_hub_becomes_the_base_model(bert, run, tmp_path, monkeypatch) -> None:
    with Hub(tmp_path / "hub") as hub:
        hub.redirect(monkeypatch, tmp_path)
        api = HfApi()
        api.create_repo("user/bert")
        api.upload_folder(repo_id="user/bert", folder_path=bert)
        run("convert", "user/bert", tmp_path / "ours")
    run("reposition", tmp_path / "ours", tmp_path / "alibi", "--to", "alibi")
    for name in ("ours", "alibi"):
        assert ModelCard.load(tmp_path / name / "README.md").data.base_model == "user/bert"


def test_back_to_a_stock_family_the_card_keeps_the_license(bert, run, tmp_path) -> None:
    run("convert", bert, tmp_path / "ours")
    run("convert", tmp_path / "ours", tmp_path / "back", "--to", "bert")
    card = ModelCard.load(tmp_path / "back/README.md")
    assert card.data.license == "mit" and "triembed" not in card.data.tags and "`BertForMaskedLM`" in card.text
