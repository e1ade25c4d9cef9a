"""The end of a run: what it has written is loaded once before it is called done."""

from pathlib import Path

from hf_embeddings.files.manifest import MANIFEST
from hf_embeddings.pretraining.training import result
from tests.faults.small_run import Run, finish, settings, weights


class Damage:
    """Let the tokenizer be damaged just before the run ends."""

    def __call__(self, rank: int) -> None:
        real = result.carry

        def carry(base: object, folder: Path, beginning: object) -> None:
            real(base, folder, beginning)
            (folder / "tokenizer.json").write_text("{}", encoding="utf-8")

        result.carry = carry


def test_what_does_not_load_is_not_called_done_and_the_next_start_makes_it(tmp_path: Path, reference: str) -> None:
    options = settings(tmp_path / "run", checkpoints__save_steps=8)
    run = Run(options, before=Damage())
    assert run.wait() == 2 and "tokenizer" in run.said().splitlines()[-1], run.said()
    assert not (tmp_path / "run" / MANIFEST).exists()
    assert finish(options) == 0 and weights(tmp_path / "run") == reference
