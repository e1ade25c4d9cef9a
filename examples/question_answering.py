"""Fine-tune a model that finds the answer to a question in a text (SQuAD's format), with transformers' Trainer.

    python examples/question_answering.py --model runs/demo --train train.jsonl --output_dir runs/reader

A row holds `question`, `context` and `answers` ({"text": [...], "answer_start": [...]}, characters; empty: no answer).
The window that holds the answer is read; without an answer, both ends are the first token.
"""

from dataclasses import dataclass

import torch
from answers import check_answers, say_lost_answers
from arguments import ExampleArguments, parse, run
from data import read_data
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, EvalPrediction, Trainer

import hf_embeddings  # noqa: F401  (registers TriEmbed with the Auto classes)


@dataclass
class Arguments(ExampleArguments):
    """What is fine-tuned on what."""

    max_length: int = 128  # tokens of question and context together
    stride: int = 32  # tokens that two windows of a context share


def metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Exact match of both ends, and F1 of the tokens between them."""
    starts, ends = (torch.from_numpy(logits) for logits in prediction.predictions)
    scores = starts[:, :, None] + ends[:, None, :]  # (N, S, S) over start and end
    scores.masked_fill_(torch.ones_like(scores[0]).tril(-1).bool(), float("-inf"))
    best = scores.flatten(1).argmax(-1)
    spans = torch.stack((best // starts.shape[1], best % starts.shape[1]), dim=-1)
    right = torch.from_numpy(prediction.label_ids[0]), torch.from_numpy(prediction.label_ids[1])
    overlap = (torch.minimum(spans[:, 1], right[1]) - torch.maximum(spans[:, 0], right[0]) + 1).clamp(min=0)
    lengths = (spans[:, 1] - spans[:, 0] + 1) + (right[1] - right[0] + 1)
    exact = (spans == torch.stack(right, dim=-1)).all(-1)
    return {"exact_match": exact.float().mean().item(), "f1": (2 * overlap / lengths).mean().item()}


def main() -> None:
    """Read, fine-tune, evaluate, save."""
    arguments, training = parse(Arguments)
    torch.manual_seed(training.seed)  # before the model: its new head is random
    data = read_data(arguments.train, arguments.test, "question", "context", "answers")
    if set(data["train"].features["answers"]) != {"text", "answer_start"}:
        raise ValueError("column 'answers': expected objects with the lists text and answer_start, as in SQuAD")
    check_answers(data)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForQuestionAnswering.from_pretrained(arguments.model, dtype=torch.float32)

    def prepare(row: dict) -> dict:
        windows = tokenizer(
            row["question"], row["context"], truncation="only_second", max_length=arguments.max_length,
            stride=arguments.stride, return_overflowing_tokens=True, padding="max_length",
        )  # fmt: skip
        window, start, end = 0, 0, 0
        if row["answers"]["text"]:
            first = row["answers"]["answer_start"][0]
            last = first + len(row["answers"]["text"][0]) - 1
            for index in range(len(windows["input_ids"])):
                ends = windows.char_to_token(index, first, 1), windows.char_to_token(index, last, 1)
                if None not in ends:
                    window, (start, end) = index, ends
                    break
        inputs = {name: windows[name][window] for name in tokenizer.model_input_names}
        return inputs | {"start_positions": start, "end_positions": end}

    say_lost_answers(data, rows := data.map(prepare, remove_columns=data["train"].column_names))
    parts = {"train_dataset": rows["train"], "eval_dataset": rows["test"], "processing_class": tokenizer}
    trainer = Trainer(model, training, compute_metrics=metrics, **parts)
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    trainer.save_model()
    trainer.save_metrics("eval", figures := trainer.evaluate() | {"eval_samples": len(rows["test"])})
    trainer.log_metrics("eval", figures)


if __name__ == "__main__":
    run(main)
