"""Conversion of checkpoints to TriEmbed and back, and surgery on them."""

from hf_embeddings.conversion.convert import Report, convert
from hf_embeddings.conversion.families import FAMILIES
from hf_embeddings.conversion.rules import ConversionError

__all__ = ["FAMILIES", "ConversionError", "Report", "convert"]
