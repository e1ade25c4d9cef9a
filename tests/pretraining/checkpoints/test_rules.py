"""Laws of resuming: a run goes on with the examples that it would have had, or says that it does not."""

from pathlib import Path

import pytest

from hf_embeddings.files.manifest import write_manifest
from hf_embeddings.pretraining.checkpoints.facts import CheckpointFacts, Identity
from hf_embeddings.pretraining.checkpoints.resume import refuse_changes
from hf_embeddings.pretraining.examples.rules import rules
from hf_embeddings.pretraining.options import ExampleOptions

MLM = ExampleOptions(objectives=["mlm"])


def identity(numbers: dict[str, int]) -> Identity:
    settings = {"examples.max_length": 32} | {f"rules.{name}": number for name, number in numbers.items()}
    return Identity(seed=0, micro_batches_per_step=1, settings=settings, corpus="abc")


def compared(folder: Path, then: dict[str, int], now: dict[str, int], *, allow_changes: bool = False) -> str:
    facts = CheckpointFacts(identity=identity(then), gradient_accumulation_steps=1)
    write_manifest(folder, facts.to_dict(), {})
    return refuse_changes(folder, identity(now), allow_changes=allow_changes)


def test_examples_drawn_by_an_earlier_rule_are_not_resumed_unasked(tmp_path: Path) -> None:
    now = rules(ExampleOptions(masking_unit="word"))
    assert set(now) == {"pairs", "masking"}
    assert compared(tmp_path, now, now) == ""
    with pytest.raises(ValueError, match=r"draws masking and pairs by another rule .*rules\.pairs: 1 -> 2.*start over"):
        compared(tmp_path, {}, now)
    assert "rules.pairs: 1 -> 2" in compared(tmp_path, {}, now, allow_changes=True)


def test_a_run_that_no_rule_concerns_goes_on(tmp_path: Path) -> None:
    assert rules(MLM) == {}
    assert compared(tmp_path, {}, rules(MLM)) == ""
