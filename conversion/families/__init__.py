"""The families, one table file each, by name: their `model_type`, unless several share one."""

from hf_embeddings.conversion.families.bert import BERT, RELATIVE_KEY, RELATIVE_KEY_QUERY
from hf_embeddings.conversion.families.deberta_v2 import DEBERTA_V2
from hf_embeddings.conversion.families.distilbert import DISTILBERT
from hf_embeddings.conversion.families.electra import ELECTRA
from hf_embeddings.conversion.families.gte import GTE
from hf_embeddings.conversion.families.jina_bert import JINA_BERT
from hf_embeddings.conversion.families.modernbert import MODERNBERT
from hf_embeddings.conversion.families.mpnet import MPNET
from hf_embeddings.conversion.families.nomic_bert import NOMIC_BERT, NOMIC_BERT_V1
from hf_embeddings.conversion.families.roberta import CAMEMBERT, ROBERTA, XLM_ROBERTA
from hf_embeddings.conversion.families.roformer import ROFORMER
from hf_embeddings.conversion.rules import Config, ConversionError, Family

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        BERT,
        RELATIVE_KEY,
        RELATIVE_KEY_QUERY,
        JINA_BERT,
        ROBERTA,
        XLM_ROBERTA,
        CAMEMBERT,
        DISTILBERT,
        ELECTRA,
        MPNET,
        ROFORMER,
        NOMIC_BERT,
        NOMIC_BERT_V1,
        GTE,
        MODERNBERT,
        DEBERTA_V2,
    )
}


def find_family(config: Config) -> Family:
    """Return the family of a config.json, by its `model_type` and, where several share one, by the keys that tell them.

    Raises:
        ConversionError: no table is for this kind of checkpoint.
    """
    model_type = config.get("model_type")
    same_type = [family for family in FAMILIES.values() if family.model_type == model_type]
    for family in same_type:
        marks = family.marks.items()
        if marks and all(key in config and (values is None or config[key] in values) for key, values in marks):
            return family
    if not same_type:
        raise ConversionError(
            f"model_type {model_type!r}: no table for this family; expected one of "
            f"{', '.join(sorted({family.model_type for family in FAMILIES.values()}))}"
        )
    return next(family for family in same_type if not family.marks)
