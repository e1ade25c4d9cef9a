"""Stages: shorter examples and smaller batches at first, each step the same wherever a run comes from."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from hf_embeddings.corpora.options import CorpusOptions
from hf_embeddings.pretraining.examples.chunks import cut_chunks
from hf_embeddings.pretraining.examples.stages import plan_stages
from hf_embeddings.pretraining.options import (
    ExampleOptions,
    ModelOptions,
    PretrainingOptions,
    StageOptions,
    TrainingOptions,
)
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.pretraining.run import pretrain
from hf_embeddings.pretraining.training.micro_batches import MicroBatches
from hf_embeddings.typed_yaml.options_file import dump
from tests.pretraining.numbered_corpus import VOCABULARY, numbered_corpus

PER_STEP = 2
STAGES = [StageOptions(steps=3, max_length=16, tokens_per_step=128), StageOptions(steps=2, max_length=32)]
OPTIONS = PretrainingOptions(
    output_dir="out",
    seed=3,
    model=ModelOptions(base="configs/model/tiny.json"),
    corpus=CorpusOptions(source="texts.txt"),
    examples=ExampleOptions(max_length=64, masking_probability=0.3, final_masking_probability=0.15),
    training=TrainingOptions(max_steps=12, tokens_per_step=512, stages=STAGES),
)


def micro_batches(options: PretrainingOptions = OPTIONS) -> MicroBatches:
    chunks = cut_chunks(numbered_corpus(), max_tokens=options.examples.max_length - 3)
    stages = plan_stages(chunks, options.examples, options.training, seed=options.seed, per_step=PER_STEP)
    return MicroBatches(stages, VOCABULARY, options.examples, per_step=PER_STEP, steps=options.training.max_steps)


def longest(batch: dict[str, torch.Tensor]) -> int:
    return int(batch["position_ids"].max()) + 1


def test_each_step_has_the_length_and_the_batch_of_its_stage() -> None:
    batches = micro_batches()
    for step, tokens, length in [(0, 128, 16), (2, 128, 16), (3, 512, 32), (4, 512, 32), (5, 512, 64), (11, 512, 64)]:
        made = [batches[step * PER_STEP + index] for index in range(PER_STEP)]
        assert sum(batch["input_ids"].numel() for batch in made) == tokens
        assert length / 2 < max(map(longest, made)) <= length


def test_any_step_is_found_without_those_before_it() -> None:
    whole = list(itertools.islice(micro_batches().steps(0, process=0, processes=1, workers=0), 8))
    for first in (1, 3, 4, 6):
        part = itertools.islice(micro_batches().steps(first, process=0, processes=1, workers=0), 8 - first)
        for step, other in zip(whole[first:], part, strict=True):
            for batch, same in zip(step, other, strict=True):
                assert batch.keys() == same.keys() and all(torch.equal(batch[name], same[name]) for name in batch)


def test_the_last_stage_is_a_run_without_stages() -> None:
    """But for the masks, whose share depends on how far the run is."""
    late, alone = micro_batches(), micro_batches(replace(OPTIONS, training=replace(OPTIONS.training, stages=[])))
    for number in range(4):
        with_stages, without = late.samples(5 + number), alone.samples(number)
        assert with_stages["samples"] == without["samples"] and with_stages["epochs"] == without["epochs"]


def test_stages_do_not_begin_with_the_same_samples() -> None:
    same_length = [StageOptions(steps=3, tokens_per_step=256), StageOptions(steps=3, tokens_per_step=256)]
    batches = micro_batches(replace(OPTIONS, training=replace(OPTIONS.training, stages=same_length)))
    first, second, last = (np.concatenate(batches.samples(step)["samples"]) for step in (0, 3, 6))
    assert set(first) != set(second) and not set(first) <= set(last)


def test_the_share_of_masked_tokens_falls_over_the_whole_run() -> None:
    batches = micro_batches()
    shares = [int((batches[n]["labels"] != -100).sum()) / batches[n]["input_ids"].numel() for n in (0, 23)]
    assert shares[0] == pytest.approx(0.3 * 0.8, abs=0.05) and shares[1] < 0.17


@pytest.mark.parametrize(
    "stages, message",
    [
        ("[{steps: 20}]", "stages: last 20 steps, expected fewer than max_steps 12"),
        ("[{steps: 0}]", "steps: got 0"),
        ("[{max_length: 16}]", "got nothing"),
        ("[{steps: 1, length: 16}]", "unknown key"),
        ("[{steps: 1, max_length: 128}]", "stages have max_length 128, expected at most examples.max_length 64"),
    ],
)
def test_mistakes_name_the_place(stages: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(dump(OPTIONS), encoding="utf-8")
    assert load_options(file) == OPTIONS
    with pytest.raises(ValueError) as caught:
        load_options(file, [f"training.stages={stages}"])
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_batch_too_small_for_its_stage_is_refused() -> None:
    small = replace(OPTIONS, training=replace(OPTIONS.training, stages=[StageOptions(steps=1, tokens_per_step=64)]))
    with pytest.raises(ValueError, match="leaves 32 tokens a micro-batch"):
        micro_batches(small)


def test_a_step_that_micro_batches_do_not_divide_is_refused() -> None:
    options = replace(OPTIONS, training=replace(OPTIONS.training, tokens_per_step=513))
    with pytest.raises(ValueError, match="tokens_per_step: got 513 for 2 micro-batches.*write 512"):
        micro_batches(options)


def test_a_run_that_stops_in_a_stage_ends_with_the_same_weights(tmp_path: Path) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)  # of earlier tests in this process
    text = "\n\n".join(f"Text {n} is here. It has a number, {n * n}. Red or blue? The end of {n}." for n in range(80))
    (tmp_path / "texts.txt").write_text(text, encoding="utf-8")
    root = Path(__file__).parents[3]
    (tmp_path / "run.yaml").write_text(dump(OPTIONS), encoding="utf-8")
    overrides = (
        f"corpus.source={tmp_path}/texts.txt model.base={root}/configs/model/tiny.json tokenizer.vocab_size=200 "
        "model.hidden_size=16 model.intermediate_size=16 training.max_steps=7 training.tensorboard=false "
        "checkpoints.save_steps=2 checkpoints.save_total_limit=null"
    ).split()

    def run(name: str, resume: str = "auto") -> bytes:
        options = load_options(tmp_path / "run.yaml", [*overrides, f"output_dir={tmp_path / name}"])
        pretrain(options, base_config=Path(options.model.base), resume=resume)
        return (tmp_path / name / "model.safetensors").read_bytes()

    whole = run("whole")
    for checkpoint in sorted((tmp_path / "whole/checkpoints").iterdir())[:2]:  # in the first stage, and the second
        assert run(f"from-{checkpoint.name}", str(checkpoint)) == whole
