"""Train a cross-encoder that scores a text together with its query, with sentence-transformers.

    python examples/reranker.py --model runs/demo --train pairs.csv --output_dir runs/reranker --num_train_epochs 1

`--train` has a query and its text in each row (columns `query`, `text`); the texts of other rows are wrong for it. What
is saved loads as `CrossEncoder`, and in `hf-embeddings search INDEX QUERY --rerank runs/reranker`.
"""

import numpy as np
from arguments import parse, run
from pairs import PairArguments, read_pairs, save_ranking
from sentence_transformers import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import MultipleNegativesRankingLoss
from transformers import set_seed

import hf_embeddings  # noqa: F401  (registers TriEmbed with the Auto classes)


def main() -> None:
    """Read, train, rank held-out texts, save."""
    arguments, training = parse(PairArguments, CrossEncoderTrainingArguments)
    set_seed(training.seed)  # before the model: its head is random
    train, test = read_pairs(arguments)
    model = CrossEncoder(arguments.model, num_labels=1, max_length=arguments.max_length)
    loss = MultipleNegativesRankingLoss(model, num_negatives=min(4, training.train_batch_size - 1))
    trainer = CrossEncoderTrainer(model=model, args=training, train_dataset=train, loss=loss)
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    model.save_pretrained(training.output_dir)
    pairs = [(query, text) for query in test["query"] for text in test["text"]]
    save_ranking(training.output_dir, np.asarray(model.predict(pairs)).reshape(len(test), len(test)))


if __name__ == "__main__":
    run(main)
