"""Fine-tune a tagger: a label for each word, as in named entity recognition, with transformers' Trainer.

    python examples/token_classification.py --model runs/demo --train train.jsonl --output_dir runs/tagger

A row holds a list of words, `tokens`, and a list of as many labels, `tags`. The first piece of a word carries
its label. Accuracy and F1 count words, not entities of several words; F1 leaves out those with the label `O`.
"""

from dataclasses import dataclass

import torch
from arguments import ExampleArguments, parse, run
from data import read_data
from label_names import read_tags
from sklearn.metrics import f1_score
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    EvalPrediction,
    Trainer,
)

import hf_embeddings  # noqa: F401  (registers TriEmbed with the Auto classes)


@dataclass
class Arguments(ExampleArguments):
    """What is fine-tuned on what."""

    words: str = "tokens"  # column
    tags: str = "tags"  # column
    max_length: int = 128  # tokens; longer texts are cut


def main() -> None:
    """Read, fine-tune, evaluate, save."""
    arguments, training = parse(Arguments)
    torch.manual_seed(training.seed)  # before the model: its new head is random
    data = read_data(arguments.train, arguments.test, arguments.words, arguments.tags)
    names = read_tags(data, arguments.words, arguments.tags, own_test=bool(arguments.test))
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForTokenClassification.from_pretrained(
        arguments.model, num_labels=len(names), id2label=dict(enumerate(map(str, names))), dtype=torch.float32
    )

    def prepare(row: dict) -> dict:
        truncation = {"truncation": True, "max_length": arguments.max_length}
        inputs = tokenizer(row[arguments.words], is_split_into_words=True, **truncation)
        words = inputs.word_ids()
        first = [word is not None and word != before for word, before in zip(words, [None, *words], strict=False)]
        tags, pairs = row[arguments.tags], zip(words, first, strict=True)
        return inputs | {"labels": [names.index(tags[word]) if begins else -100 for word, begins in pairs]}

    def metrics(prediction: EvalPrediction) -> dict[str, float]:
        is_labelled = prediction.label_ids != -100
        labels, answers = prediction.label_ids[is_labelled], prediction.predictions.argmax(-1)[is_labelled]
        entities = [index for index, name in enumerate(names) if name != "O"]  # O: outside of every entity
        f1 = f1_score(labels, answers, labels=entities, average="micro", zero_division=0)
        return {"accuracy": float((labels == answers).mean()), "f1": f1}

    words = {split: sum(map(len, rows[arguments.words])) for split, rows in data.items()}
    data = data.map(prepare, remove_columns=data["train"].column_names)
    for split, rows in data.items():
        if lost := words[split] - sum(label != -100 for labels in rows["labels"] for label in labels):
            print(f"{split} data: {lost} words are left out, as they have no tokens or lie beyond --max_length")  # noqa: T201
    trainer = Trainer(
        model, training, train_dataset=data["train"], eval_dataset=data["test"], processing_class=tokenizer,
        data_collator=DataCollatorForTokenClassification(tokenizer), compute_metrics=metrics,
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    trainer.save_model()
    trainer.save_metrics("eval", figures := trainer.evaluate() | {"eval_samples": len(data["test"])})
    trainer.log_metrics("eval", figures)


if __name__ == "__main__":
    run(main)
