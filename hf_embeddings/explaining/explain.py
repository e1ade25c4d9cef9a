"""Explain a sentence, or two, in a model: compute every figure of the page.

Shapes: S pieces, L layers, H heads, N positions.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import BatchEncoding

from hf_embeddings.evaluation.position_probe import probe_checkpoint
from hf_embeddings.explaining.encoder import LoadedEncoder
from hf_embeddings.explaining.explanation import (
    Attention,
    ExplainedInput,
    Explanation,
    LeftOut,
    ModelFacts,
    Pieces,
    PositionFacts,
)
from hf_embeddings.explaining.input_sum import SHOWN, explain_sum
from hf_embeddings.explaining.layers import explain_states
from hf_embeddings.explaining.lens import Lens
from hf_embeddings.explaining.pieces import read_texts
from hf_embeddings.explaining.predictions import predict_each, predict_following
from hf_embeddings.explaining.vocabulary import Vocabulary
from hf_embeddings.explaining.word_order import Inputs, compare_order
from hf_embeddings.search.text_model import check_ids

MOST_POSITIONS = 48  # of which all pairs are shown
MOST_WEIGHTS = 1_000_000  # of attention, over all inputs: 2.7 MB of the page


def explain(loaded: LoadedEncoder, texts: Sequence[str]) -> Explanation:
    """Return everything about one text; about two, also as a pair, and compared with each other.

    Raises:
        ValueError: a text is too long, or has a token that the model has no row for.
    """
    model, lens = loaded.encoder, Lens(loaded, Vocabulary(loaded.tokenizer))
    groups = [[text] for text in texts] + ([list(texts)] if len(texts) > 1 else [])
    read = [read_texts(loaded.tokenizer, group, model.config.max_position_embeddings) for group in groups]
    inputs = [_inputs(loaded, batch) for batch, _ in read]
    layers = _kept_layers(model.config.num_hidden_layers, model.config.num_attention_heads, [p for _, p in read])
    explained = [_explain_input(lens, own, pieces, layers) for own, (_, pieces) in zip(inputs, read, strict=True)]
    order = None
    if len(texts) > 1:
        order = compare_order(model, (inputs[0], inputs[1]), (read[0][1], read[1][1]))
    facts = _model_facts(loaded)
    positions = _position_facts(loaded)  # last, as it casts the weights
    counts = [
        LeftOut("strip", SHOWN, explained[0].sum.width),
        LeftOut("positions", positions.scores.shape[-1], facts.longest),
        LeftOut("layers", len(layers), facts.layers),
    ]
    return Explanation(facts, explained, positions, order, [count for count in counts if count.kept < count.of])


def _inputs(loaded: LoadedEncoder, batch: BatchEncoding) -> Inputs:
    check_ids(loaded.encoder, loaded.tokenizer, batch["input_ids"])
    inputs = {"input_ids": batch["input_ids"]}
    if loaded.encoder.config.type_vocab_size and "token_type_ids" in batch:
        inputs["token_type_ids"] = batch["token_type_ids"]
    return inputs


@torch.no_grad()
def _explain_input(lens: Lens, inputs: Inputs, text: Pieces, layers: list[int]) -> ExplainedInput:
    loaded = lens.loaded
    outputs = loaded.encoder(**inputs, output_hidden_states=True, output_attentions=True)
    assert outputs.hidden_states is not None and outputs.attentions is not None, "asked for, of plain attention"
    weights = torch.stack([outputs.attentions[layer][0] for layer in layers])
    return ExplainedInput(
        title=" + ".join(text.texts),
        text=text,
        sum=explain_sum(loaded.encoder, inputs["input_ids"], inputs.get("token_type_ids")),
        attention=Attention(layers, weights.numpy()),
        hidden=explain_states(lens, outputs.hidden_states),
        predictions=predict_each(lens, inputs, text.pieces),
        follows=predict_following(loaded, inputs, text.texts),
    )


def _kept_layers(layers: int, heads: int, texts: Sequence[Pieces]) -> list[int]:
    """Return the layers whose attention fits: all, or some at even distances, the first and the last among them."""
    room = MOST_WEIGHTS // (heads * sum(len(text.pieces) ** 2 for text in texts))
    return sorted({int(layer) for layer in np.linspace(0, layers - 1, min(layers, max(room, 2))).round()})


def _model_facts(loaded: LoadedEncoder) -> ModelFacts:
    config = loaded.encoder.config
    return ModelFacts(
        name=loaded.name,
        family=loaded.family,
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        vocabulary=config.vocab_size,
        segments=config.type_vocab_size,
        longest=config.max_position_embeddings,
        position_type=config.position_embedding_type,
        norm=config.norm_position,
        predicts=loaded.head is not None,
    )


def _position_facts(loaded: LoadedEncoder) -> PositionFacts:
    model = loaded.encoder
    count = min(model.config.max_position_embeddings, MOST_POSITIONS)
    probe = probe_checkpoint(model, torch.arange(count))
    cosines = None
    if probe.vectors is not None:
        unit = probe.vectors / np.maximum(np.linalg.norm(probe.vectors, axis=1, keepdims=True), 1e-12)
        cosines = unit @ unit.T
    return PositionFacts(probe.vectors is not None, cosines, probe.scores)
