"""Train a late-interaction encoder (ColBERT) with sentence-transformers: a text becomes one vector for each token.

    python examples/late_interaction.py --model runs/demo --train pairs.csv --output_dir runs/colbert \
        --num_train_epochs 1

The score of a text is the sum, over the tokens of the query, of the largest cosine to one of its tokens (MaxSim).
`--train` has a query and its text in each row (columns `query`, `text`). What is saved loads as `MultiVectorEncoder`.
"""

from dataclasses import dataclass, fields

import numpy as np
from arguments import parse, run
from pairs import PairArguments, read_pairs, save_ranking
from sentence_transformers import MultiVectorEncoder, MultiVectorEncoderTrainer, MultiVectorEncoderTrainingArguments
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.losses import MultiVectorMultipleNegativesRankingLoss
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from torch.nn import Identity
from transformers import TrainingArguments, set_seed

import hf_embeddings  # noqa: F401  (registers TriEmbed with the Auto classes)

STATES = "token_embeddings"  # what the modules hand on


@dataclass
class Arguments(PairArguments):
    """What is trained on what."""

    width: int = 128  # features of the vector of a token


def main() -> None:
    """Read, train, rank held-out texts, save."""
    arguments, plain = parse(Arguments)  # the parser does not read the class of sentence-transformers
    own = {field.name: getattr(plain, field.name) for field in fields(TrainingArguments) if field.init}
    training = MultiVectorEncoderTrainingArguments(**own)
    set_seed(training.seed)  # before the model: its projection is random
    train, test = read_pairs(arguments)
    tokens = Transformer(arguments.model, max_seq_length=arguments.max_length)
    model = MultiVectorEncoder(modules=tokens_to_vectors(tokens, arguments.width))
    loss = MultiVectorMultipleNegativesRankingLoss(model)
    trainer = MultiVectorEncoderTrainer(model=model, args=training, train_dataset=train, loss=loss)
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    model.save_pretrained(training.output_dir)
    queries, texts = model.encode_query(list(test["query"])), model.encode_document(list(test["text"]))
    save_ranking(training.output_dir, np.asarray(model.similarity(queries, texts).cpu()))


def tokens_to_vectors(tokens: Transformer, width: int) -> list:
    """Return the modules that make a vector of each token: a projection, the tokens that count, length 1."""
    width_of_tokens = tokens.get_embedding_dimension()
    project = Dense(width_of_tokens, width, bias=False, activation_function=Identity(), module_input_name=STATES)
    return [tokens, project, MultiVectorMask(), Normalize(STATES)]


if __name__ == "__main__":
    run(main)
