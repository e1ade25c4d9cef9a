"""Go on with masked language modeling on text of your own, with transformers' Trainer.

    python examples/continued_mlm.py --model runs/demo --train texts.txt --output_dir runs/adapted

`hf-embeddings pretrain` is made for long runs; this is the short way to adapt a checkpoint to a domain. Texts are
joined and cut into blocks, so that nothing is lost and nothing is padding.
"""

import math
from dataclasses import dataclass

import torch
from arguments import ExampleArguments, parse, run
from data import read_data
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
)

from hf_embeddings.corpora.literal_text import literal_backend  # importing the package registers TriEmbed


@dataclass
class Arguments(ExampleArguments):
    """What is trained on what."""

    text: str = "text"  # column
    block_length: int = 128  # tokens of an example, special ones included
    mlm_probability: float = 0.15  # share of tokens that are predicted


def main() -> None:
    """Read, train, evaluate, save."""
    arguments, training = parse(Arguments, length="block_length")
    data = read_data(arguments.train, arguments.test, arguments.text)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForMaskedLM.from_pretrained(arguments.model, dtype=torch.float32)
    inside, backend = arguments.block_length - 2, literal_backend(tokenizer)  # [MASK] in a text is text

    def cut(rows: dict) -> dict:
        encodings = backend.encode_batch(rows[arguments.text], add_special_tokens=False)
        ids = [id for encoding in encodings for id in encoding.ids]
        blocks = [ids[start : start + inside] for start in range(0, len(ids), inside)]
        start, end = tokenizer.cls_token_id, tokenizer.sep_token_id
        return {"input_ids": [[start, *block, end] for block in blocks]}

    data = data.map(cut, batched=True, remove_columns=data["train"].column_names)
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=arguments.mlm_probability, seed=training.seed)
    trainer = Trainer(
        model, training, train_dataset=data["train"], eval_dataset=data["test"], processing_class=tokenizer,
        data_collator=collator,
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    trainer.save_model()
    figures = trainer.evaluate()
    trainer.save_metrics("eval", figures := figures | {"eval_perplexity": math.exp(figures["eval_loss"])})
    trainer.log_metrics("eval", figures)


if __name__ == "__main__":
    run(main)
