"""The families, one table file each, by name: their `model_type`, unless several share one."""

from hf_embeddings.conversion.families.bert import BERT
from hf_embeddings.conversion.families.distilbert import DISTILBERT
from hf_embeddings.conversion.families.electra import ELECTRA
from hf_embeddings.conversion.families.gte import GTE
from hf_embeddings.conversion.families.modernbert import MODERNBERT
from hf_embeddings.conversion.families.mpnet import MPNET
from hf_embeddings.conversion.families.nomic_bert import NOMIC_BERT
from hf_embeddings.conversion.families.roberta import CAMEMBERT, ROBERTA, XLM_ROBERTA
from hf_embeddings.conversion.families.roformer import ROFORMER
from hf_embeddings.conversion.rules import Family

FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        BERT, ROBERTA, XLM_ROBERTA, CAMEMBERT, DISTILBERT, ELECTRA, MPNET, ROFORMER, NOMIC_BERT, GTE, MODERNBERT,
    )
}  # fmt: skip
