"""Phases of a prepared corpus: the examples of the corpus in memory, whatever lengths and weights they have."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hf_embeddings.pretraining.examples.training_phases import plan_phases
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.training.micro_batches import MicroBatches
from tests.pretraining.prepared.test_prepare import data_of, from_target, make, options_for, write_texts


def steps_of(options: PretrainingOptions) -> list[dict[str, torch.Tensor]]:
    data = data_of(options)
    phases = plan_phases(data.training, options.examples, options.training, seed=0, per_step=2)
    batches = MicroBatches(phases, data.vocabulary, options.examples, per_step=2)
    return [batches[number] for number in range(2 * options.training.total_steps)]


def test_phases_of_a_prepared_corpus_are_those_of_the_corpus_in_memory(tmp_path: Path) -> None:
    texts = [write_texts(tmp_path / name, files=1, seed=seed) for seed, name in enumerate("ab")]
    sources = ", ".join(f"{{source: {path}}}" for path in texts)
    phases = f"{{steps: 2, max_length: 16}}, {{steps: 2, weights: {{{texts[0]}: 0, {texts[1]}: 2}}}}, {{steps: 2}}"
    given = [f"corpus.sources=[{sources}]", f"training.phases=[{phases}]", "training.max_steps=null"]
    options = options_for(None, *given, "training.max_hours=null", "training.tokens_per_step=256")
    make(tmp_path / "target", options)
    prepared = from_target(options, tmp_path / "target")
    for ours, theirs in zip(steps_of(options), steps_of(prepared), strict=True):
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    unknown = replace(options.training.phases[1], weights={"elsewhere": 2.0})
    training = replace(options.training, phases=[unknown], max_steps=None)
    with pytest.raises(ValueError, match="weights for the source 'elsewhere', expected .*/a', .*/b'; write a"):
        steps_of(replace(prepared, training=training))
