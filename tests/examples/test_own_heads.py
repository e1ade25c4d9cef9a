"""Heads of the user's own learn, load and save; the CRF is held against all sequences of labels."""

import itertools
import runpy
import sys
from pathlib import Path

import pytest
import torch

from tests.model.test_expectations import B, S, batch, make

EXAMPLES = Path(__file__).parents[2] / "examples"
CLASSES = {
    "crf_tagger": ("TriEmbedForCRFTagging", "crf, scores"),
    "own_pooling": ("TriEmbedWithAttentionPooling", "weigh"),
}


@pytest.mark.parametrize("name", CLASSES)
def test_an_own_head_learns_and_comes_back(name: str, tmp_path, monkeypatch, capsys) -> None:
    make("ForPreTraining", "rope").save_pretrained(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, "--model", str(tmp_path)])
    made = runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    cls, new = CLASSES[name]
    assert new in capsys.readouterr().out
    model = made[cls].from_pretrained(tmp_path).train()
    inputs = batch("Model") | {
        "labels": torch.arange(B) % 2 if name == "own_pooling" else batch("Model")["input_ids"] % 2
    }
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        losses.append(model(**inputs).loss)
        losses[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0] / 2
    model.eval().save_pretrained(tmp_path / "again")
    again = made[cls].from_pretrained(tmp_path / "again").eval()
    assert again.new_modules == ()
    torch.testing.assert_close(again(**inputs).logits, model(**inputs).logits)


def test_the_probabilities_of_all_label_sequences_add_up_to_one() -> None:
    crf = runpy.run_path(str(EXAMPLES / "crf_tagger.py"))["CRF"](3)
    scores = torch.randn(1, 4, 3)
    every = [torch.tensor([labels]) for labels in itertools.product(range(3), repeat=4)]
    total = sum((-crf(scores, labels)).exp() for labels in every)
    torch.testing.assert_close(total, torch.ones(()))


def test_padding_has_no_weight_in_the_pooling() -> None:
    cls = runpy.run_path(str(EXAMPLES / "own_pooling.py"))["TriEmbedWithAttentionPooling"]
    model = cls(make("Model", "alibi").config).eval()
    ids = batch("Model")["input_ids"]
    mask = torch.ones_like(ids)
    padded = torch.nn.functional.pad(ids, (0, 3)), torch.nn.functional.pad(mask, (0, 3))
    torch.testing.assert_close(model.pool(*padded), model.pool(ids, mask), atol=1e-5, rtol=1e-5)
    assert ids.shape == (B, S)
