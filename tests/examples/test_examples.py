"""Every example runs on real text, prints its metrics, and leaves a checkpoint that loads; on a stock BERT, too."""

import json
import math
import re
import runpy
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch
from datasets import Dataset, DatasetDict
from transformers import AutoModelForSequenceClassification, BertConfig, BertModel, RobertaConfig, RobertaModel

from hf_embeddings import TriEmbedConfig, TriEmbedForMultiTask, TriEmbedForPreTraining, TriEmbedModel
from hf_embeddings.corpora.corpus import load_corpus
from hf_embeddings.corpora.tokenizer_training import train_tokenizer
from hf_embeddings.publishing.card import write_card

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZES = dict(
    vocab_size=320, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
    max_position_embeddings=128,
)  # fmt: skip


@pytest.fixture(scope="module")
def texts() -> dict[str, list[str]]:
    """Docstrings of two packages: real text with a real difference."""
    found = {name: load_corpus(source=f"pydoc:{name}").training for name in ("accelerate", "safetensors")}
    return {name: [" ".join(text.split())[:300] for text in documents][:40] for name, documents in found.items()}


@pytest.fixture(scope="module")
def models(texts, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    tokenizer = train_tokenizer(
        texts["accelerate"], vocab_size=300, lowercase=True, min_frequency=2, max_length=128
    )  # fmt: skip
    torch.manual_seed(0)
    for name, model in (
        ("triembed", TriEmbedForPreTraining(TriEmbedConfig(**SIZES, position_embedding_type="rope"))),
        ("bert", BertModel(BertConfig(**SIZES))),
    ):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return {name: folder / name for name in ("triembed", "bert")}


def rows_of(task: str, texts: dict[str, list[str]]) -> list[dict]:  # noqa: C901  a table
    """Make rows of real text with a label that follows from the text."""
    labelled = [(text, name) for name, documents in texts.items() for text in documents]
    long = [text for text, _ in labelled if len(text.split()) > 12]
    match task:
        case "classes":
            return [{"text": text, "label": name} for text, name in labelled]
        case "pairs":
            return [{"text": text[:80], "other": text[80:], "label": int(len(text) > 200)} for text, _ in labelled]
        case "several":
            words = ("tensor", "file", "model")
            return [{"text": text, "label": [word for word in words if word in text]} for text, _ in labelled]
        case "vectors":
            return [{"text": text, "label": [float("tensor" in text), float("file" in text)]} for text, _ in labelled]
        case "numbers":
            return [{"text": text, "label": len(text.split()) / 50} for text, _ in labelled]
        case "tags":
            return [
                {"tokens": (w := text.split()), "tags": ["B-NAME" if "_" in x else "O" for x in w]} for text in long
            ]
        case "spans":
            return [
                {"question": f"What follows {text.split()[4]}?", "context": text,
                 "answers": {"text": [text.split()[5]], "answer_start": [len(" ".join(text.split()[:5])) + 1]}}
                for text in long
            ]  # fmt: skip
        case "choices":
            return [
                {"text": text[:60], "choices": [text[60:120], long[i - 1][60:120]][:: 1 - 2 * (i % 2)], "label": i % 2}
                for i, text in enumerate(long)
            ]
    raise AssertionError(task)


def run(script: str, monkeypatch, output: Path, *arguments: object) -> dict[str, float]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    options = (
        f"--output_dir {output} --max_steps 3 --per_device_train_batch_size 4 --disable_tqdm True "
        "--dataloader_pin_memory False"
    )
    monkeypatch.setattr(sys, "argv", [script, *options.split(), *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    return json.loads((output / "all_results.json").read_text())


CASES = [
    ("sequence_classification.py", "classes", "eval_accuracy", "triembed"),
    ("sequence_classification.py", "classes", "eval_accuracy", "bert"),
    ("sequence_classification.py", "several", "eval_f1", "triembed"),
    ("sequence_classification.py", "vectors", "eval_f1", "triembed"),
    ("sequence_classification.py", "numbers", "eval_pearson", "triembed"),
    ("token_classification.py", "tags", "eval_f1", "triembed"),
    ("question_answering.py", "spans", "eval_f1", "triembed"),
    ("multiple_choice.py", "choices", "eval_accuracy", "triembed"),
]


@pytest.mark.parametrize("script, task, metric, model", CASES)
def test_example(script, task, metric, model, texts, models, tmp_path, monkeypatch) -> None:
    data = tmp_path / "train.jsonl"
    data.write_text("\n".join(map(json.dumps, rows_of(task, texts))))
    figures = run(script, monkeypatch, tmp_path / "out", "--model", models[model], "--train", data)
    assert -1 <= figures[metric] <= 1 and figures["eval_loss"] > 0
    if model == "triembed":
        assert "eval_" not in str(write_card(tmp_path / "out"))
        card = (tmp_path / "out/README.md").read_text()
        assert f"| {metric.removeprefix('eval_').replace('_', ' ')} | {figures[metric]:.4g}" in card


@pytest.mark.parametrize(
    "rows, names",
    [
        ([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]], [0, 1, 2]),
        ([[1, 0], [0, 1], [1, 1]], [0, 1]),
        ([[True, False], [False, False]], [0, 1]),
        ([[0, 1], [1], []], [0, 1]),  # whole numbers of several lengths are names
        ([["b", "a"], ["a"]], ["a", "b"]),
        ([[3, 7], [7, 3]], [3, 7]),
    ],
)
def test_lists_of_labels_are_vectors_or_names(rows: list, names: list, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from labels import read_labels

    part = Dataset.from_dict({"label": rows})
    found = read_labels(DatasetDict(train=part, test=part), "label", own_test=True)
    assert found.problem == "multi_label_classification" and found.names == names
    vectors = len({len(row) for row in rows}) == 1 and names == [*range(len(rows[0]))]
    for row in rows:
        assert found.encode(row) == ([float(value) for value in row] if vectors else [float(n in row) for n in names])


def labelled(*labels: object) -> list[dict]:
    return [{"text": "a", "label": label} for label in labels]


def tagged(words: list[str], tags: list[str]) -> list[dict]:
    return [{"tokens": words, "tags": tags}] * 9


def spans(text: str, start: int) -> list[dict]:
    return [{"question": "a", "context": "bcd", "answers": {"text": [text], "answer_start": [start]}}] * 9


FAULTY = [
    ("sequence_classification.py", labelled(*"xy"), labelled("z"), "label 'z'"),
    ("sequence_classification.py", labelled(["x"], []), labelled(["y"]), "label 'y'"),
    ("sequence_classification.py", labelled([0.0]), labelled([0.0, 1.0]), "vectors of 1 and of 2 labels"),
    ("sequence_classification.py", [{"text": "a", "labels": 1}] * 9, None, "no column 'label', expected one of text"),
    ("sequence_classification.py", labelled(*[1] * 9, None), labelled(1), "row 10: column 'label' is empty; fill it"),
    ("sequence_classification.py", labelled(*"x" * 9), None, "one label only, 'x'"),
    ("sequence_classification.py", labelled([], []), labelled([]), "empty lists only"),
    (
        "sequence_classification.py",
        labelled([0.2, 0.8], [1.0, 0.0]),
        labelled([0.5, 0.5]),
        "other numbers than 0 and 1",
    ),
    ("sequence_classification.py", labelled("a", 1), labelled("a", 1), "labels of several kinds"),
    ("sequence_classification.py", labelled(0.5, math.nan), labelled(0.5), "row 2: column 'label' is empty"),
    ("multiple_choice.py", [{"text": "a", "choices": ["b"], "label": 0}] * 9, None, "got 1 choices in a row"),
    ("multiple_choice.py", [{"text": "a", "choices": ["b", None], "label": 0}] * 9, None, "none of them null"),
    ("token_classification.py", tagged(["a", "b"], ["O", None]), None, "a word or tag is null"),
    ("token_classification.py", tagged(["a"], ["O"]), None, "one label only, 'O'"),
    ("question_answering.py", spans("b", 1), None, "got 'c' at character 1, expected the answer 'b'"),
    ("question_answering.py", spans("", 1), None, "expected the answer ''"),
    ("token_classification.py", tagged(["a", "b"], ["O"]), None, "got 2 words and 1 tags"),
    ("token_classification.py", tagged(["a"], ["O"]), tagged(["a"], ["B"]), "label 'B'"),
    ("multiple_choice.py", [{"text": "a", "choices": ["b", "c"], "label": 2}] * 9, None, "2 choices with label 2"),
    ("question_answering.py", [{"question": "a", "context": "b", "answers": {"text": [""]}}] * 9, None, "in SQuAD"),
    ("continued_mlm.py", [{"txt": "a"}] * 9, None, "no column 'text', expected one of txt"),
    ("multi_task.py", [], None, "expected NAME=FILE"),
]


@pytest.mark.parametrize("script, train, test, message", FAULTY)
def test_faulty_data_are_one_line_before_work(
    script, train, test, message, models, tmp_path, monkeypatch, capsys
) -> None:
    given = ["--model", models["triembed"]]
    for name, rows in (("train", train), ("test", test)):
        if rows:
            (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
            given += [f"--{name}", tmp_path / f"{name}.jsonl"]
    given += [] if train else ["--tasks", "file.csv"]
    with pytest.raises(SystemExit, match="2"):
        run(script, monkeypatch, tmp_path / "out", *given)
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert message in line and not (tmp_path / "out").exists()


def test_rows_have_the_numbers_of_the_file_also_where_some_are_set_apart(models, tmp_path, monkeypatch, capsys) -> None:
    rows = [*labelled(*"xy" * 15), {"text": None, "label": "x"}, *labelled(*"xy" * 15)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(SystemExit, match="2"):
        given = ["--model", models["triembed"], "--train", tmp_path / "t.jsonl"]
        run("sequence_classification.py", monkeypatch, tmp_path / "out", *given)
    assert "data, row 31: column 'text' is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "given", "message"),
    [
        ("question_answering.py", {}, "--max_length 128: the positions of .*narrow end at 60; choose at most 60"),
        ("continued_mlm.py", {}, "--block_length 128: the positions of .*narrow end at 60"),
        ("multi_task.py", {}, "--max_length 128"),
        ("continued_mlm.py", {"--model": "runs/no"}, "--model runs/no: no such directory"),
        ("continued_mlm.py", {"--block_length": 60, "--train": "data/no"}, "--train data/no: no such file"),
        ("continued_mlm.py", {"--block_length": 60, "--train": "data/no.jsonl"}, "no such file"),
        (
            "continued_mlm.py",
            {"--block_length": 60, "--train": "data/a.tsv"},
            "got another kind of file, expected .csv",
        ),
        (
            "continued_mlm.py",
            {"--block_length": 60, "--train": "a.txt", "--test": "data/no"},
            "--test data/no: no such",
        ),
    ],
)
def test_what_is_not_there_or_too_long_is_told_before_data_are_read(
    script: str, given: dict[str, object], message: str, models, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("runs", "data"):
        Path(name).mkdir()
    for name in ("data/a.tsv", "a.txt"):
        Path(name).write_text("a")
    narrow = RobertaConfig(**SIZES | {"max_position_embeddings": 62})  # of which two rows stand before the first
    RobertaModel(narrow).save_pretrained("narrow")
    base = {"--model": "narrow"} | ({"--tasks": "a=no.csv"} if script == "multi_task.py" else {"--train": "no.csv"})
    with pytest.raises(SystemExit, match="2"):
        run(script, monkeypatch, tmp_path / "out", *chain.from_iterable((base | given).items()))
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize("label", [0.5, ["a"]])
def test_several_tasks_take_classes_only(label: object, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from labels import read_classes

    part = Dataset.from_dict({"label": [label, label]})
    with pytest.raises(ValueError, match="expected one of several classes in each row"):
        read_classes(DatasetDict(train=part, test=part), "label")


def test_rare_labels_in_the_rows_that_are_set_apart_are_outputs(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from data import read_data
    from labels import read_labels

    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps({"text": "a", "label": f"l{n}"}) for n in range(20)))
    data = read_data(str(tmp_path / "t.jsonl"), None, "text", "label")
    assert len(read_labels(data, "label", own_test=False).names) == 20


def test_what_is_learned_and_what_is_lost_is_said(models, tmp_path, monkeypatch, capsys) -> None:
    """Floats are a regression, constant ones have no r; words that are cut off and long answers are counted."""
    for name, script, rows, said in (
        ("floats", "sequence_classification.py", labelled(*[1.0] * 20), "holds floats: a regression"),
        (
            "words",
            "token_classification.py",
            tagged(["tensor", "a", "\u200b"], ["B", "O", "O"]),
            "8 words are left out",
        ),
        ("spans", "question_answering.py", spans("bcd", 0), "train data: 8 answers are longer than a window"),
    ):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        given = ["--model", models["triembed"], "--train", tmp_path / f"{name}.jsonl", "--max_length", 6]
        stride = ["--stride", 0] if name == "spans" else []
        figures = run(script, monkeypatch, tmp_path / name, *given, *stride)
        assert said in capsys.readouterr().out
        assert all(math.isfinite(figure) for figure in figures.values()) and "eval_pearson" not in figures


def test_pairs_smoothing_accumulation_best_checkpoint_and_resume(texts, models, tmp_path, monkeypatch) -> None:
    data = tmp_path / "train.jsonl"
    data.write_text("\n".join(map(json.dumps, rows_of("pairs", texts))))
    options = (
        "--pair other --gradient_accumulation_steps 2 --label_smoothing_factor 0.1 --eval_strategy steps "
        "--eval_steps 1 --save_steps 1 --load_best_model_at_end True --metric_for_best_model accuracy"
    ).split()
    given = ["--model", models["triembed"], "--train", data, *options]
    whole = run("sequence_classification.py", monkeypatch, tmp_path / "whole", *given)
    weights = (tmp_path / "whole/checkpoint-3/model.safetensors").read_bytes()
    cut = tmp_path / "whole/checkpoint-2"
    again = run("sequence_classification.py", monkeypatch, tmp_path / "again", *given, "--resume_from_checkpoint", cut)
    assert (tmp_path / "again/checkpoint-3/model.safetensors").read_bytes() == weights
    assert again["eval_loss"] == pytest.approx(whole["eval_loss"])
    best = json.loads((tmp_path / "whole/checkpoint-3/trainer_state.json").read_text())["best_model_checkpoint"]
    assert (Path(best) / "model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "whole").config.id2label == {0: "0", 1: "1"}


def test_continued_mlm(texts, models, tmp_path, monkeypatch) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(texts["accelerate"]))
    arguments = ["--model", models["triembed"], "--train", tmp_path / "texts.txt", "--block_length", 32]
    figures = run("continued_mlm.py", monkeypatch, tmp_path / "out", *arguments)
    assert figures["eval_perplexity"] == pytest.approx(math.exp(figures["eval_loss"]))
    assert figures["eval_perplexity"] < 400  # 300 pieces and a random model


def test_multi_task_leaves_one_checkpoint_with_a_shared_encoder(texts, models, tmp_path, monkeypatch) -> None:
    tasks = []
    for name, task in (("origin", "classes"), ("length", "pairs")):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows_of(task, texts))))
        tasks.append(f"{name}={tmp_path / name}.jsonl")
    figures = run("multi_task.py", monkeypatch, tmp_path / "out", "--model", models["triembed"], "--tasks", *tasks)
    assert 0 <= figures["eval_origin_accuracy"] <= 1 and 0 <= figures["eval_length_accuracy"] <= 1
    model = TriEmbedForMultiTask.from_pretrained(tmp_path / "out")
    assert set(model.heads) == {"origin", "length"} and model.config.tasks["length"]["labels"] == [0, 1]
    assert TriEmbedModel.from_pretrained(tmp_path / "out").config.position_parts == ("rope",)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 80
