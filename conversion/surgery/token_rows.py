"""New rows for the token table of a model, and all that depends on it: head, biases, config.

Shapes: V old vocabulary, W new vocabulary, T width of the token table.
"""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.corpora.sentence_tokens import set_sentence_ends
from hf_embeddings.corpora.word_starts import known_words
from hf_embeddings.model.modeling_triembed import TriEmbedModel, TriEmbedPreTrainedModel


@torch.no_grad()
def replace_rows(model: TriEmbedPreTrainedModel, sources: list[list[int]]) -> None:
    """Give `model` a vocabulary of len(sources) tokens, in place; token i starts as the mean of the rows sources[i].

    One source is a copy, bit by bit. The head's rows and biases follow the same rule; where there is no source, a token
    starts as the mean of all.
    """
    encoder = model.base_model
    table = encoder.embeddings.token
    encoder.embeddings.token = _table(mean_rows(table.weight, sources), table.padding_idx)
    head = getattr(model, "predictions", None)
    if head is not None:
        old = head.decoder
        decoder = nn.Linear(old.in_features, len(sources), bias=old.bias is not None, dtype=old.weight.dtype)
        decoder.weight = nn.Parameter(mean_rows(old.weight, sources))
        if old.bias is not None:
            decoder.bias = nn.Parameter(mean_rows(old.bias[:, None], sources)[:, 0])
        head.decoder = decoder
    model.config.vocab_size = len(sources)
    model.tie_weights()


def mean_rows(table: torch.Tensor, sources: list[list[int]]) -> torch.Tensor:
    """Return (W, T), row i the mean of the rows sources[i] of (V, T)."""
    counts = torch.tensor([len(source) for source in sources])
    flat = torch.tensor([index for source in sources for index in source], dtype=torch.long)
    bags = torch.arange(len(sources)).repeat_interleave(counts)
    rows = torch.zeros(len(sources), table.shape[1]).index_add_(0, bags, table[flat].float())
    rows = (rows / counts.clamp(min=1)[:, None]).to(table.dtype)
    single = counts == 1
    starts = counts.cumsum(0) - counts
    rows[single] = table[flat[starts[single]]]  # no rounding where nothing is averaged
    rows[counts == 0] = table.float().mean(dim=0).to(table.dtype)
    return rows


def set_special_ids(model: TriEmbedPreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let config, table and positions know the ids that the tokenizer gives to padding, start, end and stops."""
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        if getattr(model.config, name) is not None:
            setattr(model.config, name, getattr(tokenizer, name))
    table = model.base_model.embeddings.token
    table.padding_idx = model.config.pad_token_id
    if model.base_model.embeddings.position.separators:
        set_sentence_ends(model.config, tokenizer, anew=True)
        for part in model.base_model.embeddings.position.values():
            part.separators = tuple(part.read_options(model.config).get("separators") or ())


@torch.no_grad()
def fit_vectors(
    model: TriEmbedPreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    vectors: dict[str, torch.Tensor],
    tokens: list[str],
) -> dict[str, torch.Tensor]:
    """Map static word vectors into the token table by ridge regression over the words that both know.

    Returns:
        A row for each of `tokens` that has a vector.

    Raises:
        ConversionError: fewer words are shared than a vector has numbers.
    """
    rows = known_words(tokenizer, list(vectors))
    words = list(rows)
    width = len(next(iter(vectors.values()), ()))
    if len(words) < width:
        raise ConversionError(
            f"vectors: {len(words)} of the words are tokens of the source, expected at least {width} to fit a map"
        )
    table = model.base_model.embeddings.token.weight.float()
    inputs = torch.stack([vectors[word] for word in words])
    targets = table[[rows[word] for word in words]]
    offset, mean = inputs.mean(dim=0), targets.mean(dim=0)
    centred_vectors = inputs - offset
    gram = centred_vectors.T @ centred_vectors
    gram = gram + 1e-2 * gram.diagonal().mean() * torch.eye(width)
    matrix = torch.linalg.solve(gram, centred_vectors.T @ (targets - mean))
    return {token: (vectors[token] - offset) @ matrix + mean for token in tokens if token in vectors}


@torch.no_grad()
def factorise_rows(model: TriEmbedPreTrainedModel, rank: int) -> tuple[TriEmbedPreTrainedModel, float]:
    """Return a model whose token table is the best product of rank `rank`, and the relative error of the table.

    The error is ||E - AB|| / ||E|| in the Frobenius norm (Eckart and Young, 1936).

    Raises:
        ConversionError: the table is factorised already, or the rank is not below its width.
    """
    config = model.config
    if config.embedding_size is not None:
        raise ConversionError(f"embedding_size is {config.embedding_size}: the tables are factorised already")
    if not 1 <= rank < config.hidden_size:
        raise ConversionError(f"rank: got {rank}, expected 1 to {config.hidden_size - 1}, below hidden_size")
    table = model.base_model.embeddings.token.weight.double()
    values, vectors = torch.linalg.eigh(table.T @ table)  # ascending
    up = vectors[:, -rank:].flip(-1)  # (D, rank)
    settings = {
        k: v for k, v in config.to_diff_dict().items() if k not in ("transformers_version", "architectures", "dtype")
    }
    settings |= {"embedding_size": rank, "factorised_embeddings": "token"}
    bare = {"add_pooling_layer": model.pooler is not None} if isinstance(model, TriEmbedModel) else {}
    small_model: Any = type(model)(type(config)(**settings), **bare)  # transformers types `to` as of another class
    small_model.to(model.dtype).eval()
    weights = model.state_dict()
    for name, slot in small_model.state_dict().items():
        if name in weights and weights[name].shape == slot.shape:
            slot.copy_(weights[name])
    small_model.base_model.embeddings.token.weight.copy_(table @ up)
    small_model.base_model.embeddings.projection.weight.copy_(up)
    if head := getattr(small_model, "predictions", None):
        head.projection.weight.copy_(up.T)
        if not config.tie_word_embeddings:
            old: Any = model
            head.decoder.weight.copy_(old.predictions.decoder.weight.double() @ up)
    error = float((values[:-rank].clamp(min=0).sum() / values.clamp(min=0).sum()).sqrt())
    return small_model, error


def _table(rows: torch.Tensor, padding: int | None) -> nn.Embedding:
    table = nn.Embedding(len(rows), rows.shape[1], dtype=rows.dtype)
    table.padding_idx = padding if padding is not None and padding < len(rows) else None
    table.weight = nn.Parameter(rows)
    return table
