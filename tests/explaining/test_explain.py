"""Every figure of an explanation is the model's own, whatever its position type, its heads and its family."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForNextSentencePrediction,
    AutoTokenizer,
    BertForMaskedLM,
    GPT2Config,
    GPT2Model,
)

from hf_embeddings import TriEmbedForMaskedLM, TriEmbedModel
from hf_embeddings.explaining.encoder import load_encoder
from hf_embeddings.explaining.explain import explain
from hf_embeddings.explaining.explanation import Explanation, Prediction
from hf_embeddings.explaining.pieces import MOST_PIECES
from hf_embeddings.model.positions import POSITION_TYPES
from tests.explaining.models import PIECES, SEED, save_model

close = np.testing.assert_allclose


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("explain") / "tiny")


@pytest.fixture(scope="module")
def seed(folder: Path) -> Explanation:
    return explain(load_encoder(folder), SEED)


def read(folder: Path, *texts: str) -> dict[str, torch.Tensor]:
    batch = AutoTokenizer.from_pretrained(folder)(*texts, return_tensors="pt")
    return {name: batch[name] for name in ("input_ids", "token_type_ids")}


def test_one_text_is_one_input_and_two_are_read_apart_and_as_a_pair(folder: Path, seed: Explanation) -> None:
    assert [one.text.texts for one in seed.inputs] == [["猫追狗"], ["狗追猫"], ["猫追狗", "狗追猫"]]
    assert [piece.segment for piece in seed.inputs[2].text.pieces] == [0] * 5 + [1] * 4
    alone = explain(load_encoder(folder), ["the cats, مرحبا"])
    assert alone.order is None and len(alone.inputs) == 1 and alone.inputs[0].follows is None
    labels = [(piece.label, piece.characters, piece.kind) for piece in alone.inputs[0].text.pieces]
    assert labels[2:5] == [("cat", "cat", "word"), ("##s", "s", "word"), ("[UNK]", ",", "unknown")]
    assert [labels[0], labels[-1]] == [("[CLS]", "", "added"), ("[SEP]", "", "added")] and alone.inputs[0].unknown == 2
    assert explain(load_encoder(folder), ["مرح cat"]).inputs[0].text.right_to_left


@torch.no_grad()
def test_the_sum_and_its_exchanges_are_those_of_embedding_parts(folder: Path, seed: Explanation) -> None:
    model, batch, own = TriEmbedModel.from_pretrained(folder).eval(), read(folder, *SEED), seed.inputs[2].sum
    parts = model.embedding_parts(**batch)
    length = batch["input_ids"].shape[1]
    arrays = {name: part[0].expand(length, -1).numpy() for name, part in parts._asdict().items()}
    total = sum(arrays.values())
    assert [one.name for one in own.summands] == list(arrays)
    for one in own.summands:
        close(one.strip, arrays[one.name], rtol=1e-6)
        close(one.norm, np.linalg.norm(arrays[one.name], axis=1), rtol=1e-5)
    close(own.norm, np.linalg.norm(total, axis=1), rtol=1e-5)
    close(sum(one.share for one in own.summands), 1, rtol=1e-6)

    def cosine(first: np.ndarray, second: np.ndarray) -> float:
        return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))

    moved = total[1] - arrays["position"][1] + arrays["position"][3]
    close(
        [own.positions.cosine[1, 3], own.positions.norm[1, 3]],
        [cosine(total[1], moved), np.linalg.norm(moved)],
        rtol=1e-5,
    )
    other = model.embedding_parts(batch["input_ids"], token_type_ids=1 - batch["token_type_ids"])
    turned = sum(part[0].expand(length, -1).numpy() for part in other)
    close(own.segments.cosine[1, 1], cosine(total[1], turned[1]), rtol=1e-5)


@torch.no_grad()
def test_attention_states_and_predictions_are_those_of_the_model(folder: Path, seed: Explanation) -> None:
    model = AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval()
    for texts, own in zip((SEED[:1], SEED[1:], SEED), seed.inputs, strict=True):
        batch = read(folder, *texts)
        outputs = model(**batch, output_hidden_states=True, output_attentions=True)
        close(own.attention.weights, torch.stack(outputs.attentions)[:, 0], atol=1e-6)
        assert own.hidden.points.shape == (3, batch["input_ids"].shape[1], 2) and own.hidden.lens == "head"
        steps = torch.nn.functional.cosine_similarity(outputs.hidden_states[1][0], outputs.hidden_states[2][0])
        close(own.hidden.step[1], steps, atol=1e-5)
        check_words(own.hidden.words[-1][1], outputs.logits[0, 1].softmax(-1))
        check_words(own.hidden.words[0][1], model.predictions(outputs.hidden_states[0])[0, 1].softmax(-1))
        batch["input_ids"][0, 2] = PIECES.index("[MASK]")
        assert isinstance(own.predictions[2], Prediction) and own.predictions[0] is None
        expected = model(**batch).logits[0, 2].softmax(-1)
        check_words(own.predictions[2].words, expected)
        close(own.predictions[2].probability, expected[PIECES.index("追")], rtol=1e-5)
        assert own.predictions[2].rank == 1 + int((expected > expected[PIECES.index("追")]).sum())
    follows = AutoModelForNextSentencePrediction.from_pretrained(folder).eval()(**read(folder, *SEED)).logits
    close(seed.inputs[2].follows, follows.softmax(-1)[0, 0], rtol=1e-5)


def check_words(words: list[tuple[str, float]], expected: torch.Tensor) -> None:
    best = expected[: len(PIECES)].topk(len(words))
    close([value for _, value in words], best.values, rtol=1e-4)
    assert [word for word, _ in words] == [PIECES[row] for row in best.indices]


@pytest.mark.parametrize("name", [*POSITION_TYPES, "learned+alibi"])
@torch.no_grad()
def test_without_positions_a_sentence_equals_its_reversal(name: str, tmp_path: Path) -> None:
    """With any type taken out; and the model is as it was before."""
    loaded = load_encoder(save_model(tmp_path, TriEmbedForMaskedLM, position_embedding_type=name))
    before = loaded.encoder(**read(tmp_path, *SEED)).last_hidden_state
    explained = explain(loaded, SEED)
    assert explained.order and explained.order.same_pieces
    close(explained.order.without, 1, atol=1e-6)
    assert [piece.places for piece in explained.order.pieces] == [(1, 3), (2, 2), (3, 1)]
    assert (explained.order.cosine[-1] < 1 - 1e-6) == (name != "none")
    adds = loaded.encoder.embedding_parts(**read(tmp_path, *SEED)).position is not None
    assert explained.positions.adds_vectors == adds == (explained.inputs[0].sum.positions is not None)
    assert (np.ptp(explained.positions.scores, axis=(1, 2)).max() < 1e-6) == (name == "none")
    torch.testing.assert_close(loaded.encoder(**read(tmp_path, *SEED)).last_hidden_state.float(), before)


@torch.no_grad()
def test_another_family_is_explained_as_convert_would_make_it(tmp_path: Path) -> None:
    folder = save_model(tmp_path, BertForMaskedLM)
    own, batch = explain(load_encoder(folder), SEED[:1]).inputs[0], read(folder, SEED[0])
    outputs = BertForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval()(
        **batch, output_attentions=True
    )
    close(own.attention.weights, torch.stack(outputs.attentions)[:, 0], atol=1e-5)
    check_words(own.hidden.words[-1][1], outputs.logits[0, 1].softmax(-1))


@torch.no_grad()
def test_without_an_mlm_head_words_are_the_nearest_rows_of_the_token_table(tmp_path: Path) -> None:
    folder = save_model(tmp_path, TriEmbedModel, norm_position="pre")
    explained, model = explain(load_encoder(folder), SEED[:1]), TriEmbedModel.from_pretrained(folder).eval()
    own, rows = explained.inputs[0], model.embeddings.token.weight
    assert own.predictions is None and own.hidden.lens == "table" and not explained.model.predicts
    state = model(**read(folder, SEED[0])).last_hidden_state[0, 1]
    check_words(own.hidden.words[-1][1], torch.nn.functional.cosine_similarity(rows, state[None]))


def test_what_cannot_be_explained_is_refused_in_a_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has 32 pieces, expected at most 24, what the model reads; give less"):
        explain(load_encoder(folder), ["cat " * 30])
    roomy = load_encoder(
        save_model(tmp_path, TriEmbedModel, position_embedding_type="rope", max_position_embeddings=200)
    )
    with pytest.raises(ValueError, match=rf"together have 83 pieces, expected at most {MOST_PIECES}, what the page"):
        explain(roomy, ["cat " * 40, "dog " * 40])
    config = GPT2Config(vocab_size=len(PIECES), n_embd=8, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=3)
    GPT2Model(config).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(
        ValueError, match=r"gpt2: model_type 'gpt2': no table for this family; expected one of albert, "
    ):
        load_encoder(tmp_path / "gpt2")
