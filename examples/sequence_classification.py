"""Fine-tune a classifier of texts or pairs of texts, or a regression, with transformers' Trainer.

    python examples/sequence_classification.py --model runs/demo --train data/reviews-en/train.csv \
        --test data/reviews-en/test.csv --output_dir runs/classifier --num_train_epochs 2

The labels decide the problem: words or integers are classes, floats a regression, lists of names or vectors of 0 and 1
several labels at once.
`--model` is anything that AutoModel loads, TriEmbed or not. Every option of TrainingArguments is taken too.
"""

from dataclasses import dataclass

import numpy as np
import torch
from arguments import ExampleArguments, parse, run
from data import read_data
from labels import read_labels
from sklearn.metrics import f1_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer, EvalPrediction, Trainer

import hf_embeddings  # noqa: F401  (registers TriEmbed with the Auto classes)


@dataclass
class Arguments(ExampleArguments):
    """What is fine-tuned on what."""

    text: str = "text"  # column
    pair: str | None = None  # column of a second text
    label: str = "label"  # column
    max_length: int = 128  # tokens; longer texts are cut


def metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Accuracy and macro F1 for classes, micro F1 for several labels at once, Pearson's r for a regression."""
    logits, labels = prediction.predictions, prediction.label_ids
    if labels.ndim == 2:
        return {"f1": f1_score(labels, logits > 0, average="micro")}
    if logits.shape[-1] == 1:
        if min(np.ptp(logits), np.ptp(labels)) == 0:  # nothing to compare; NaN would make the JSON invalid
            print("no Pearson's r: all labels of the test data, or all predictions, are the same")  # noqa: T201
            return {}
        return {"pearson": float(np.corrcoef(logits[:, 0], labels)[0, 1])}
    answers = logits.argmax(-1)
    return {"accuracy": float((answers == labels).mean()), "f1": f1_score(labels, answers, average="macro")}


def main() -> None:
    """Read, fine-tune, evaluate, save."""
    arguments, training = parse(Arguments)
    torch.manual_seed(training.seed)  # before the model: its new head is random
    data = read_data(arguments.train, arguments.test, arguments.text, arguments.pair, arguments.label)
    labels_read = read_labels(data, arguments.label, own_test=bool(arguments.test))
    problem, names, encode = labels_read
    print(labels_read.sentence(arguments.label))  # noqa: T201
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    labels = {"num_labels": len(names), "id2label": dict(enumerate(map(str, names))), "problem_type": problem}
    model = AutoModelForSequenceClassification.from_pretrained(arguments.model, dtype=torch.float32, **labels)
    columns = [name for name in (arguments.text, arguments.pair) if name]

    def prepare(row: dict) -> dict:
        inputs = tokenizer(*[row[name] for name in columns], truncation=True, max_length=arguments.max_length)
        return inputs | {"labels": encode(row[arguments.label])}

    data = data.map(prepare, remove_columns=data["train"].column_names)
    parts = {"train_dataset": data["train"], "eval_dataset": data["test"], "processing_class": tokenizer}
    trainer = Trainer(model, training, compute_metrics=metrics, **parts)
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    trainer.save_model()
    trainer.save_metrics("eval", figures := trainer.evaluate() | {"eval_samples": len(data["test"])})
    trainer.log_metrics("eval", figures)


if __name__ == "__main__":
    run(main)
