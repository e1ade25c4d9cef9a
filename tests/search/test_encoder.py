"""Vectors are those of sentence-transformers, whatever the order, the batch, the window and the precision."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from hf_embeddings.hardware import bf16_is_fast
from hf_embeddings.search import encoder as encoding
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.precision import PRECISIONS
from hf_embeddings.search.recipe import Recipe


@pytest.fixture(scope="module")
def encoder(model_folder: Path) -> Encoder:
    return Encoder.load(model_folder, precision="fp32")


def test_equals_sentence_transformers(model_folder: Path, encoder: Encoder, texts: list[str]) -> None:
    expected = SentenceTransformer(str(model_folder), device="cpu").encode(texts)
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-5)


def test_other_families_are_encoded_in_padded_batches(tmp_path: Path, model_folder: Path, texts: list[str]) -> None:
    torch.manual_seed(0)
    sizes = {
        "vocab_size": 30,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }
    BertModel(BertConfig(**sizes, max_position_embeddings=64)).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(model_folder).save_pretrained(tmp_path)
    alike = Encoder.load(tmp_path, precision="fp32")
    together = alike.encode(texts)
    alone = np.concatenate([alike.encode([text]) for text in texts[:6]])
    np.testing.assert_allclose(together[:6], alone, atol=1e-5)


def test_order_windows_and_batches_change_nothing(
    encoder: Encoder, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoder.encode(texts)
    np.testing.assert_allclose(encoder.encode(texts[::-1]), whole[::-1], atol=1e-5)
    np.testing.assert_allclose(np.concatenate([encoder.encode([text]) for text in texts]), whole, atol=1e-5)
    monkeypatch.setattr(encoding, "TEXTS_PER_WINDOW", 7)
    monkeypatch.setattr(encoder, "tokens_per_batch", 50)
    done: list[int] = []
    windows = list(encoder.encode_stream(iter(texts), progress=done.append))
    assert [len(window) for window in windows] == [7, 7, 7, 7, 7, 5] and sum(done) == 40
    np.testing.assert_allclose(np.concatenate(windows), whole, atol=1e-5)


@pytest.mark.parametrize("layer", [0, 1, 2, 3, -1, -4])
def test_layers_are_those_of_the_model(model_folder: Path, texts: list[str], layer: int) -> None:
    found = Encoder.load(model_folder, precision="fp32", layer=layer, pooling="cls", normalize=False).encode(texts[:5])
    model, tokenizer = AutoModel.from_pretrained(model_folder).eval(), AutoTokenizer.from_pretrained(model_folder)
    with torch.inference_mode():
        expected = [
            model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[layer][0, 0]
            for text in texts[:5]
        ]
    np.testing.assert_allclose(found, torch.stack(expected), atol=1e-5)


def test_long_texts_are_cut_and_counted(encoder: Encoder, texts: list[str]) -> None:
    before = encoder.truncated
    long = [" ".join(["cat"] * 46), " ".join(["cat"] * 47), " ".join(["cat"] * 400)]
    vectors = encoder.encode(long)  # 48 tokens, of which two are special
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-5)
    assert encoder.truncated - before == 2
    assert encoder.count_tokens(long) == [48, 49, 402]


def test_prompts_stand_before_the_text(model_folder: Path) -> None:
    prompted = Encoder.load(model_folder, prompts={"query": "the big "})
    np.testing.assert_array_equal(prompted.encode(["cat"], prompt="query"), prompted.encode(["the big cat"]))
    np.testing.assert_array_equal(prompted.encode(["cat"], prompt="document"), prompted.encode(["cat"]))
    with pytest.raises(ValueError, match="prompt 'question': expected one of query"):
        prompted.encode(["cat"], prompt="question")


@pytest.mark.precision
@pytest.mark.parametrize("precision", PRECISIONS)
def test_precisions_keep_the_directions(encoder: Encoder, model_folder: Path, texts: list[str], precision: str) -> None:
    found, expected = Encoder.load(model_folder, precision=precision).encode(texts), encoder.encode(texts)
    assert found.dtype == np.float32
    assert (found * expected).sum(1).min() > {"fp32": 0.99999, "bf16": 0.999, "int8": 0.98}[precision]
    if precision != "fp32":
        assert not np.array_equal(found, expected)  # it did change the arithmetic


@pytest.mark.precision
def test_auto_is_a_precision_that_is_fast_here(encoder: Encoder, model_folder: Path, texts: list[str]) -> None:
    found = Encoder.load(model_folder)
    assert found.precision == ("bf16" if bf16_is_fast() else "fp32")
    assert (found.encode(texts) * encoder.encode(texts)).sum(1).min() > 0.999


def test_empty_input(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, 32)
    assert np.isfinite(encoder.encode(["", " "])).all()


def test_mistakes_are_refused(model_folder: Path, encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="got one string, expected a list"):
        encoder.encode("cat")
    with pytest.raises(ValueError, match="precision 'fp4': expected one of auto, fp32, bf16, int8"):
        Encoder.load(model_folder, precision="fp4")
    with pytest.raises(ValueError, match="layer 4: expected -4 to 3"):
        Encoder.load(model_folder, layer=4)
    with pytest.raises(ValueError, match="max_length 65: the model takes 64"):
        Encoder.load(model_folder, max_length=65)
    with pytest.raises(ValueError, match="no fast tokenizer"):
        Encoder(encoder.model, type("Slow", (), {"is_fast": False})(), Recipe())
