"""Laws of debiasing: the direction is gone for every reader, all else stays, and the report says what it cost."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from transformers import BertTokenizer
from typer.testing import CliRunner

from hf_embeddings import TriEmbedConfig, TriEmbedForMaskedLM
from hf_embeddings.analysis.directions import bias_directions, equalized, without
from hf_embeddings.cli.main import app
from hf_embeddings.debiasing.comparison import LIMITS
from hf_embeddings.debiasing.debias import debias
from hf_embeddings.debiasing.pooled import FRAMES
from hf_embeddings.evaluation.evaluation_data import EvaluationData
from hf_embeddings.evaluation.measures import bias, measure_similarity
from hf_embeddings.evaluation.test_sets import ScoredPairs
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.evaluation.weat import SENTENCES
from hf_embeddings.publishing.card import write_card
from hf_embeddings.records.debiasing import DebiasReport
from hf_embeddings.search.encoder import Encoder

PAIRS = [("he", "she"), ("man", "woman"), ("king", "queen")]
OTHERS = "doctor nurse science art career home the word was on page of in book a".split()
MANY = [a + b + c for a in "bcdfg" for b in "aeiou" for c in "lmnr"]  # 100 words that mean nothing
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(word for pair in PAIRS for word in pair), *OTHERS, *MANY, "."]
TEST = {"first_targets": ["doctor", "science"], "second_targets": ["nurse", "art"],
        "first_attributes": ["he", "man"], "second_attributes": ["she", "woman"]}  # fmt: skip
SIMILAR = [("doctor", "nurse", 5.0), ("king", "queen", 4.0), ("art", "home", 1.0), ("book", "page", 3.0)]
DATA = EvaluationData(bias={"a test": {"work": TEST}}, similarity={"pairs": ScoredPairs(Path("pairs"), SIMILAR)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked language model with its tokenizer, and a file of pairs beside it."""
    folder = tmp_path_factory.mktemp("model") / "ours"
    torch.manual_seed(0)
    config = TriEmbedConfig(
        vocab_size=len(TOKENS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=0.2,
    )  # fmt: skip
    TriEmbedForMaskedLM(config).save_pretrained(folder)
    BertTokenizer(vocab={word: row for row, word in enumerate(TOKENS)}).save_pretrained(folder)
    lines = [" ".join(pair) for pair in [*PAIRS, ("prince", "princess")]]
    (folder.parent / "pairs.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pooled(folder: Path) -> tuple[Path, DebiasReport]:
    target = folder.parent / "pooled"
    return target, debias(
        folder, target, [str(folder.parent / "pairs.txt")], of="vectors", data=DATA, finish=write_card
    )


@pytest.fixture(scope="module")
def table(folder: Path) -> tuple[Path, DebiasReport]:
    target = folder.parent / "table"
    pairs = [str(folder.parent / "pairs.txt")]
    return target, debias(folder, target, pairs, of="table", data=DATA, specific=["nurse"], finish=write_card)


def framed(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the pooled vectors of the frames with the words of either side, not scaled."""
    encoder = Encoder.load(folder, precision="fp32", normalize=False)
    return tuple(encoder.encode([f.format(pair[side]) for pair in PAIRS for f in FRAMES]) for side in (0, 1))


def test_pooled_vectors_lose_the_direction_for_every_reader(folder: Path, pooled: tuple[Path, DebiasReport]) -> None:
    target, report = pooled
    first, second = framed(folder)
    (direction,), _ = bias_directions(first, second, 1)
    texts = ["the king was on a page", "she", "doctor"]
    raw = Encoder.load(folder, precision="fp32", normalize=False).encode(texts)
    expected = without(raw, direction[None])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(Encoder.load(target, precision="fp32").encode(texts), expected, atol=1e-5)
    np.testing.assert_allclose(SentenceTransformer(str(target), device="cpu").encode(texts), expected, atol=1e-5)
    assert report.sentences == len(PAIRS) * len(FRAMES) and report.pairs_left_out == ["prince princess"]
    old, new = (load_file(place / "model.safetensors") for place in (folder, target))
    assert old.keys() == new.keys() and all(torch.equal(old[name], new[name]) for name in old)


def test_figures_are_those_that_evaluate_gives(folder: Path, pooled: tuple[Path, DebiasReport]) -> None:
    target, report = pooled
    for place, figures in ((folder, report.before), (target, report.after)):
        vectors = Vectors.load(place)
        assert figures["contextual"].bias == bias(vectors, {"work": TEST}, "a test")
        assert figures["contextual"].similarity["pairs"] == measure_similarity(vectors, DATA.similarity["pairs"])
    assert DebiasReport.from_dict(json.loads((target / "debiasing.json").read_text())) == report
    before, after = (side["contextual"].separation for side in (report.before, report.after))
    assert before is not None and after is not None and before.words == after.words > 40
    assert after.leaning < before.leaning
    card = (target / "README.md").read_text(encoding="utf-8")
    assert LIMITS in card and "sentences (SEAT)" in card and "pairs: Spearman" in card
    assert not set(FRAMES) & set(SENTENCES)  # what is measured on gave no direction


def test_one_direction_after_the_other_is_taken_out(pooled: tuple[Path, DebiasReport]) -> None:
    source, _ = pooled
    (source.parent / "other.txt").write_text("doctor nurse\nscience art", encoding="utf-8")
    twice = source.parent / "twice"
    texts = ["he was a doctor. she was a nurse.", "he was in science"]
    debias(source, twice, [str(source.parent / "other.txt")], of="vectors", data=DATA, texts=texts, text_name="notes")
    names = [module["path"] for module in json.loads((twice / "modules.json").read_text())]
    assert names == ["", "1_Pooling", "2_Dense", "3_Dense", "2_Normalize"]
    ours = Encoder.load(twice, precision="fp32").encode(texts)
    np.testing.assert_allclose(SentenceTransformer(str(twice), device="cpu").encode(texts), ours, atol=1e-5)
    raw = [Encoder.load(place, precision="fp32", normalize=False) for place in (source, twice)]
    pairs = [("he was a doctor.", "he was a nurse."), ("she was a nurse.", "she was a doctor."),
             ("he was in science", "he was in art")]  # fmt: skip
    first, second = (raw[0].encode([pair[side] for pair in pairs]) for side in (0, 1))
    (direction,), _ = bias_directions(first, second, 1)
    for texts_of_a_side in zip(*pairs, strict=True):
        left = raw[1].encode(texts_of_a_side)
        np.testing.assert_allclose(left, without(raw[0].encode(texts_of_a_side), direction[None]), atol=1e-4)


def test_a_table_is_neutralized_and_its_pairs_equalized(folder: Path, table: tuple[Path, DebiasReport]) -> None:
    target, report = table
    models = [TriEmbedForMaskedLM.from_pretrained(place) for place in (folder, target)]
    old, new = (model.get_input_embeddings().weight.detach().double().numpy() for model in models)
    rows = [[TOKENS.index(word) for word in pair] for pair in PAIRS]
    first, second = old[[row[0] for row in rows]], old[[row[1] for row in rows]]
    directions, _ = bias_directions(first, second, 1)
    kept = [*range(5), TOKENS.index("nurse")]
    np.testing.assert_array_equal(new[kept], old[kept])
    neutral = np.setdiff1d(np.arange(len(old)), [*kept, *np.ravel(rows)])
    np.testing.assert_allclose(new[neutral], without(old[neutral], directions), atol=1e-6)
    for side, expected in zip((0, 1), equalized(first, second, directions), strict=True):
        np.testing.assert_allclose(new[[row[side] for row in rows]], expected, atol=1e-6)
    assert (report.rows_neutralized, report.rows_kept, report.pairs_equalized) == (len(neutral), 12, 3)
    assert list(report.before) == ["table", "contextual"]
    assert report.head is not None and report.head.startswith("tied to the table")
    assert models[1].get_output_embeddings().weight is models[1].get_input_embeddings().weight


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--pairs nobody.txt", "nobody.txt: no such file, expected one with pairs of words"),
        ("--pairs chinese-gender", "--pairs: the vocabulary spells no pair, expected some"),
        ("--pairs chinese-gender --of table", "--pairs: none of .* pairs is two tokens of the vocabulary"),
        ("--pairs {pairs} --of table --text pydoc:json", "--of table: got --text, which it does not read"),
        ("--pairs {pairs} --of table --dimensions 9", "9 directions: the pairs differ in 3; ask for fewer"),
        ("--pairs {pairs} --specific {pairs}", "--of vectors: got --specific, which it does not read"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(folder: Path, arguments: str, message: str) -> None:
    target = folder.parent / "refused"
    line = arguments.format(pairs=folder.parent / "pairs.txt").split()
    with pytest.raises(ValueError, match=message):
        CliRunner().invoke(app, ["debias", str(folder), str(target), *line], catch_exceptions=False)
    assert not target.exists()


def test_the_command_says_what_it_did_and_what_it_cost(folder: Path) -> None:
    line = f"debias {folder} {folder.parent / 'said'} --pairs {folder.parent / 'pairs.txt'}"
    said = CliRunner().invoke(app, line.split(), catch_exceptions=False).stdout
    assert "3 pairs; their directions explain" in said
    assert "15 pairs of sentences; a Dense module behind the pooling takes them out" in said
    assert "left out, as their words are unknown to the vocabulary: prince princess" in said
    assert "classifier" in said
    assert "does not prove a model fair" in said
