"""The tables themselves: every rule is used by some conversion, and the names of families are unique."""

from hf_embeddings.conversion import FAMILIES
from hf_embeddings.conversion.configs import to_triembed
from hf_embeddings.conversion.plan import make_plan
from hf_embeddings.conversion.rules import Family

SHAPES = [{}, {"embedding_size": 16}]


def used(family: Family) -> set:
    """Return the rules that plans for all heads use, over the shapes that a family's models have."""
    rules: set = set()
    for architecture, head in family.heads.items():
        for shape in SHAPES if any("embedding_size" in rule.sources for rule in family.config) else SHAPES[:1]:
            given = {
                rule.sources[0]: 2 for rule in family.config if "num_hidden_layers" in rule.targets and rule.sources
            }
            for tied in (True, False):
                config = to_triembed(given | shape | {"tie_word_embeddings": tied}, family, head)
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
