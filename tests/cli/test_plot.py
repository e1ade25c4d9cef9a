"""`hf-embeddings plot ...` on a small model: each picture is written and holds what it should."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from safetensors.numpy import load_file, save_file
from torch.utils.tensorboard import SummaryWriter
from transformers import AutoModel, AutoTokenizer
from typer.testing import CliRunner

from hf_embeddings.cli.main import app
from hf_embeddings.cli.output import picture_path
from hf_embeddings.evaluation.run_checkpoints import checkpoints, word_stages
from hf_embeddings.evaluation.text_probes import probe_attention, probe_sum
from hf_embeddings.evaluation.word_lists import SEED_EXAMPLE, WordList, read_words
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedModel
from hf_embeddings.visualization.colours import DARK
from tests.visualization.test_viewer import data_of, points_of

pytestmark = pytest.mark.filterwarnings("ignore:no font with Chinese", "ignore:Glyph")


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, ["plot", *map(str, arguments)], catch_exceptions=False).stdout


def is_picture(path: str | Path) -> bool:
    return imread(path).std() > 0.02


def groups_of(data: dict, place: int = 0) -> dict[str, list[str]]:
    """The words of each name of a colouring."""
    colouring, words = data["colourings"][place], data["labels"]
    rows = list(zip(colouring["of"], words, strict=True))
    return {name: [word for own, word in rows if own == number] for number, name in enumerate(colouring["names"])}


def page_of(written: dict) -> dict:
    return data_of(Path(written["page"]).read_text(encoding="utf-8"))


def test_the_seeds_examples_are_one_command(tiny_model: Path, tmp_path: Path) -> None:
    written = json.loads(run("words", tiny_model, "--example", "--out", tmp_path / "seed", "--json"))
    assert is_picture(written["picture"])
    assert groups_of(page_of(written)) == {name: words.split() for name, words in SEED_EXAMPLE.items()}


def test_words_of_a_list_by_layer_with_exports(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# animals\nanimals: cat dog tiger\npeople: king queen\nparis\nrome\tcities\n")
    assert read_words(tmp_path / "list.txt") == WordList(
        ["cat", "dog", "tiger", "king", "queen", "paris", "rome"],
        ["animals"] * 3 + ["people"] * 2 + ["words", "cities"],
    )
    written = json.loads(
        run(
            "words", tiny_model, "--file", tmp_path / "list.txt", "--layer", 1, "--dimensions", 3, "--method", "tsne",
            "--out", tmp_path / "deep/words", "--export", "projector", "--export", "parquet", "--json",
        )
    )  # fmt: skip
    assert set(written) == {"picture", "page", "projector", "parquet"}
    assert all(Path(path).exists() for path in written.values())
    assert points_of(page_of(written)).shape == (7, 3)


def test_frequent_tokens_and_sentences_of_a_corpus(tiny_model: Path, tmp_path: Path) -> None:
    text = "\n\n".join(f"the cat {verb} in {place} and the dog {verb} ." for verb in ("runs", "sleeps", "eats")
                       for place in ("paris", "rome", "tokyo", "france", "italy", "japan", "the walk"))  # fmt: skip
    (tmp_path / "corpus.txt").write_text(text)
    options = ("--text", tmp_path / "corpus.txt", "--out", tmp_path / "w.png", "--json")
    written = json.loads(run("words", tiny_model, "--frequent", 5, "--vectors", "table", *options))
    data = page_of(written)
    assert data["labels"][0] == "the" and len(data["labels"]) == 5
    (frequency,) = [one for one in data["colourings"] if one["name"] == "frequency"]
    assert frequency["texts"][0] == "45" and frequency["of"][0] == 1.0  # twice in each of 21 texts, and in "the walk"
    written = json.loads(run("words", tiny_model, "--sentences", 20, *options))
    assert page_of(written)["labels"][0] == "the cat runs in paris and the dog runs ."


def test_colours_show_what_is_asked_for_first(tiny_model: Path, tmp_path: Path) -> None:
    """In the picture, and in the page, which has the others to choose from."""
    rows = ["word group age", "cat animals 3", "dog animals 9", "走 verbs ", "runs verbs 5"]
    (tmp_path / "list.tsv").write_text("\n".join(row.replace(" ", "\t") for row in rows), encoding="utf-8")
    shared = ("words", tiny_model, "--file", tmp_path / "list.tsv", "--out", tmp_path / "w.svg", "--json")
    names = ["group", "script", "tokens", "age"]
    for choice in ("age", "script", "cluster"):
        written = json.loads(run(*shared, "--color-by", choice))
        data = page_of(written)
        assert written["picture"].endswith("w.svg") and data["colourings"][0]["name"] == choice
        assert {one["name"] for one in data["colourings"]} - {"cluster"} <= set(names)
        assert f">{choice}" in Path(written["picture"]).read_text(encoding="utf-8")
    assert data["colourings"][1]["name"] == "group" and groups_of(data, 2)["Chinese characters"] == ["走"]
    matrix, points = points_of(data), [row for name in data["colourings"][0]["names"] for row in groups_of(data)[name]]
    assert matrix.shape == (4, 2) and sorted(points) == sorted(data["labels"])


def test_a_picture_has_the_format_asked_for_by_option_or_suffix(tiny_model: Path, tmp_path: Path) -> None:
    for arguments, start in (
        (["--out", "a", "--format", "svg", "--dark"], b"<?xml"),
        (["--out", "a.pdf"], b"%PDF"),
        (["--out", "a.html"], b"\x89PNG"),
    ):
        arguments[1] = tmp_path / arguments[1]
        content = Path(run("sum", tiny_model, "cat", *arguments).split()[-1]).read_bytes()
        assert content.startswith(start)
        if start == b"<?xml":
            assert b">[CLS]<" in content and DARK.ground.encode() in content
    with pytest.raises(ValueError, match="--format: got png with --out .*a.svg, expected svg"):
        picture_path(tmp_path / "a.svg", "png")


def test_positions_get_two_pictures_each(tiny_model: Path, tmp_path: Path) -> None:
    printed = run("positions", "alibi", tiny_model, "--config", tiny_model, "--length", 16, "--out", tmp_path).split()
    assert [Path(line).name for line in printed] == ["alibi.png", "alibi-heads.png", "tiny.png", "tiny-heads.png"]
    assert all(map(is_picture, printed))


def test_the_sum_is_taken_apart(tiny_model: Path, tmp_path: Path) -> None:
    answer = json.loads(run("sum", tiny_model, "the cat runs.", "猫追狗", "--out", tmp_path / "sum.png", "--json"))
    assert is_picture(answer["picture"]) and answer["tokens"][0] == "[CLS]" and "追" in answer["tokens"]
    assert list(answer["parts"]) == ["token", "position", "segment"]
    shares = sum(np.array(part["share"]) for part in answer["parts"].values())
    np.testing.assert_allclose(shares, 1.0, atol=1e-5)
    probe = probe_sum(str(tiny_model), "the cat", None)
    table = AutoModel.from_pretrained(tiny_model).embeddings.segment.weight[0].detach().norm().item()
    assert probe.parts["segment"].norm == pytest.approx([table] * len(probe.tokens), rel=1e-5)
    assert "share of the sum" in run("sum", tiny_model, "the cat", "--out", tmp_path / "sum.png")
    assert probe.note == "segment 0 for all tokens: there is one text"


def test_what_is_missing_from_a_sum_or_the_same_everywhere_is_explained(tiny_model: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.save_pretrained(tmp_path)
    for position, rows, note in (
        ("rope", 2, "no position in the sum: rope acts in the attention"),
        ("none", 0, "no position in the sum: the model has no positions; no segment in the sum: the model has none"),
        ("learned", 1, "segment 0 for all tokens: the model has no other"),
        ("learned", 2, ""),
    ):
        config = TriEmbedConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
            position_embedding_type=position, type_vocab_size=rows,
        )  # fmt: skip
        TriEmbedModel(config).save_pretrained(tmp_path)
        assert probe_sum(str(tmp_path), "the cat", None if rows == 1 else "the dog").note == note


def test_attention_is_what_the_model_returns(tiny_model: Path, tmp_path: Path) -> None:
    probe = probe_attention(str(tiny_model), "the cat", "the dog")
    weights, tokens = probe.weights, probe.tokens
    assert weights.shape == (2, 4, len(tokens), len(tokens)) and weights.sum(-1) == pytest.approx(1.0, abs=1e-5)
    batch = AutoTokenizer.from_pretrained(tiny_model)("the cat", "the dog", return_tensors="pt")
    model = AutoModel.from_pretrained(tiny_model, attn_implementation="eager")
    with torch.no_grad():
        np.testing.assert_allclose(weights[1], model(**batch, output_attentions=True).attentions[1][0], atol=1e-6)
    for extra in ((), ("--layer", 1), ("--layer", 0, "--head", 2), ("--layer", 0, "--head", "mean")):
        assert is_picture(run("attention", tiny_model, "the cat", "--out", tmp_path / "a", *extra).strip())


def test_a_text_that_is_cut_is_said_to_be(tiny_model: Path, tmp_path: Path) -> None:
    for picture in ("sum", "attention"):
        for text, cut in (("cat " * 100, True), ("cat", False)):
            arguments = ["plot", picture, str(tiny_model), text, "--out", str(tmp_path / "x")]
            error = CliRunner().invoke(app, arguments, catch_exceptions=False).stderr
            assert ("only its first" in error) == cut


@pytest.fixture(scope="module")
def pretraining_run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as `pretrain` leaves it: checkpoints whose spaces drift, the final model, and the logged losses."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    shutil.copytree(tiny_model, folder)
    weights, generator = load_file(folder / "model.safetensors"), np.random.default_rng(0)
    name = next(key for key in weights if key.endswith("embeddings.token.weight"))
    for step in (200, 1000, 30):
        drift = generator.normal(size=weights[name].shape).astype(np.float32) * 10 / step
        (folder / f"checkpoints/step-{step}").mkdir(parents=True)
        save_file(weights | {name: weights[name] + drift}, folder / f"checkpoints/step-{step}/model.safetensors")
    with SummaryWriter(folder / "tensorboard") as writer:
        for step in range(10, 60, 10):
            writer.add_scalar("training/mlm_loss", 5 / step, step)
    return folder


def test_training_shows_every_checkpoint_in_order(pretraining_run: Path, tmp_path: Path) -> None:
    assert list(checkpoints(pretraining_run)) == ["step-30", "step-200", "step-1000", "final"]
    stages = word_stages(pretraining_run, ["cat", "走了"])
    table = AutoModel.from_pretrained(pretraining_run).get_input_embeddings().weight.detach().numpy()
    tokenizer = AutoTokenizer.from_pretrained(pretraining_run)
    rows = tokenizer(["走了"], add_special_tokens=False)["input_ids"][0]
    np.testing.assert_allclose(stages[-1].vectors[1], table[rows].mean(axis=0), atol=1e-6)
    names, cosines = zip(*stages[-1].neighbours[0], strict=True)
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    own = tokenizer.convert_tokens_to_ids("cat")
    expected = [unit[tokenizer.convert_tokens_to_ids(name)] @ unit[own] for name in names]
    assert list(cosines) == pytest.approx(expected, abs=1e-5) and list(cosines) == sorted(cosines, reverse=True)
    assert "cat" not in names
    written = json.loads(run("training", pretraining_run, "--example", "--out", tmp_path / "t", "--json"))
    assert is_picture(written["picture"]) and is_picture(written["change"])
    data = page_of(written)
    assert [stage["name"] for stage in data["stages"]] == [stage.name for stage in stages]
    assert data["stages"][0]["moved"] == ["0 %"] * 16 and "the mean word travelled" in data["note"]


def test_mistakes_name_the_cure(tiny_model: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (["words", tiny_model], "give words, or one of"),
        (["words", tiny_model, "cat", "--example"], "several sources"),
        (["words", tiny_model, "cat", "dog", "zebra", "king"], "zebra: the vocabulary"),
        (["words", tiny_model, "cat", "dog"], "got 2 points"),
        (["words", tiny_model, "cat", "--export", "excel"], "expected projector or parquet"),
        (["words", tmp_path, "cat"], "no config.json"),
        (["words", tiny_model, "cat", "--color-by", "colour"], "expected group, frequency, script"),
        (["words", tiny_model, "cat", "dog", "king", "queen", "--panels", "--color-by", "age"], "a column of --file"),
        (["attention", tiny_model, "cat", "--head", "1"], "without --layer"),
        (["attention", tiny_model, "cat", "--layer", "1", "--head", "all"], "expected a number from 0, or mean"),
        (["attention", tiny_model, "cat", "--layer", "9"], "expected 0 to 1"),
        (["attention", tiny_model, " "], "expected some words"),
        (["sum", tiny_model, ""], "expected some words"),
        (["training", tiny_model, "--example"], "expected at least 2"),
        (["training", tiny_model, "cat"], "expected at least 3"),
    ):
        with pytest.raises(ValueError, match=message):
            run(*arguments, *(["--out", tmp_path / "x"] if arguments[0] != "positions" else []))
    assert not any(path.suffix in (".png", ".html") for path in tmp_path.iterdir())
