"""Replaced-token detection beside masked language modeling: same encoder, text and CPU time, judged by fine-tuning.

    hf-embeddings example reviews-en
    python -m benchmarks.detection --reviews data/reviews-en --steps 1300 --seeds 0 1 2

First, steps of both take turns, and the median ratio of their CPU times says how many steps of `rtd` take as long as
`--steps` of `mlm`. Then each seed is pretrained with both, and each model is fine-tuned on the reviews. What is done is
kept in `--folder`; rerun the command to resume. With OMP_NUM_THREADS=1 other work hardly lengthens CPU time.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hf_embeddings.analysis.intervals import paired_difference
from hf_embeddings.files.reading import read_object
from hf_embeddings.hardware import describe
from hf_embeddings.pretraining.examples.batches import make_batch
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.pretraining.run import pretrain
from hf_embeddings.pretraining.training.first_detection import first_detection
from hf_embeddings.pretraining.training.gradients import compute_gradients
from hf_embeddings.pretraining.training.initial_model import first_model
from hf_embeddings.pretraining.training.loop import keep_freed_memory
from hf_embeddings.pretraining.training.optimization import build_optimizers
from hf_embeddings.pretraining.training.processes import build_accelerator, choose_precision, join_processes, share
from hf_embeddings.pretraining.training.training_data import TrainingData, load_training_data

ROOT = Path(__file__).parents[1]
RECIPES = {
    "mlm": ("demo", ["examples.objectives=[mlm]", "examples.objective_weights={}"]),
    "rtd": ("rtd", []),
}
ROUNDS, WARM = 20, 4  # steps of each that are timed, and before them
CLASSIFIER = "--num_train_epochs 1 --per_device_train_batch_size 32 --learning_rate 5e-4 --save_strategy no"


def main() -> None:
    """Train, fine-tune and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviews", type=Path, required=True, help="a directory with train.csv and test.csv")
    parser.add_argument("--folder", type=Path, default=Path("runs/detection"))
    parser.add_argument("--steps", type=int, default=1300, help="of masked language modeling")
    parser.add_argument("--classifier-steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("further", nargs="*", help="options of both runs, such as corpus.source=pydoc:numpy")
    arguments = parser.parse_args()
    keep_freed_memory()
    data = {name: load(name, arguments.further) for name in RECIPES}
    ratio = step_ratio(data, arguments.further)
    steps = {"mlm": arguments.steps, "rtd": round(arguments.steps / ratio)}
    print(f"{describe()}; a step of rtd takes {ratio:.2f} times the CPU time of one of mlm")
    print("| recipe | steps | seed | held-out | accuracy |\n|---|---|---|---|---|")
    found: dict[str, list[float]] = {name: [] for name in RECIPES}
    for seed in arguments.seeds:
        for name in RECIPES:
            folder = arguments.folder / f"{name}-{seed}"
            given = [*arguments.further, f"seed={seed}", f"output_dir={folder}", f"training.max_steps={steps[name]}"]
            run = options_of(name, given)
            outcome = pretrain(run, base_config=ROOT / run.model.base, data=data[name])
            if outcome.figures is None:
                return
            accuracy = fine_tune(folder, arguments.reviews, steps=arguments.classifier_steps, seed=seed)
            losses = ", ".join(f"{key} {figures.loss:.3f}" for key, figures in outcome.figures.held_out.items())
            print(f"| {name} | {steps[name]:,} | {seed} | {losses} nats | {accuracy:.1%} |", flush=True)
            found[name].append(accuracy)
    mean, width, _ = paired_difference(found["rtd"], found["mlm"])
    print(f"rtd less mlm: {mean:+.1%}" + ("" if width is None else f" (95 % interval +- {width:.1%})"))


def options_of(name: str, further: list[str]) -> PretrainingOptions:
    """Return the options of a recipe."""
    file, own = RECIPES[name]
    common = ["training.max_hours=null", "training.tensorboard=false", "checkpoints.save_steps=200"]
    return load_options(ROOT / f"configs/pretraining/{file}.yaml", [*common, *own, *further])


def load(name: str, further: list[str]) -> TrainingData:
    """Read the corpus for a recipe."""
    options = options_of(name, further)
    return load_training_data(options, ROOT / options.model.base, lambda line: None)


def step_ratio(data: dict[str, TrainingData], further: list[str]) -> float:
    """Return the CPU time of a step of `rtd` as a ratio to that of `mlm`, both in turns."""
    steps = {name: stepper(options_of(name, further), data[name]) for name in RECIPES}
    ratios = []
    for number in range(WARM + ROUNDS):
        seconds = {}
        for name, step in steps.items():
            began = time.process_time()
            step(number)
            seconds[name] = time.process_time() - began
        ratios.append(seconds["rtd"] / seconds["mlm"])
    return statistics.median(ratios[WARM:])


def stepper(options: PretrainingOptions, data: TrainingData) -> Callable[[int], None]:
    """Return a function that trains a new model by one step."""
    training, examples = options.training, options.examples
    precision = choose_precision(training.mixed_precision, join_processes(training))
    accelerator = build_accelerator(precision.name, objectives=examples.objectives, curves=None)
    new = {"log_frequencies": data.log_frequencies}
    if "rtd" in examples.objectives:
        made = first_detection(data.config, options.generator, data.base, **new)
    else:
        made = first_model(data.config, data.base, **new)
    model = share(made, accelerator, training).train()
    optimizers = [accelerator.prepare_optimizer(optimizer) for optimizer in build_optimizers(model, training)]
    schedule = Schedule.plan(data.training, tokens_per_batch=training.tokens_per_step, seed=0, relation=None)

    def step(number: int) -> None:
        batch = make_batch(schedule, *schedule.batch(number), data.vocabulary, examples)
        compute_gradients(model, [batch], examples, training, accelerator, seed=0, step=number)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    return step


def fine_tune(model: Path, reviews: Path, *, steps: int, seed: int) -> float:
    """Return the accuracy of a classifier of reviews that begins with a model, by the script of the examples."""
    folder = model.with_name(f"{model.name}-classifier")
    results = folder / "all_results.json"
    if not results.exists():
        line = [sys.executable, str(ROOT / "examples/sequence_classification.py"), *CLASSIFIER.split()]
        paths = {"model": model, "train": reviews / "train.csv", "test": reviews / "test.csv", "output_dir": folder}
        line += [word for name, path in paths.items() for word in (f"--{name}", str(path))]
        line += ["--max_steps", str(steps), "--seed", str(seed), "--report_to", "none"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(line)}: {done.stderr[-2000:]}")
    return float(read_object(results)["eval_accuracy"])


if __name__ == "__main__":
    main()
