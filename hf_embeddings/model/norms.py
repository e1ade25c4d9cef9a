"""Norms: layer norm with or without biases, or RMS norm."""

from torch import nn

from .configuration_triembed import TriEmbedConfig


def make_norm(config: TriEmbedConfig, width: int) -> nn.Module:
    """Return the norm of the config over the last dimension, of size `width`."""
    return NORM_TYPES[config.norm_type](width, config)


NORM_TYPES = {
    "layer": lambda width, config: nn.LayerNorm(width, eps=config.layer_norm_eps, bias=config.norm_bias),
    "rms": lambda width, config: nn.RMSNorm(width, eps=config.layer_norm_eps),
}
