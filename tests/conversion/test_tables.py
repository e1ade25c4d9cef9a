"""The tables themselves: every rule is used by some conversion, and the names of families are unique."""

from hf_embeddings.conversion import FAMILIES
from hf_embeddings.conversion.configs import to_triembed
from hf_embeddings.conversion.family import Family
from hf_embeddings.conversion.plan import make_plan

DEBERTA = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
SHAPES = {  # what a table needs beyond a family's defaults so that each of its rules has something to do
    "electra": [{"embedding_size": 16}],
    "roformer": [{"embedding_size": 16}],
    "albert": [{"embedding_size": 16}],
    "eurobert": [{"classifier_pooling": "mean"}],
    "deberta": [DEBERTA | {"type_vocab_size": 2}],
    "deberta-v2": [DEBERTA | {"type_vocab_size": 2, "norm_rel_ebd": "layer_norm"}],
}


def used(family: Family) -> set:
    """Return the rules that plans for all heads use, over the shapes that a family's models have."""
    rules: set = set()
    depth = {rule.sources[0]: 2 for rule in family.config if "num_hidden_layers" in rule.targets and rule.sources}
    for architecture, head in family.heads.items():
        for shape in SHAPES.get(family.name, [{}]):
            for tied in (True, False):
                config = to_triembed(depth | shape | {"tie_word_embeddings": tied}, family, head)
                rules |= make_plan(family, architecture, config).rules
    return rules


def test_every_rule_is_used() -> None:
    for family in FAMILIES.values():
        rules = {*family.encoder, *(rule for head in family.heads.values() for rule in head.weights)}
        assert rules == used(family), family.name


def test_names_are_unique() -> None:
    assert all(family.name == name for name, family in FAMILIES.items())
    plain = [family.model_type for family in FAMILIES.values() if not family.marks]
    assert len(plain) == len(set(plain))
