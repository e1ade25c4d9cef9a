"""A checkpoint as a SentenceTransformer, which trains without padding, and as our own encoder, which judges it.

Shapes: B texts, S tokens of the longest of them, T tokens of all of them, D hidden.
"""

from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules.transformer import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from torch import nn

from hf_embeddings.embedding.options import EmbeddingOptions
from hf_embeddings.loading.saved_model import read_config, read_tokenizer
from hf_embeddings.loading.sentence_models import MODULES
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.recipe import Recipe
from hf_embeddings.search.recipe_files import read_recipe
from hf_embeddings.search.text_model import longest_input

NEEDED_DROPOUT = 0.1  # of `simcse`, whose pairs differ by it alone; as in its paper, https://arxiv.org/abs/2104.08821


class PackedTransformer(Transformer):
    """The transformer module of sentence-transformers; texts of a batch run one after the other, without padding."""

    gives_states = False  # also those of every layer, from the embedding sum on: `layer_states`, (T, D) each

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Write the states (B, S, D) of tokens into `token_embeddings`; those of padding are 0."""
        ids, mask = features["input_ids"], features["attention_mask"].bool()
        lengths = mask.sum(dim=1)
        boundaries = nn.functional.pad(lengths.cumsum(0), (1, 0)).to(torch.int32)
        outputs = self.model(ids[mask][None], cu_seq_lens_q=boundaries, output_hidden_states=self.gives_states)
        hidden = outputs.last_hidden_state[0]  # (T, D)
        if self.gives_states:
            features["layer_states"] = [state[0] for state in outputs.hidden_states]
        states = hidden.new_zeros(*mask.shape, hidden.shape[-1])
        features["token_embeddings"] = states.index_put(tuple(mask.nonzero(as_tuple=True)), hidden)
        return features


def read_whole_recipe(base: Path) -> Recipe:
    """Return the recipe of a directory that a model is trained from.

    Raises:
        ValueError: its vectors are cut, which training would not do.
    """
    recipe = read_recipe(base)
    if recipe.dimension is not None:
        raise ValueError(
            f"{base}: its vectors are cut to {recipe.dimension} features, expected whole ones to train from; remove "
            "truncate_dim from its config_sentence_transformers.json"
        )
    return recipe


def load_sentence_model(options: EmbeddingOptions) -> tuple[SentenceTransformer, Recipe]:
    """Return the encoder that training begins with, and what it states of pooling, length and prompts.

    Raises:
        ValueError: the directory holds no TriEmbed checkpoint, or states another recipe than the options ask for, or
            they ask for longer texts than its model takes.
    """
    base, wanted = Path(options.encoder.base), options.encoder
    config = read_config(base)
    if not isinstance(config, TriEmbedConfig):
        raise ValueError(
            f"encoder.base: {base} holds a {config.model_type!r} model, expected 'triembed'; convert it first: "
            f"hf-embeddings convert {base} DIR"
        )
    stated = read_whole_recipe(base)
    if (base / MODULES).is_file() and wanted.pooling not in (None, stated.pooling):
        raise ValueError(f"encoder.pooling: got {wanted.pooling!r}, {base} states {stated.pooling!r}; leave it out")
    prompts = {name: text for name, text in (("query", options.prompts.query), ("document", options.prompts.document))}
    recipe = Recipe(
        pooling=wanted.pooling or stated.pooling,
        normalize=stated.normalize,
        max_length=wanted.max_length or stated.max_length,
        lowercase=stated.lowercase,
        prompts=stated.prompts | {name: text for name, text in prompts.items() if text},
        default_prompt=stated.default_prompt,
        include_prompt=stated.include_prompt,
    )
    model = build(base, recipe, PackedTransformer)
    longest = longest_input(encoder_of(model), model.tokenizer)
    if (recipe.max_length or 0) > longest:
        given = "encoder.max_length" if wanted.max_length else f"encoder.base: max_seq_length of {base}"
        raise ValueError(f"{given}: got {recipe.max_length}, the model takes {longest} tokens at most; lower it")
    return model, recipe


def build(base: Path, recipe: Recipe, kind: type[Transformer] = Transformer) -> SentenceTransformer:
    """Return the modules of sentence-transformers that do what a recipe says."""
    transformer = kind(str(base), max_seq_length=recipe.max_length, do_lower_case=recipe.lowercase)
    pooling = Pooling(transformer.get_embedding_dimension(), recipe.pooling, recipe.include_prompt)
    modules = [transformer, pooling, *([Normalize()] if recipe.normalize else [])]
    model = SentenceTransformer(modules=modules, prompts=recipe.prompts or None, device=None)
    model.default_prompt_name = recipe.default_prompt
    return model


def plain(model: SentenceTransformer, recipe: Recipe, base: Path) -> SentenceTransformer:
    """Return the same encoder in modules of sentence-transformers alone, as it is saved."""
    result = build(base, recipe)
    result[0].model = encoder_of(model)
    return result


def set_dropout(model: SentenceTransformer, options: EmbeddingOptions) -> float:
    """Set the dropout of hidden states while training, and return it; the config that is saved keeps its own.

    Raises:
        ValueError: there is none, and the loss needs it.
    """
    rate = options.encoder.dropout
    own = float(encoder_of(model).config.hidden_dropout_prob)
    if rate is None:
        rate = max(own, NEEDED_DROPOUT) if options.loss.name == "simcse" else own
    if rate == 0 and options.loss.name == "simcse":
        raise ValueError("encoder.dropout: got 0 for the loss 'simcse', expected above 0: its pairs differ by it alone")
    for module in encoder_of(model).modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
    return rate


def encoder_of(model: SentenceTransformer) -> Any:  # noqa: ANN401  a module of sentence-transformers holds any
    """Return the TriEmbed model inside."""
    return model[0].model


def judged_encoder(model: SentenceTransformer, recipe: Recipe, base: Path) -> Encoder:
    """Return our own encoder around the model as it is, with a tokenizer that no other part changes.

    It changes nothing but the mode of the model, which becomes evaluation.
    """
    return Encoder(encoder_of(model), read_tokenizer(base), recipe, precision="fp32")
