"""Fine-tune one encoder on several classifications at once: shared embeddings and layers, a head each, one checkpoint.

    python examples/multi_task.py --model runs/demo --output_dir runs/both \
        --tasks english=data/reviews-en/train.csv chinese=data/reviews-zh/train.csv

Each file has the columns text and label; a tenth of its rows is held out for the evaluation of its task.
"""

from dataclasses import dataclass

import torch
from arguments import parse, run
from data import read_data
from datasets import concatenate_datasets
from labels import read_classes
from transformers import AutoConfig, AutoTokenizer, DataCollatorWithPadding, Trainer

from hf_embeddings import TriEmbedForMultiTask


@dataclass
class Arguments:
    """What is fine-tuned on what."""

    model: str  # directory or Hub id
    tasks: list[str]  # NAME=FILE of each task
    max_length: int = 128  # tokens; longer texts are cut


def main() -> None:
    """Read, fine-tune, evaluate each task, save."""
    arguments, training = parse(Arguments)
    torch.manual_seed(training.seed)  # before the model: its new heads are random
    if wrong := [task for task in arguments.tasks if "=" not in task]:
        raise ValueError(f"--tasks {wrong[0]}: expected NAME=FILE")
    paths = dict(task.split("=", 1) for task in arguments.tasks)
    data = {name: read_data(path, None, "text", "label") for name, path in paths.items()}
    labels = {name: read_classes(splits, "label") for name, splits in data.items()}
    kind = "single_label_classification"
    tasks = {n: {"problem_type": kind, "num_labels": len(words), "labels": words} for n, words in labels.items()}
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    config = AutoConfig.from_pretrained(arguments.model, tasks=tasks)
    model = TriEmbedForMultiTask.from_pretrained(arguments.model, config=config, dtype=torch.float32)
    pad = DataCollatorWithPadding(tokenizer)

    def prepare(row: dict, name: str) -> dict:
        inputs = tokenizer(row["text"], truncation=True, max_length=arguments.max_length)
        return dict(inputs) | {other: labels[name].index(row["label"]) if other == name else -100 for other in tasks}

    def collate(rows: list[dict]) -> dict:
        by_task = {name: torch.tensor([row.pop(name) for row in rows]) for name in tasks}
        return dict(pad(rows)) | {"labels": by_task}

    task_data = {
        name: splits.map(prepare, fn_kwargs={"name": name}, remove_columns=splits["train"].column_names)
        for name, splits in data.items()
    }
    training.remove_unused_columns = False  # the collator reads the labels of all tasks
    trainer = Trainer(
        model, training, train_dataset=concatenate_datasets([splits["train"] for splits in task_data.values()]),
        data_collator=collate, processing_class=tokenizer,
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    trainer.save_model()
    for name, splits in task_data.items():
        output = trainer.predict(splits["test"], metric_key_prefix=f"eval_{name}")
        right = output.predictions[name].argmax(-1) == splits["test"][name]
        figures = {f"eval_{name}_accuracy": float(right.mean()), f"eval_{name}_samples": len(right)} | output.metrics
        trainer.save_metrics(f"eval_{name}", figures)
        trainer.log_metrics(f"eval_{name}", figures)


if __name__ == "__main__":
    run(main)
