"""Conversion of checkpoints to TriEmbed and back, and surgery on them."""

from hf_embeddings.conversion.convert import convert
from hf_embeddings.conversion.families import FAMILIES
from hf_embeddings.conversion.report import Report
from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.conversion.surgery.healing import Healing
from hf_embeddings.conversion.surgery.reposition import RepositionReport, reposition
from hf_embeddings.conversion.surgery.vocabulary import VocabularyReport, add_tokens, factorise, replace_tokenizer, trim

__all__ = [
    "FAMILIES",
    "ConversionError",
    "Healing",
    "Report",
    "RepositionReport",
    "VocabularyReport",
    "add_tokens",
    "convert",
    "factorise",
    "replace_tokenizer",
    "reposition",
    "trim",
]
