"""What a run of replaced-token detection begins with: a new generator and discriminator, or those of a checkpoint."""

from pathlib import Path

import numpy as np
import torch

from hf_embeddings.file_names import GENERATOR
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedForMaskedLM, TriEmbedForTokenClassification
from hf_embeddings.pretraining.architecture import is_checkpoint
from hf_embeddings.pretraining.options import GeneratorOptions
from hf_embeddings.pretraining.training.initial_model import begin_with, load_base
from hf_embeddings.pretraining.training.replaced_tokens import ReplacedTokenDetection


def first_detection(
    config: TriEmbedConfig, options: GeneratorOptions, base: Path, *, log_frequencies: np.ndarray
) -> ReplacedTokenDetection:
    """Return new models with random weights, or those of the checkpoint `base`.

    A checkpoint that a run begins with is the discriminator. Its generator is that of the folder `generator/` in it;
    where there is none, a new one, which takes over the token table.

    Raises:
        ValueError: weights are missing, unknown, no numbers, or have other shapes than the config asks for.
    """
    model = ReplacedTokenDetection(config, options)
    folder = base / GENERATOR
    has_generator = is_checkpoint(folder)
    if has_generator:
        model.generator = load_base(TriEmbedForMaskedLM, folder, model.generator.config, section="generator")
    else:
        begin_with(log_frequencies, model.generator.predictions)
    if not is_checkpoint(base):
        return model
    model.discriminator = load_base(TriEmbedForTokenClassification, base, config)
    table, own = (part.triembed.embeddings.token.weight for part in (model.generator, model.discriminator))
    with torch.no_grad():
        if not has_generator or options.embeddings == "shared":
            table.copy_(own)
        difference = own - table
    model.bind_tables()
    if options.embeddings == "disentangled":
        with torch.no_grad():
            own.copy_(difference)
    return model
