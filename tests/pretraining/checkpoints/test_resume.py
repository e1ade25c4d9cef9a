"""Laws of resuming: what an earlier version began goes on as it was, and what has changed is told."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hf_embeddings.corpora.options import CorpusOptions, TokenizerOptions
from hf_embeddings.corpora.text_rules import RULES
from hf_embeddings.files.manifest import write_manifest
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.pretraining.checkpoints.facts import CheckpointFacts, text_rules
from hf_embeddings.pretraining.checkpoints.resume import identity, micro_batches_per_step, refuse_changes
from hf_embeddings.pretraining.options import ModelOptions, PretrainingOptions, TrainingOptions
from hf_embeddings.pretraining.prepared.facts import CorpusPlan
from hf_embeddings.pretraining.prepared.plan import new_plan
from hf_embeddings.typed_yaml.fields import to_dict

OPTIONS = PretrainingOptions(output_dir="x", model=ModelOptions(base="x"), corpus=CorpusOptions(source="x"))


def known(options: PretrainingOptions = OPTIONS):
    return identity(options, TriEmbedConfig(), corpus="c", micro_batches=1, precision="no", rules={})


def checkpoint(folder: Path, *, without: str = "", rules: int | None = RULES) -> Path:
    """Write the manifest of a checkpoint, of a version that did not have some option."""
    facts = CheckpointFacts(identity=known(), gradient_accumulation_steps=1, text_rules=rules).to_dict()
    facts["identity"].pop(without, None)
    folder.mkdir()
    write_manifest(folder, json.loads(json.dumps(facts)), {})
    return folder


def test_an_option_that_came_later_had_its_default(tmp_path: Path) -> None:
    old = checkpoint(tmp_path / "old", without="tokenizer.strip_accents")
    assert refuse_changes(old, known(), allow_changes=False) == ""
    changed = replace(OPTIONS, tokenizer=TokenizerOptions(strip_accents=True))
    with pytest.raises(ValueError, match="strip_accents: false -> true"):
        refuse_changes(old, known(changed), allow_changes=False)


def test_a_checkpoint_of_an_earlier_version_keeps_its_micro_batches(tmp_path: Path) -> None:
    """It counted those of a process; files that still do may name another number of processes."""
    old = checkpoint(tmp_path / "old", without="training.phases")
    for training in (TrainingOptions(), TrainingOptions(gradient_accumulation_steps=1)):
        assert micro_batches_per_step(old, training, 1, max_length=128) == 1
        with pytest.raises(ValueError, match="2 processes cannot share 1 micro-batches per step of .*start over with"):
            micro_batches_per_step(old, training, 2, max_length=128)
    assert refuse_changes(old, known(), allow_changes=False) == ""


def test_a_checkpoint_keeps_its_rules_of_encoding(tmp_path: Path) -> None:
    assert text_rules(None) == text_rules(checkpoint(tmp_path / "new")) == RULES
    assert text_rules(checkpoint(tmp_path / "old", rules=None)) == 1


def test_a_plan_of_an_earlier_version_is_that_of_the_same_options() -> None:
    corpus = CorpusOptions(source="pydoc:filelock")
    plan = new_plan(corpus, max_length=8, tokenizer=to_dict(TokenizerOptions()), shard_tokens=8, rules=1)
    values = json.loads(json.dumps(plan.to_dict()))
    del values["corpus"]["sentences"], values["tokenizer"]["strip_accents"]
    for renamed in ({}, {"sentence_ends": "auto"}):
        earlier = values | {"corpus": values["corpus"] | renamed}
        assert CorpusPlan.from_dict(earlier) == plan and values["format"] == 1
