"""Sentences of a row, for position types of two levels: alike alone, padded and packed, whatever padding holds."""

import pytest
import torch

from hf_embeddings import TriEmbedConfig, TriEmbedModel

STOPS = [7, 9]
DOCUMENTS = [[3, 4, 7, 5, 6, 7, 8], [7], [4, 9, 9, 3], [5, 6, 7, 3, 4, 9, 2, 2, 7, 6]]


@pytest.fixture(scope="module")
def model() -> TriEmbedModel:
    torch.manual_seed(0)
    config = TriEmbedConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, position_embedding_type="bipe", position_parameters={"bipe": {"separators": STOPS}},
    )  # fmt: skip
    model = TriEmbedModel(config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def states(model: TriEmbedModel, **inputs) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs).last_hidden_state


@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
@pytest.mark.parametrize("padding_free", [True, False])
def test_sentences_are_the_same_alone_padded_and_packed(model: TriEmbedModel, kernel: str, padding_free: bool) -> None:
    model.set_attn_implementation(kernel)
    model.config.padding_free = padding_free
    alone = [states(model, input_ids=torch.tensor([ids]))[0] for ids in DOCUMENTS]
    bounds = torch.tensor([0, *(len(ids) for ids in DOCUMENTS)]).cumsum(0)
    packed = states(model, input_ids=torch.tensor([sum(DOCUMENTS, [])]), cu_seq_lens_q=bounds)[0]
    torch.testing.assert_close(packed, torch.cat(alone), atol=1e-12, rtol=0)
    for gaps in ([], [0, 0, 0], [0, 2, 3]):  # padding to the right, to the left, and between tokens
        rows, masks = [], []
        for ids in DOCUMENTS:
            row, mask = list(ids), [1] * len(ids)
            for place in gaps:  # separators stand in the padding too
                row.insert(min(place, len(row)), 7)
                mask.insert(min(place, len(mask)), 0)
            rows.append(row + [9] * (16 - len(row)))
            masks.append(mask + [0] * (16 - len(mask)))
        found = states(model, input_ids=torch.tensor(rows), attention_mask=torch.tensor(masks))
        for row, mask, expected in zip(found, torch.tensor(masks), alone, strict=True):
            if gaps != [0, 2, 3]:
                torch.testing.assert_close(row[mask == 1], expected, atol=1e-12, rtol=0)
    model.config.padding_free = not padding_free
    again = states(model, input_ids=torch.tensor(rows), attention_mask=torch.tensor(masks))
    torch.testing.assert_close(again, found, atol=1e-12, rtol=0)  # with gaps: padding is passed over alike


def test_a_segment_begins_a_sentence(model: TriEmbedModel) -> None:
    plain, segments = torch.tensor([[3, 4, 5, 6]]), torch.tensor([[0, 0, 1, 1]])
    with torch.no_grad():
        position = model.embedding_parts(plain, token_type_ids=segments).position[0]
    assert torch.equal(position, model.embeddings.position["bipe"].table.weight[[0, 1, 0, 1]])


def test_words_alone_hold_no_separators(model: TriEmbedModel) -> None:
    with pytest.raises(ValueError, match="finds sentences by their separators; give input_ids"):
        model(inputs_embeds=torch.zeros(1, 3, 16, dtype=torch.float64))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"position_parameters": {"bipe": {"separators": [99]}}}, "expected token ids below vocab_size 20"),
        ({"position_parameters": {"bipe": {"separators": "."}}}, "expected token ids below vocab_size 20"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "depends on the number of tokens"),
        ({"position_embedding_type": "dual_triangle", "num_attention_heads": 3}, "choose an even number"),
    ],
)
def test_contradictions_are_refused(changes: dict, message: str) -> None:
    fields = {"vocab_size": 20, "hidden_size": 12, "num_attention_heads": 2, "position_embedding_type": "bipe"}
    with pytest.raises(ValueError, match=message):
        TriEmbedConfig(**fields | changes)
