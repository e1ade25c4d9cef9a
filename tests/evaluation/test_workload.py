"""The time left of an evaluation is told by what there is to encode; nothing is encoded twice."""

from pathlib import Path

import numpy as np
import pytest
from transformers import BertTokenizer

from hf_embeddings import TriEmbedConfig, TriEmbedModel
from hf_embeddings.evaluation import measures, report
from hf_embeddings.evaluation.evaluation_data import EvaluationData
from hf_embeddings.evaluation.retrieval_set import RetrievalSet
from hf_embeddings.evaluation.test_sets import ScoredPairs
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.evaluation.workload import TEXT, Workload, texts_cost
from hf_embeddings.progress import Phase
from hf_embeddings.search.encoder import Encoder

WORDS = ["cat", "dog", "runs", "sleeps", *"abcdefghij"]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    tokenizer = BertTokenizer(vocab={word: row for row, word in enumerate(vocabulary)})
    sizes = {"vocab_size": len(vocabulary), "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = TriEmbedModel(TriEmbedConfig(**sizes, intermediate_size=8, max_position_embeddings=64))
    return Encoder(model, tokenizer, precision="fp32")


def test_a_text_costs_what_the_model_reads_of_it() -> None:
    assert texts_cost(["", "abcd", "a" * 10_000], max_length=8) == [TEXT, TEXT + 4, TEXT + 32]
    one = RetrievalSet(["a" * 40], ["b" * 40] * 9, [{0: 1.0}], missing=[[]], ignored=[set()])
    assert Workload(100).retrieval(one) == 10 * (TEXT + 40)


def test_each_measure_moves_the_progress_by_its_share(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    places: dict[str, list[float]] = {}
    encoded: list[str] = []

    class Watched(Phase):
        def reach(self, amount: float, note: str = "") -> None:
            super().reach(amount, note)
            places.setdefault(self.label, []).append(self.done / self.total)

    monkeypatch.setattr(report, "Phase", Watched)
    plain = Encoder.encode

    def counted(self: Encoder, texts: list[str], **rest: object) -> np.ndarray:
        encoded.extend(texts)
        return plain(self, texts, **rest)

    monkeypatch.setattr(Encoder, "encode", counted)
    pairs = ScoredPairs(Path("p.tsv"), [(WORDS[n], WORDS[n + 1], n / 9) for n in range(9)])
    long, right = [" ".join([*WORDS[n:], *WORDS] * 2) for n in range(10)] * 4, [{n: 1.0} for n in range(10)]
    texts = RetrievalSet(WORDS[:10], long, right, missing=[[]] * 10, ignored=[set()] * 10)
    data = EvaluationData(similarity={"p": pairs}, retrieval={"r": texts}, sentences=WORDS)
    report.evaluate("m", Vectors(encoder), data)
    flat = [place for label in places for place in places[label]]
    assert flat == sorted(flat) and flat[-1] == pytest.approx(1) and max(places["similarity p"]) < 0.1
    assert max(places["retrieval r"]) - max(places["similarity p"]) > 0.5
    assert encoded.count(long[0]) == 4  # once, though all sizes ask for it again


def test_words_that_are_one_to_the_tokenizer_are_told_in_an_association_test(encoder: Encoder) -> None:
    words = {"first_targets": ["cat", "Cat"], "second_targets": ["a", "b"], "first_attributes": ["c"]}
    (figures, _) = measures.bias(Vectors(encoder), {"t": words | {"second_attributes": ["d"]}}, "s")
    assert figures.note == "cat, Cat stand in more than one place"


def test_vectors_that_are_asked_for_again_are_the_same(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = Vectors(encoder)
    first = vectors.encode(["cat", "dog"])
    assert vectors.encode(["cat", "dog"]) is first and vectors.encode(["dog", "cat"]) is not first
    monkeypatch.setattr("hf_embeddings.evaluation.vectors.MOST_KEPT", 0)
    again = Vectors(vectors.encoder)
    assert again.encode(["cat"]) is not again.encode(["cat"])
    np.testing.assert_array_equal(again.encode(["cat", "dog"]), first)
