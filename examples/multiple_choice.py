"""Fine-tune a model that chooses one of several continuations of a text, with transformers' Trainer.

    python examples/multiple_choice.py --model runs/demo --train train.jsonl --output_dir runs/chooser

A row holds a text, a list of choices (as many in every row) and the index of the right one.
"""

from dataclasses import dataclass

import torch
from arguments import ExampleArguments, parse, run
from data import numbered, read_data
from transformers import (
    AutoModelForMultipleChoice,
    AutoTokenizer,
    DataCollatorForMultipleChoice,
    EvalPrediction,
    Trainer,
)

import hf_embeddings  # noqa: F401  (registers TriEmbed with the Auto classes)


@dataclass
class Arguments(ExampleArguments):
    """What is fine-tuned on what."""

    text: str = "text"  # column
    choices: str = "choices"  # column
    label: str = "label"  # column
    max_length: int = 128  # tokens of text and choice together


def metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Share of rows whose right choice scores highest."""
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def main() -> None:
    """Read, fine-tune, evaluate, save."""
    arguments, training = parse(Arguments)
    torch.manual_seed(training.seed)  # before the model: its new head is random
    data = read_data(arguments.train, arguments.test, arguments.text, arguments.choices, arguments.label)
    count = len(data["train"][arguments.choices][0])
    if count < 2:
        raise ValueError(f"column {arguments.choices!r}: got {count} choices in a row, expected two or more")
    for split, rows in data.items():
        for number, choices, label in numbered(rows, arguments.choices, arguments.label):
            if len(choices) != count or label not in range(count) or None in choices:
                raise ValueError(
                    f"{split} data, row {number}: {len(choices)} choices with label {label!r}, expected {count}, none "
                    "of them null, and a label from 0 on below that"
                )
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForMultipleChoice.from_pretrained(arguments.model, dtype=torch.float32)

    def prepare(row: dict) -> dict:
        choices = row[arguments.choices]
        texts = [row[arguments.text]] * len(choices)
        inputs = tokenizer(texts, choices, truncation="only_first", max_length=arguments.max_length)
        return dict(inputs) | {"labels": row[arguments.label]}

    data = data.map(prepare, remove_columns=data["train"].column_names)
    trainer = Trainer(
        model, training, train_dataset=data["train"], eval_dataset=data["test"], processing_class=tokenizer,
        data_collator=DataCollatorForMultipleChoice(tokenizer), compute_metrics=metrics,
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    trainer.save_model()
    trainer.save_metrics("eval", figures := trainer.evaluate() | {"eval_samples": len(data["test"])})
    trainer.log_metrics("eval", figures)


if __name__ == "__main__":
    run(main)
