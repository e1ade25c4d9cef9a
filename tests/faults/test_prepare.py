"""`prepare` killed at any moment, with its worker processes, and started again: the same bytes as undisturbed."""

import multiprocessing
import random
import signal
import time
from pathlib import Path

import pytest

from hf_embeddings.pretraining.prepared import encoding, writer
from tests.faults.small_run import PATIENCE
from tests.pretraining.prepared.test_prepare import files_of, options_for, write_texts

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])


def prepare(texts: Path, target: Path) -> None:
    """Prepare as the command does, in many small shards; workers are forked, for a server would import for seconds."""
    multiprocessing.get_context = lambda method: multiprocessing.context._concrete_contexts["fork"]
    encoding.BATCH_DOCUMENTS = 20
    options = options_for(texts, "corpus.near_duplicates=0.8")
    writer.prepare_corpus(options, target, processes=2, say=lambda line: None, shard_tokens=2000)


def start(texts: Path, target: Path) -> multiprocessing.Process:
    process = SERVER.Process(target=prepare, args=(texts, target))
    process.start()
    return process


def finish(texts: Path, target: Path) -> float:
    """Prepare to the end; return the seconds it took."""
    began = time.monotonic()
    process = start(texts, target)
    process.join(PATIENCE)
    assert process.exitcode == 0
    return time.monotonic() - began


@pytest.mark.faults
def test_f1_prepare_killed_at_random_times(tmp_path: Path, times, figures) -> None:
    choice, texts = random.Random(0), write_texts(tmp_path / "texts", files=6, documents=300)
    finish(texts, tmp_path / "first")  # the server has imported everything then
    seconds = finish(texts, tmp_path / "whole")
    kills = with_shards = targets = 0
    while kills < times(5, 60):
        targets += 1
        target, partial = tmp_path / f"{targets}", tmp_path / f"{targets}.partial"
        for _ in range(5):  # one target in several pieces
            process = start(texts, target)
            process.join(choice.uniform(0, seconds))
            if process.exitcode is not None:
                assert process.exitcode == 0
                break
            process.kill()
            process.join()
            if process.exitcode == 0:  # it was quicker
                break
            kills += 1
            assert process.exitcode == -signal.SIGKILL
            with_shards += bool(list(partial.glob("*.safetensors")))
            assert not target.exists() or files_of(target) == files_of(tmp_path / "whole")
        finish(texts, target)
        assert files_of(target) == files_of(tmp_path / "whole")
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(f"{targets}.")]
    figures("F1 SIGKILL of prepare", kills=kills, with_shards=with_shards, preparations=targets, all_identical=True)
