"""Vectors are those of sentence-transformers, whatever the order, the batch, the window and the precision."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import SentenceTransformer
from tokenizers.processors import TemplateProcessing
from transformers import AutoModel, AutoTokenizer

from hf_embeddings.hardware import bf16_is_fast
from hf_embeddings.search import encoder as encoding
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.precision import PRECISIONS
from hf_embeddings.search.recipe import Recipe
from hf_embeddings.search.text_model import check_ids


@pytest.fixture(scope="module")
def encoder(model_folder: Path) -> Encoder:
    return Encoder.load(model_folder, precision="fp32")


def test_equals_sentence_transformers(model_folder: Path, encoder: Encoder, texts: list[str]) -> None:
    expected = SentenceTransformer(str(model_folder), device="cpu").encode(texts)
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-5)


SIZES = dict(vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
PLAIN = dict(max_position_embeddings=48, pad_token_id=0, **SIZES)
ROBERTA = dict(max_position_embeddings=48, pad_token_id=1, **SIZES)  # the first two rows are never used
FAMILIES = {
    "Bert": PLAIN,
    "DistilBert": dict(vocab_size=30, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=48),
    "Roberta": ROBERTA,
    "MPNet": ROBERTA,
    "Electra": PLAIN | {"embedding_size": 16},
    "DebertaV2": PLAIN,
    "ModernBert": PLAIN | {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3},
    "MobileBert": PLAIN | {"embedding_size": 16, "intra_bottleneck_size": 16},  # mixes padding into the last tokens
    "Funnel": dict(vocab_size=30, d_model=32, n_head=4, d_head=8, d_inner=64, block_sizes=[1, 1]),  # divides rows
    "FNet": {name: value for name, value in PLAIN.items() if name != "num_attention_heads"},  # reads no mask
    "XLNet": dict(vocab_size=30, d_model=32, n_layer=2, n_head=4, d_inner=64),  # states no length
}


@pytest.fixture
def stock(tmp_path: Path, model_folder: Path):
    """Return what saves a random model of a family of transformers, with a tokenizer that knows no limit."""

    def make(family: str, **changes: object) -> Path:
        torch.manual_seed(0)
        config = getattr(transformers, f"{family}Config")(**FAMILIES.get(family, {}) | changes)
        getattr(transformers, f"{family}Model")(config).save_pretrained(tmp_path)
        AutoTokenizer.from_pretrained(model_folder, model_max_length=int(1e30)).save_pretrained(tmp_path)
        return tmp_path

    return make


@pytest.mark.parametrize("family", FAMILIES)
def test_other_families_give_the_states_of_each_text_alone(family: str, stock, texts: list[str]) -> None:
    folder = stock(family)
    encoder, longest = Encoder.load(folder, precision="fp32"), " ".join(["cat", "dog"] * 40)
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    chosen = [*texts[::4], longest]
    for text, vector in zip(chosen, encoder.encode(chosen), strict=True):
        ids = tokenizer(text, return_tensors="pt", truncation=True, max_length=encoder.max_length)["input_ids"]
        with torch.inference_mode():
            expected = model(ids).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(vector, expected / expected.norm(), atol=1e-5)
    limits = {"Roberta": 46, "MPNet": 46, "Funnel": 8192, "XLNet": 8192}
    assert encoder.max_length == limits.get(family, 48)


def test_a_stated_length_is_cut_to_what_a_table_takes(stock) -> None:
    folder = stock("Roberta")
    for name in ("Transformer", "Pooling"):
        (folder / f"1_{name}").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"embedding_dimension": 32}')
    types = [f"sentence_transformers.models.{name}" for name in ("Transformer", "Pooling")]
    (folder / "modules.json").write_text(
        json.dumps([{"type": t, "path": "1_Pooling" * i} for i, t in enumerate(types)])
    )
    (folder / "sentence_roberta_config.json").write_text(json.dumps({"max_seq_length": 48}))
    encoder = Encoder.load(folder, precision="fp32")
    assert encoder.max_length == encoder.recipe.max_length == 46
    assert np.isfinite(encoder.encode([" ".join(["cat"] * 99)])).all()


def test_what_is_no_encoder_is_refused_before_work(stock) -> None:
    sizes = {"d_model": 32, "num_layers": 1, "num_heads": 4, "d_kv": 8, "d_ff": 32, "vocab_size": 30}
    with pytest.raises(ValueError, match="T5Model is no encoder of token ids"):
        Encoder.load(stock("T5", **sizes))
    with pytest.raises(ValueError, match="ViTModel is no encoder of token ids"):
        Encoder.load(stock("ViT", **SIZES | {"image_size": 8, "patch_size": 4}))


@pytest.mark.parametrize("layers, state", [(3, "missing, and would be random"), (1, "left over, and would be dropped")])
def test_weights_that_do_not_fit_are_refused_in_any_family(stock, layers: int, state: str) -> None:
    folder = stock("Bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layers}))
    with pytest.raises(ValueError, match=f"weights of BertModel are {state} .*encoder.layer.{layers - layers // 3}"):
        Encoder.load(folder)


def test_a_tokenizer_with_several_segments_in_a_text_is_refused(stock) -> None:
    folder = stock("XLNet")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("$0 [SEP] [CLS]:2", special_tokens=special)
    with pytest.raises(ValueError, match="puts one text into the segments 0, 2"):
        Encoder(AutoModel.from_pretrained(folder), tokenizer)


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


def test_an_id_without_a_row_is_named(encoder: Encoder) -> None:
    rows = encoder.model.config.vocab_size
    check_ids(encoder.model, encoder.tokenizer, torch.arange(rows))
    with pytest.raises(ValueError, match=f"with id {rows}, expected ids below {rows}, the rows of its token table"):
        check_ids(encoder.model, encoder.tokenizer, torch.tensor([rows]))


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
    with pytest.raises(ValueError, match="dimension 33: the vectors have 32"):
        Encoder.load(model_folder, dimension=33)
    with pytest.raises(ValueError, match="no fast tokenizer"):
        Encoder(encoder.model, type("Slow", (), {"is_fast": False})(), Recipe())
