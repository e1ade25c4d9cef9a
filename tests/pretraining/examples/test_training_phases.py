"""Phases: examples, batches and masks that change on the way, each step the same wherever a run comes from."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from hf_embeddings.corpora.options import CorpusOptions, SourceOptions
from hf_embeddings.pretraining.examples.chunks import Chunks, cut_chunks
from hf_embeddings.pretraining.examples.training_phases import phase_at, plan_phases
from hf_embeddings.pretraining.options import ExampleOptions, ModelOptions, PretrainingOptions, TrainingOptions
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.pretraining.phase_options import PhaseOptions, StageOptions
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
    phases = plan_phases(chunks, options.examples, options.training, seed=options.seed, per_step=PER_STEP)
    return MicroBatches(phases, VOCABULARY, options.examples, per_step=PER_STEP)


def of_phases(*given: PhaseOptions, chunks: Chunks | None = None, **examples: object) -> MicroBatches:
    training = TrainingOptions(tokens_per_step=512, phases=list(given))
    own = ExampleOptions(max_length=64, **examples)
    chunks = chunks or cut_chunks(numbered_corpus(), max_tokens=61)
    return MicroBatches(
        plan_phases(chunks, own, training, seed=3, per_step=PER_STEP), VOCABULARY, own, per_step=PER_STEP
    )


def same(one: list[dict[str, torch.Tensor]], other: list[dict[str, torch.Tensor]]) -> bool:
    return all(
        a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a) for a, b in zip(one, other, strict=True)
    )


def step_of(batches: MicroBatches, step: int) -> list[dict[str, torch.Tensor]]:
    return [batches[step * PER_STEP + index] for index in range(PER_STEP)]


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


def test_stages_are_phases_that_take_the_rest_for_the_last() -> None:
    parts = OPTIONS.training.parts()
    assert [(phase.steps, phase.max_length, phase.tokens_per_step) for phase in parts] == [
        (3, 16, 128),
        (2, 32, 512),
        (7, None, 512),
    ]
    assert TrainingOptions().parts()[0].steps == TrainingOptions().total_steps == 1000


def test_a_phase_in_which_no_example_changes_goes_on_where_the_one_before_ended() -> None:
    """So that a run that falls off sees what it would have seen."""
    whole = of_phases(PhaseOptions(steps=12, schedule="constant"))
    parted = of_phases(PhaseOptions(steps=5, schedule="constant"), PhaseOptions(tokens=7 * 512, schedule="linear"))
    assert [phase.end for phase in parted.phases] == [5, 12]
    assert all(same(step_of(whole, step), step_of(parted, step)) for step in range(12))


def test_larger_batches_go_on_in_samples_that_were_not_taken_yet() -> None:
    batches = of_phases(PhaseOptions(steps=2), PhaseOptions(steps=2, tokens_per_step=1024))
    assert batches[4]["input_ids"].numel() == 512
    first, second = batches.samples(1), batches.samples(2)
    assert second["phase"] == "phase 2" and min(second["epochs"]) > max(first["epochs"])  # the text is one block


def test_examples_of_another_length_come_in_another_order() -> None:
    batches = of_phases(PhaseOptions(steps=2, max_length=32), PhaseOptions(steps=2))
    assert max(map(longest, step_of(batches, 1))) <= 32 < max(map(longest, step_of(batches, 2)))
    assert phase_at(batches.phases, 1).schedule.seed != phase_at(batches.phases, 2).schedule.seed


def test_masks_follow_the_phase() -> None:
    line = PhaseOptions(steps=10, masking_probability=0.5, final_masking_probability=0.1)
    batches = of_phases(PhaseOptions(steps=4), line, PhaseOptions(steps=4), masking_probability=0.2)

    def share(step: int) -> float:
        made = step_of(batches, step)
        return sum(int((b["labels"] != -100).sum()) for b in made) / sum(int((b["input_ids"] > 0).sum()) for b in made)

    shares = [share(step) for step in (0, 4, 13, 14)]
    assert shares == pytest.approx([0.2, 0.5, 0.14, 0.2], abs=0.06)


def test_weights_of_a_phase_choose_among_the_sources() -> None:
    corpus = numbered_corpus()
    half = (len(corpus.document_starts) - 1) // 2
    chunks = cut_chunks(corpus, max_tokens=61, sources=[("a", 1.0, 0), ("b", 1.0, half)])
    only_b = PhaseOptions(steps=4, weights={"a": 0.0})
    batches = of_phases(PhaseOptions(steps=4), only_b, PhaseOptions(steps=4, weights={"b": 4.0}), chunks=chunks)
    border = chunks.sources[1].first

    def share_of_b(first: int) -> float:
        samples = np.concatenate([np.concatenate(batches.samples(step)["samples"]) for step in range(first, first + 4)])
        return float((samples % len(chunks) >= border).mean())

    assert share_of_b(0) == pytest.approx(0.5, abs=0.15) and share_of_b(4) == 1.0
    assert share_of_b(8) == pytest.approx(0.8, abs=0.15)
    with pytest.raises(ValueError, match="phase 1 takes no source that has examples"):
        of_phases(PhaseOptions(steps=1, weights={"a": 0.0, "b": 0.0}), chunks=chunks)


def test_a_temperature_makes_the_shares_of_sources_more_alike() -> None:
    corpus = numbered_corpus()
    sources = [("large", 1.0, 0), ("small", 0.5, (len(corpus.document_starts) - 1) * 9 // 10)]
    chunks = cut_chunks(corpus, max_tokens=61, sources=sources)

    def shares(chunks: Chunks) -> np.ndarray:
        tokens = np.array([source.weight * source.tokens for source in chunks.sources])
        return np.append(tokens / tokens.sum(), tokens.sum())

    *before, epoch = shares(chunks)
    roots = np.sqrt(before)
    assert shares(chunks.tempered(2)) == pytest.approx([*roots / roots.sum(), epoch])
    assert shares(chunks.tempered(1)) == pytest.approx([*before, epoch])
    # Stages and phases of other lengths keep the shares.
    short = chunks.tempered(2).recut(29)
    assert [s.weight for s in short.sources] == [s.weight for s in chunks.tempered(2).sources]
    assert CorpusOptions(sources=[SourceOptions(source="a"), SourceOptions(source="b")], temperature=3).temperature == 3
    with pytest.raises(ValueError, match="temperature: got 3 beside one source, expected several"):
        CorpusOptions(source="a", temperature=3)


STABLE = "steps: 6, schedule: constant"


@pytest.mark.parametrize(
    "phases, message",
    [
        ("[{name: x}]", "phases[0].steps: got nothing, expected steps or tokens; give one"),
        ("[{steps: 1, tokens: 5}]", "steps: got 1 beside tokens 5, expected steps or tokens"),
        ("[{steps: 0}]", "steps: got 0, expected at least 1"),
        ("[{steps: 5, learning_rat: 1}]", "did you mean learning_rate?"),
        ("[{steps: 5, learning_rate: 1e-3}]", "learning_rate: got 0.001 without a schedule"),
        ("[{steps: 5, warmup_steps: 2}]", "warmup_steps: got 2 without a schedule"),
        ("[{steps: 5, schedule: linear, warmup_steps: 5}]", "warmup_steps: got 5, expected fewer than the phase's 5"),
        ("[{steps: 5, schedule: falling}]", "expected one of linear, cosine, wsd, constant, sqrt; choose"),
        (f"[{{{STABLE}}}, {{steps: 6}}]", "phases: number 2 has no schedule, others have one, expected all or none"),
        ("[{steps: 5, name: a}, {steps: 5, name: a}]", "phases: got two called 'a', expected different names"),
        ("[{steps: 5, final_masking_probability: 0.1}]", "got 0.1 alone, expected masking_probability beside it"),
        ("[{steps: 5, max_length: 65}]", "phases have max_length 65, expected at most examples.max_length 64"),
        ("[{steps: 5, weights: {a.txt: 0}}]", "phases have weights for the source 'a.txt', expected corpus.sources"),
        ("[{steps: 5, weights: {texts.txt: -1}}]", "weights: got -1.0 for 'texts.txt', expected 0 to 1000"),
        ("[{steps: 5, masking_probability: 0.3}]", "beside examples.final_masking_probability, which changes over"),
        ("[{steps: 5}] training.stages=[{steps: 2}]", "stages: got some beside phases, expected one of them"),
        ("[{steps: 5}] training.max_steps=7", "max_steps: got 7 beside phases of 5 steps, expected null"),
        ("[{steps: 5}] training.max_hours=1", "max_hours: got 1.0 beside phases"),
    ],
)
def test_phases_that_contradict_are_refused_in_a_line(phases: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(dump(OPTIONS), encoding="utf-8")
    phases, *others = phases.split(" training.")
    given = ["training.stages=[]", "training.max_steps=null", f"training.phases={phases}"]
    given += [f"training.{other}" for other in others]
    with pytest.raises(ValueError) as caught:
        load_options(file, given)
    assert message in str(caught.value) and "\n" not in str(caught.value)


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
