"""What the model expects: the word behind a mask, and whether the second text follows the first.

Shapes: S pieces, V vocabulary.
"""

from collections.abc import Sequence

import torch

from hf_embeddings.explaining.encoder import LoadedEncoder
from hf_embeddings.explaining.explanation import Piece, Prediction
from hf_embeddings.explaining.lens import Lens

WORDS = 10  # of a prediction
BATCH = 16  # masked copies of the input that are read at once


@torch.no_grad()
def predict_each(
    lens: Lens, inputs: dict[str, torch.Tensor], pieces: Sequence[Piece]
) -> list[Prediction | None] | None:
    """Hide each piece in turn behind [MASK]; None without an MLM head or a mask token.

    Args:
        lens: the model, and the words of its vocabulary.
        inputs: `input_ids` (1, S), and perhaps `token_type_ids`.
        pieces: S of them; what the tokenizer added is not predicted.
    """
    loaded = lens.loaded
    mask = loaded.tokenizer.mask_token_id
    if loaded.head is None or mask is None:
        return None
    places = [place for place, piece in enumerate(pieces) if piece.kind != "added"]
    predictions: list[Prediction | None] = [None] * len(pieces)
    for start in range(0, len(places), BATCH):
        chosen = places[start : start + BATCH]
        rows = torch.arange(len(chosen))
        batch = {name: tensor.repeat(len(chosen), 1) for name, tensor in inputs.items()}
        batch["input_ids"][rows, chosen] = mask
        states = loaded.encoder(**batch).last_hidden_state[rows, chosen]
        scores = lens.scores(states)  # (chosen, V)
        own = scores[rows, [pieces[place].id for place in chosen]]
        ranks = (scores > own[:, None]).sum(dim=-1) + 1
        words = lens.best(scores, WORDS)
        for row, place in enumerate(chosen):
            predictions[place] = Prediction(words[row], float(own[row]), int(ranks[row]))
    return predictions


@torch.no_grad()
def predict_following(loaded: LoadedEncoder, inputs: dict[str, torch.Tensor], texts: Sequence[str]) -> float | None:
    """Return the probability that the second text follows the first, None for one text or without an NSP head."""
    if loaded.relation is None or len(texts) < 2:
        return None
    scores: torch.Tensor = loaded.relation(loaded.encoder(**inputs).pooler_output)
    return float(scores.softmax(dim=-1)[0, 0])
