"""Train a sparse encoder (SPLADE) with sentence-transformers: a text becomes weights of words of the vocabulary.

    python examples/sparse_encoder.py --model runs/demo --train pairs.csv --output_dir runs/sparse --num_train_epochs 1

`--model` has a head for masked language modeling, as `hf-embeddings pretrain` leaves it: its scores of words are what
is kept of a text. `--train` has a query and its text in each row (columns `query`, `text`). What is saved loads as
`SparseEncoder`; its vectors suit an inverted index.
"""

from dataclasses import dataclass

import numpy as np
from arguments import parse, run
from pairs import PairArguments, read_pairs, save_ranking
from sentence_transformers import SparseEncoder, SparseEncoderTrainer, SparseEncoderTrainingArguments
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sparse_encoder.losses import SparseMultipleNegativesRankingLoss, SpladeLoss
from sentence_transformers.sparse_encoder.modules import SpladePooling
from transformers import set_seed

import hf_embeddings  # noqa: F401  (registers TriEmbed with the Auto classes)


@dataclass
class Arguments(PairArguments):
    """What is trained on what, and how sparse."""

    document_sparsity: float = 3e-5  # weight of the loss on the words of a text that are not 0
    query_sparsity: float = 5e-5  # the same of a query


def main() -> None:
    """Read, train, rank held-out texts, save."""
    arguments, training = parse(Arguments, SparseEncoderTrainingArguments)
    set_seed(training.seed)
    train, test = read_pairs(arguments)
    words = Transformer(arguments.model, transformer_task="fill-mask", max_seq_length=arguments.max_length)
    model = SparseEncoder(modules=[words, SpladePooling("max")])
    loss = SpladeLoss(
        model,
        SparseMultipleNegativesRankingLoss(model),
        document_regularizer_weight=arguments.document_sparsity,
        query_regularizer_weight=arguments.query_sparsity,
    )
    trainer = SparseEncoderTrainer(model=model, args=training, train_dataset=train, loss=loss)
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    model.save_pretrained(training.output_dir)
    queries, texts = model.encode_query(test["query"]), model.encode_document(test["text"])
    save_ranking(training.output_dir, np.asarray(model.similarity(queries, texts).cpu()))
    words_per_text = {name: round(value) for name, value in model.sparsity(texts).items() if name == "active_dims"}
    print(f"words of a text that are not 0: {words_per_text}")  # noqa: T201


if __name__ == "__main__":
    run(main)
