"""A static model is a loop over tokens: the teacher's vectors of them, PCA, weights; and everyone reads it alike."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from hf_embeddings.embedding import static_table
from hf_embeddings.embedding.static_model import StaticReport, distil_static
from hf_embeddings.publishing.card import write_card
from hf_embeddings.search.encoder import Encoder

ODD = ["", "the cat, the dog.", "  big\nred  cat ", "zzz cat", "zzz", "[SEP] cat", "CAT Dogs"]


@pytest.fixture(scope="module")
def made(model_folder: Path, texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StaticReport]:
    target = tmp_path_factory.mktemp("static") / "table"
    return target, distil_static(model_folder, target, dimension=12, sample=texts, finish=write_card)


def loop(folder: Path, dimension: int, text: str) -> np.ndarray:
    """Return the vector of a text, as the paper and the format say it, one token after the other."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    special = set(tokenizer.all_special_ids)
    ids = [i for i in range(len(tokenizer)) if i not in special]
    rows = []
    with torch.no_grad():
        for i in ids:
            inputs = torch.tensor([[tokenizer.cls_token_id, i, tokenizer.sep_token_id]])
            rows.append(model(inputs).last_hidden_state[0].mean(0).double().numpy())
    centred = np.array(rows) - np.mean(rows, axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:dimension]
    inverse = [1 / (place + 2) for place in range(len(ids))]
    table = {}
    for place, i in enumerate(ids):
        frequency = inverse[place] / sum(inverse)
        table[i] = directions @ centred[place] * 1e-3 / (1e-3 + frequency)
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    total = np.zeros(dimension)
    for i in tokens:
        total += table.get(i, 0)
    return total / max(np.linalg.norm(total), 1e-30)


def test_vectors_equal_a_loop(made: tuple[Path, StaticReport], model_folder: Path, texts: list[str]) -> None:
    """Up to signs of the directions, which leave cosines as they are, and to 8 bits."""
    found = Encoder.load(made[0], precision="fp32").encode(texts[:12])
    expected = np.array([loop(model_folder, 12, text) for text in texts[:12]])
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=0.02)


def test_an_8_bit_table_is_near_the_exact_one() -> None:
    generator = np.random.default_rng(0)
    vectors, ids = generator.normal(size=(40, 16)), np.arange(40)
    frequencies = static_table.zipf_frequencies(ids)
    table = static_table.build_table(vectors, ids, frequencies, size=44, dimension=8)
    exact, _ = static_table.principal_directions(vectors, 8)
    exact = exact * (1e-3 / (1e-3 + frequencies))[:, None]
    error = np.abs(table.vectors()[:40] - exact).max(axis=1) / np.abs(exact).max(axis=1)
    assert error.max() <= 0.5 / 127 + 1e-6 and not table.vectors()[40:].any()


def test_sentence_transformers_reads_the_same(made: tuple[Path, StaticReport], texts: list[str]) -> None:
    theirs = SentenceTransformer(str(made[0]), device="cpu")
    ours = Encoder.load(made[0], precision="fp32")
    np.testing.assert_allclose(ours.encode([*texts, *ODD]), theirs.encode([*texts, *ODD]), atol=1e-6)


def test_model2vec_reads_the_same(made: tuple[Path, StaticReport], texts: list[str]) -> None:
    model2vec = pytest.importorskip("model2vec")
    theirs = model2vec.StaticModel.from_pretrained(made[0], force_download=False)
    ours = Encoder.load(made[0], precision="fp32")
    np.testing.assert_allclose(ours.encode([*texts, *ODD]), theirs.encode([*texts, *ODD]), atol=1e-6)


def test_what_is_said_is_so(made: tuple[Path, StaticReport]) -> None:
    target, report = made
    stored = load_file(target / "model.safetensors")
    assert stored["embeddings"].shape == (report.tokens + 5, report.dimension) and stored["embeddings"].dtype == np.int8
    assert (target / "model.safetensors").stat().st_size == report.bytes
    assert report.agreement is not None and -1 <= report.agreement <= 1
    card = (target / "README.md").read_text()
    assert "distillation" in card and f"{report.agreement:.3f}" in card and "model2vec" in card


def test_counted_frequencies_are_those_of_the_corpus(model_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    ids = static_table.ordinary_ids(tokenizer)
    found = static_table.counted_frequencies(ids, tokenizer, ["the cat the dog", "the"])
    by_token = dict(zip(tokenizer.convert_ids_to_tokens(ids.tolist()), found, strict=True))
    assert by_token["the"] == pytest.approx(3 * by_token["cat"]) and by_token["cat"] == 2 * by_token["king"]
    assert found.sum() == pytest.approx(1)


def test_a_frequent_token_weighs_less(model_folder: Path, tmp_path: Path) -> None:
    distil_static(model_folder, tmp_path / "a", dimension=8, corpus=["cat " * 50 + "dog"], corpus_name="some")
    distil_static(model_folder, tmp_path / "b", dimension=8, corpus=["dog " * 50 + "cat"], corpus_name="some")
    cat = AutoTokenizer.from_pretrained(model_folder).convert_tokens_to_ids("cat")
    scales = [load_file(tmp_path / name / "model.safetensors")["weights"][cat] for name in "ab"]
    assert scales[0] < scales[1] / 2


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"other": np.zeros((3, 2), np.float32)}, "no table"),
        ({"embeddings": np.zeros((3, 2), np.float32), "weights": np.zeros(2, np.float32)}, "2 weights for 3 tokens"),
        ({"embeddings": np.zeros((3, 2), np.float32), "mapping": np.array([0, 5])}, "beyond the 3 rows"),
        ({"embeddings": np.full((50, 2), np.nan, np.float32)}, "NaN"),
    ],
)
def test_a_damaged_table_is_refused(
    tensors: dict[str, np.ndarray], words: str, made: tuple[Path, StaticReport], tmp_path: Path
) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "modules.json"):
        (tmp_path / name).write_bytes((made[0] / name).read_bytes())
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=words):
        Encoder.load(tmp_path)


@pytest.mark.parametrize("dimension", [1, 33])
def test_a_width_that_is_none_is_refused(dimension: int, model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--dimension"):
        distil_static(model_folder, tmp_path / "x", dimension=dimension)
    assert not (tmp_path / "x").exists()


def test_a_vocabulary_with_a_gap_is_refused(model_folder: Path, tmp_path: Path) -> None:
    for path in model_folder.rglob("*"):
        if path.is_file():
            (tmp_path / "in" / path.relative_to(model_folder)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / path.relative_to(model_folder)).write_bytes(path.read_bytes())
    place = tmp_path / "in" / "tokenizer.json"
    values = json.loads(place.read_text())
    del values["model"]["vocab"]["king"]
    place.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="no token with id"):
        distil_static(tmp_path / "in", tmp_path / "out", dimension=8)
