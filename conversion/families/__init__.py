"""The families, one table file each, by name: their `model_type`, unless several share one."""

from transformers import CONFIG_MAPPING

from hf_embeddings.conversion.families.albert import ALBERT
from hf_embeddings.conversion.families.bert import BERT, RELATIVE_KEY, RELATIVE_KEY_QUERY
from hf_embeddings.conversion.families.deberta import DEBERTA
from hf_embeddings.conversion.families.deberta_v2 import DEBERTA_V2
from hf_embeddings.conversion.families.distilbert import DISTILBERT
from hf_embeddings.conversion.families.electra import ELECTRA
from hf_embeddings.conversion.families.ernie import ERNIE, ERNIE_TASKS
from hf_embeddings.conversion.families.eurobert import EUROBERT
from hf_embeddings.conversion.families.gte import GTE
from hf_embeddings.conversion.families.jina_bert import JINA_BERT
from hf_embeddings.conversion.families.jina_v3 import JINA_V3, JINA_V3_ADAPTERS
from hf_embeddings.conversion.families.modernbert import MODERNBERT
from hf_embeddings.conversion.families.mpnet import MPNET
from hf_embeddings.conversion.families.new import NEW
from hf_embeddings.conversion.families.nomic_bert import NOMIC_BERT, NOMIC_BERT_V1
from hf_embeddings.conversion.families.roberta import CAMEMBERT, ROBERTA, XLM_ROBERTA
from hf_embeddings.conversion.families.roformer import ROFORMER
from hf_embeddings.conversion.families.xlm_roberta_xl import XLM_ROBERTA_XL
from hf_embeddings.conversion.family import Family
from hf_embeddings.conversion.rules import Config, ConversionError

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        BERT,
        RELATIVE_KEY,
        RELATIVE_KEY_QUERY,
        JINA_BERT,
        ERNIE,
        ERNIE_TASKS,
        ALBERT,
        ROBERTA,
        XLM_ROBERTA,
        CAMEMBERT,
        XLM_ROBERTA_XL,
        JINA_V3,
        JINA_V3_ADAPTERS,
        DISTILBERT,
        ELECTRA,
        MPNET,
        ROFORMER,
        NOMIC_BERT,
        NOMIC_BERT_V1,
        GTE,
        NEW,
        EUROBERT,
        MODERNBERT,
        DEBERTA_V2,
        DEBERTA,
    )
}


def find_families(config: Config, name: str | None = None) -> list[Family]:
    """Return the families that a config.json may be of: one, unless it does not say, and the weights must.

    Args:
        config: the config.json.
        name: the name of the family, where the user gives it.

    Raises:
        ConversionError: no table is for this kind of checkpoint.
    """
    if name is not None:
        if name not in FAMILIES:
            raise ConversionError(f"--family {name}: no such family; expected one of {', '.join(sorted(FAMILIES))}")
        return [FAMILIES[name]]
    model_type = config.get("model_type")
    if not isinstance(model_type, str | None):
        raise ConversionError(f"model_type: got {model_type!r}, expected a string")
    if candidates := [family for family in FAMILIES.values() if family.model_type == model_type]:
        return [_marked(config, candidates)]
    if model_type in CONFIG_MAPPING:
        raise ConversionError(
            f"model_type {model_type!r}: no table for this family; expected one of "
            f"{', '.join(sorted({family.model_type for family in FAMILIES.values()}))}; if "
            "its layout is that of one of them, give --family"
        )
    # Old checkpoints and subclasses name no type that is known. Their class may be that of a family.
    classes = set(declared_classes(config))
    possible = [family for family in FAMILIES.values() if classes.intersection(family.heads)] or [*FAMILIES.values()]
    same = {type_: [f for f in possible if f.model_type == type_] for type_ in (f.model_type for f in possible)}
    return [_marked(config, families) for families in same.values()]


def _marked(config: Config, same_type: list[Family]) -> Family:
    """Return the family, of those that share a model type, whose marks the config has."""
    for family in same_type:
        marks = family.marks.items()
        if marks and all(key in config and (values is None or config[key] in values) for key, values in marks):
            return family
    return next(family for family in same_type if not family.marks)


def declared_classes(config: Config) -> list[str]:
    """Return the class names under `architectures`."""
    names = config.get("architectures")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
