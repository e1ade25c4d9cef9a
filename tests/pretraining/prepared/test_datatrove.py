"""Laws of the datatrove blocks: their executor makes the directory that `prepare` makes, byte by byte."""

import json
from pathlib import Path

import pytest
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import LambdaFilter
from datatrove.pipeline.readers import JsonlReader

from hf_embeddings.pretraining.prepared import plan
from hf_embeddings.pretraining.prepared.datatrove import EncodeShards, FinishShards
from hf_embeddings.pretraining.prepared.writer import plan_corpus
from tests.corpora.mixed_documents import train
from tests.pretraining.prepared.test_prepare import files_of, make, options_for, write_texts


def run(steps: list, logs: Path, tasks: int = 1) -> None:
    """Run a pipeline in this process, task by task; an executor logs what fails, and raises it."""
    LocalPipelineExecutor(steps, tasks=tasks, workers=1, logging_dir=str(logs)).run()


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(plan, "UNIT_BYTES", 10_000)  # files of their own units
    return write_texts(tmp_path / "texts")


@pytest.mark.parametrize("tasks", [1, 3])
def test_an_executor_makes_what_prepare_makes(texts: Path, tmp_path: Path, tasks: int) -> None:
    options = options_for(texts, "corpus.near_duplicates=0.8")
    make(tmp_path / "prepared", options)
    target = tmp_path / "target"
    begun = plan_corpus(options, target, shard_tokens=1500)
    assert len(begun.units) == 4
    run([EncodeShards(target)], tmp_path / "logs" / "encode", tasks)
    run([FinishShards(target)], tmp_path / "logs" / "assemble")
    assert files_of(target) == files_of(tmp_path / "prepared")
    assert not begun.folder.exists() and not begun.work.exists()


def test_documents_may_come_from_readers_and_filters_of_datatrove(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    kept = []
    for number in range(2):
        rows = [{"text": f"The cat {n} adds the dog {number}. Position {n * n} sums.", "id": str(n)} for n in range(40)]
        (folder / f"{number}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        kept += [row["text"] for row in rows if "3" not in row["text"]]
    (tmp_path / "kept.txt").write_text("\n\n".join(kept))
    train(vocab_size=90).save_pretrained(tmp_path / "tokenizer")
    tokenizer = f"tokenizer.path={tmp_path / 'tokenizer'}"
    options = options_for(folder, tokenizer)
    target = tmp_path / "target"
    plan_corpus(options, target, streams=2)
    reader = JsonlReader(str(folder))
    run([reader, LambdaFilter(lambda document: "3" not in document.text), EncodeShards(target)], tmp_path / "logs", 2)
    run([FinishShards(target)], tmp_path / "logs2")
    facts = make(tmp_path / "prepared", options_for(tmp_path / "kept.txt", tokenizer))
    manifest = json.loads((target / "manifest.json").read_text())
    assert manifest["statistics"] == facts.statistics and facts.statistics["documents_read"] == len(kept)
    assert manifest["sources"][0]["training"] == facts.sources[0].training


def test_what_cannot_be_shared_out_is_refused(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file, expected the plan"):
        EncodeShards(tmp_path / "absent").run(None)
    plan_corpus(options_for(texts, "corpus.max_documents=5"), tmp_path / "a")
    with pytest.raises(ValueError, match="corpus.max_documents: counts over all units"):
        EncodeShards(tmp_path / "a").run(None, 0, 2)
    plan_corpus(options_for(texts), tmp_path / "b")
    with pytest.raises(ValueError, match="got documents, expected none"):
        EncodeShards(tmp_path / "b").run(iter([]), 0, 2)
    with pytest.raises(ValueError, match="unit 0 is not encoded yet"):
        FinishShards(tmp_path / "b").run(None)
    with pytest.raises(ValueError, match="streams: expected one corpus.source, and tokenizer.path"):
        plan_corpus(options_for(texts), tmp_path / "c", streams=2)
