"""Laws of a run: what it leaves loads everywhere, says what is true, and is the same however often it was stopped."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from sentence_transformers import SentenceTransformer

from hf_embeddings.embedding import trainer as trainer_module
from hf_embeddings.embedding.run import Outcome
from hf_embeddings.pretraining.checkpoints.verification import verify_run
from hf_embeddings.publishing.card import write_card
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.uploads.listing import list_uploads
from tests.embedding.small import PAIRS, WORDS, command, run, small_options, write_rows

TEXTS = ["the answer is on the next page .", "today"]
NO_ROWS = "data.columns=[query,answer]"  # a column that is not there: what is refused before the rows is refused first
UNLABELLED = ("loss.symmetric=false", "encoder.dropout=0.1")


@pytest.mark.parametrize(
    "changes",
    [
        ("loss.matryoshka=[8]", "prompts.query='the page '"),
        ("loss.name=cached_multiple_negatives", "loss.symmetric=false", "loss.hard_negatives=2"),
        ("loss.name=simcse", *UNLABELLED),
        ("loss.name=tsdae", *UNLABELLED),
    ],
    ids=["multiple_negatives", "cached", "simcse", "tsdae"],
)
def test_what_a_run_leaves_loads_and_says_what_was_measured(changes: tuple[str, ...], tmp_path, capfd) -> None:
    small_options(tmp_path)
    capfd.readouterr()
    outcome = run(tmp_path, *changes, finish=write_card)
    assert "%|" not in capfd.readouterr().err  # a bar of another library's
    folder = tmp_path / "out"
    ours, theirs = Encoder.load(folder, precision="fp32"), SentenceTransformer(str(folder), device="cpu")
    prompt = "query" if "prompts" in changes[-1] else None
    np.testing.assert_allclose(ours.encode(TEXTS, prompt=prompt), theirs.encode(TEXTS, prompt_name=prompt), atol=1e-5)
    before = Encoder.load(tmp_path / "base", precision="fp32", max_length=16).encode(TEXTS)
    assert np.abs(before - ours.encode(TEXTS)).max() > 1e-4
    assert outcome.figures and outcome.figures.after and outcome.figures.after.ranking
    card = ModelCard.load(folder / "README.md")
    measured = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert measured == {"ndcg_at_10": round(outcome.figures.after.ranking.ndcg[10], 4)}
    assert card.data.license is None  # the base's own: its card says none
    assert outcome.figures.loss in card.data.tags and "trained for embeddings of texts from `base`" in card.text
    assert not any(verify_run(folder).values())
    assert {"embedding.yaml", "embedding.json", "1_Pooling/config.json"} <= set(list_uploads(folder).files)


def test_the_result_loads_without_this_package(tmp_path) -> None:
    run(tmp_path, "training.max_steps=2")
    program = (
        "import sys; from sentence_transformers import SentenceTransformer\n"
        f"model = SentenceTransformer({str(tmp_path / 'out')!r}, trust_remote_code=True, device='cpu')\n"
        f"print(model.encode({TEXTS!r}).tolist()); assert 'hf_embeddings' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    found = np.array(json.loads(done.stdout.splitlines()[-1]))
    np.testing.assert_allclose(found, Encoder.load(tmp_path / "out", precision="fp32").encode(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("loss.name=simcse", *UNLABELLED),
        ("loss.name=tsdae", *UNLABELLED),
        ("training.max_steps=null", "training.epochs=2", "training.batch_size=64", "data.evaluation_fraction=0.4"),
    ],
    ids=["pairs", "dropout", "decoder", "two passes"],
)
def test_a_run_that_was_killed_ends_with_the_same_bits(changes: tuple[str, ...], tmp_path, monkeypatch) -> None:
    steps = ("checkpoints.save_steps=1",)
    whole = run(tmp_path, *changes, *steps)
    weights = (tmp_path / "out/model.safetensors").read_bytes()
    killed = (*changes, *steps, f"output_dir={tmp_path / 'killed'}")
    step_end = trainer_module.Reporting.on_step_end

    def kill(self, args, state, control, **rest) -> None:
        step_end(self, args, state, control, **rest)
        if state.global_step == 3:
            raise SystemExit(9)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(trainer_module.Reporting, "on_step_end", kill)
        run(tmp_path, *killed)
    again = run(tmp_path, *killed)
    assert again.state == "done" and again.step == whole.step > 3
    assert (tmp_path / "killed/model.safetensors").read_bytes() == weights
    assert again.figures.after == whole.figures.after
    assert run(tmp_path, *killed) == again  # complete: nothing is done again


def test_a_signal_stops_at_a_step_and_the_rest_is_exact(tmp_path, monkeypatch) -> None:
    run(tmp_path)
    weights = (tmp_path / "out/model.safetensors").read_bytes()
    step_end = trainer_module.Reporting.on_step_end

    def interrupt(self, args, state, control, **rest) -> None:
        if state.global_step == 1:
            signal.raise_signal(signal.SIGINT)
        step_end(self, args, state, control, **rest)

    stopped = (f"output_dir={tmp_path / 'stopped'}",)
    with monkeypatch.context() as patch:
        patch.setattr(trainer_module.Reporting, "on_step_end", interrupt)
        assert run(tmp_path, *stopped) == Outcome("preempted", str(tmp_path / "stopped"), 1, None)
    run(tmp_path, *stopped)
    assert (tmp_path / "stopped/model.safetensors").read_bytes() == weights


def test_changed_options_and_rows_are_refused_until_they_are_allowed(tmp_path) -> None:
    run(tmp_path, "training.max_steps=2")
    with pytest.raises(ValueError, match="training.learning_rate 0.001 -> 0.01"):
        run(tmp_path, "training.max_steps=2", "training.learning_rate=0.01")
    with pytest.raises(ValueError, match="rows "):
        run(tmp_path, "training.max_steps=2", "data.evaluation_fraction=0.3")
    assert run(tmp_path, "training.learning_rate=0.01", allow_changes=True).step == 4
    with pytest.raises(ValueError, match="holds a run"):
        run(tmp_path, resume="never")
    assert run(tmp_path, "training.learning_rate=0.1", overwrite=True).step == 4


def test_scored_pairs_are_judged_by_the_order_of_scores(tmp_path) -> None:
    rows = [{"query": q, "text": t, "score": sum(map(WORDS.index, q.split()))} for q, t in PAIRS]
    source = write_rows(tmp_path / "scored.jsonl", rows)
    scored = ("data.score_column=score", "loss.name=cosent", "loss.symmetric=false", f"data.source={source}")
    outcome = run(tmp_path, *scored, finish=write_card)
    figures = outcome.figures.after
    assert figures.ranking is None and -1 <= figures.spearman <= 1
    assert f"{figures.spearman:.3f}" in (tmp_path / "out/README.md").read_text()


def test_triplets_and_other_files_are_read(tmp_path) -> None:
    import pyarrow.parquet
    from pyarrow import Table

    columns = {"query": [], "text": [], "wrong": []}
    for (query, text), (_, wrong) in zip(PAIRS, PAIRS[1:] + PAIRS[:1], strict=True):
        columns["query"].append(query), columns["text"].append(text), columns["wrong"].append(f"on {wrong}")
    path = tmp_path / "triplets.parquet"
    pyarrow.parquet.write_table(Table.from_pydict(columns), path)
    changes = (f"data.source={path}", "data.columns=[query,text,wrong]", "training.max_steps=2")
    figures = run(tmp_path, *changes).figures
    assert figures.after.ranking.candidates == 2 * figures.after.ranking.queries  # wrong texts are candidates, too


def test_texts_alone_train_and_nothing_is_said_of_their_worth(tmp_path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(text for _, text in PAIRS))
    changes = (f"data.source={path}", "data.columns=[text]", "loss.name=simcse", *UNLABELLED)
    outcome = run(tmp_path, *changes, finish=write_card)
    assert outcome.figures.after is None and outcome.figures.worth is None
    assert "Not measured" in (tmp_path / "out/README.md").read_text()


def test_the_license_is_that_of_the_encoder_it_began_with(tmp_path) -> None:
    small_options(tmp_path)
    (tmp_path / "base/README.md").write_text("---\nlicense: mit\n---\n")
    run(tmp_path, "training.max_steps=2", finish=write_card)
    assert ModelCard.load(tmp_path / "out/README.md").data.license == "mit"


@pytest.mark.parametrize(
    "changes, words",
    [
        (("loss.name=cosent", "loss.symmetric=false"), "loss: got 'cosent' without data.score_column"),
        (("data.columns=[query]",), "data: got one column for the loss"),
        (("data.columns=[query,answer]",), "got the columns 'text', 'query', expected 'answer'"),
        (("encoder.base=nowhere",), "no such directory"),
        (("data.source=nowhere.jsonl",), "cannot be read"),
        (("loss.name=simcs",), "did you mean simcse"),
        (("data.evaluation_fraction=0.01",), "expected at least 10"),
        (("encoder.max_length=4000", NO_ROWS), "encoder.max_length: got 4000, the model takes"),
        (("loss.matryoshka=[9999]", NO_ROWS), "loss.matryoshka: got 9999, the vectors have"),
        (("loss.name=simcse", "loss.symmetric=false", "encoder.dropout=0", NO_ROWS), "encoder.dropout: got 0"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(changes: tuple[str, ...], words: str, tmp_path) -> None:
    with pytest.raises(ValueError, match=words):
        command(tmp_path, *changes)
    assert not Path(tmp_path / "out").exists()
