"""The families, one table file each, by their `model_type`."""

from hf_embeddings.conversion.families.bert import BERT
from hf_embeddings.conversion.rules import Family

FAMILIES: dict[str, Family] = {family.model_type: family for family in (BERT,)}
