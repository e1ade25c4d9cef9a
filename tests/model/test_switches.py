"""Laws of the architecture's switches: each is what it says, each matters, each survives a reload."""

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoModelForTokenClassification

from hf_embeddings import (
    TriEmbedForMaskedLM,
    TriEmbedForSequenceClassification,
    TriEmbedForTokenClassification,
    TriEmbedModel,
)
from tests.model.test_modeling_triembed import batch, make

PRE = {"norm_position": "pre"}
SWITCHES = [
    {"embedding_size": 8},
    {"embedding_size": 8, "factorised_embeddings": "token"},
    {"embedding_norm": False},
    {"position_parameters": {"learned": {"offset": 2}}},
    {"norm_type": "rms", "norm_bias": False},
    {"mlp_bias": False},
    {"mlp_bias": False, "mlp_down_bias": True},
    {"head_bias": False},
    {"decoder_bias": False},
    {"prediction_act": "relu"},
    PRE,
    PRE | {"skip_first_norm": True},
    PRE | {"norm_type": "rms", "norm_bias": False, "embedding_norm": False, "feed_forward_type": "gated"},
]


@pytest.mark.parametrize("changes", SWITCHES, ids=str)
def test_a_switch_survives_a_reload(changes: dict, tmp_path) -> None:
    model = make(cls=TriEmbedForMaskedLM, **changes)
    model.save_pretrained(tmp_path)
    again = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    ids, mask = batch()
    with torch.no_grad():
        torch.testing.assert_close(again(ids, mask).logits, model(ids, mask).logits, atol=1e-6, rtol=0)
    assert again.config.to_diff_dict() == model.config.to_diff_dict()


def test_factorised_tables_are_products() -> None:
    """Without a norm between them, table and map are one table of low rank (ALBERT, arXiv 1909.11942, section 3.1)."""
    small = make(cls=TriEmbedModel, embedding_size=8, embedding_norm=False)
    large = make(cls=TriEmbedModel, embedding_norm=False)
    weights = small.state_dict()
    matrix, bias = weights.pop("embeddings.projection.weight"), weights.pop("embeddings.projection.bias")
    for name in ("token", "segment", "position.learned.table"):
        weights[f"embeddings.{name}.weight"] = weights[f"embeddings.{name}.weight"] @ matrix.T
    weights["embeddings.segment.weight"] += bias
    large.load_state_dict(weights)
    ids, mask = batch()
    with torch.no_grad():
        torch.testing.assert_close(
            large(ids, mask).last_hidden_state, small(ids, mask).last_hidden_state, atol=1e-5, rtol=1e-5
        )


def test_a_factorised_token_table_is_a_product() -> None:
    small = make(cls=TriEmbedForMaskedLM, embedding_size=8, factorised_embeddings="token", embedding_scale=True)
    large = make(cls=TriEmbedForMaskedLM, embedding_scale=True, tie_word_embeddings=False)
    weights = small.state_dict()
    up, down = weights.pop("triembed.embeddings.projection.weight"), weights.pop("predictions.projection.weight")
    table = weights["triembed.embeddings.token.weight"]
    weights["triembed.embeddings.token.weight"] = table @ up.T
    weights["predictions.decoder.weight"] = table @ down
    large.load_state_dict(weights)
    ids, mask = batch()
    with torch.no_grad():
        torch.testing.assert_close(large(ids, mask).logits, small(ids, mask).logits, atol=1e-5, rtol=1e-5)


def test_an_offset_only_moves_the_rows() -> None:
    plain, moved = make(cls=TriEmbedModel), make(cls=TriEmbedModel, position_parameters={"learned": {"offset": 3}})
    assert moved.embeddings.position.learned.table.num_embeddings == 43
    weights = plain.state_dict()
    table = weights["embeddings.position.learned.table.weight"]
    weights["embeddings.position.learned.table.weight"] = torch.cat((torch.full((3, 32), 1e3), table))
    moved.load_state_dict(weights)
    ids, mask = batch()
    with torch.no_grad():
        assert torch.equal(moved(ids, mask).last_hidden_state, plain(ids, mask).last_hidden_state)
    with pytest.raises(ValueError, match="41 tokens.*max_position_embeddings 40"):
        moved(torch.ones(1, 41, dtype=torch.long))


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_pooling_does_not_see_padding(pooling: str, tmp_path) -> None:
    changes = {"classifier_pooling": pooling, "pooler_act": "gelu", "pooler_norm": True, "num_labels": 3}
    model = make(cls=TriEmbedForSequenceClassification, **changes)
    model.save_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    ids, mask = batch()
    with torch.no_grad():
        padded = model(ids, attention_mask=mask).logits
        for row, keep in enumerate(mask.bool()):  # padding stands on the right in one row, on the left in another
            torch.testing.assert_close(padded[row], model(ids[row : row + 1, keep]).logits[0], atol=1e-5, rtol=1e-5)
        hidden = model.triembed(ids, attention_mask=mask).last_hidden_state
    first = mask.argmax(-1)
    kept = hidden * mask[..., None]
    states = hidden[torch.arange(3), first] if pooling == "cls" else kept.sum(1) / mask.sum(1, keepdim=True)
    pooler = model.triembed.pooler
    expected = pooler.norm(torch.nn.functional.gelu(pooler.dense(states)))
    torch.testing.assert_close(model.classifier(expected), padded, atol=1e-5, rtol=1e-5)


def test_a_token_transform_stands_before_the_classifier(tmp_path) -> None:
    model = make(cls=TriEmbedForTokenClassification, token_transform=True, pooler_act="gelu", pooler_norm=True)
    model.save_pretrained(tmp_path)
    model = AutoModelForTokenClassification.from_pretrained(tmp_path).eval()
    ids, _ = batch()
    with torch.no_grad():
        hidden = model.triembed(ids).last_hidden_state
        between = model.transform.norm(torch.nn.functional.gelu(model.transform.dense(hidden)))
        torch.testing.assert_close(model(ids).logits, model.classifier(between))
