"""The rules by which examples are drawn: a run that was begun by another one is not resumed unasked."""

from hf_embeddings.pretraining.examples import masking, pairs
from hf_embeddings.pretraining.options import ExampleOptions


def rules(examples: ExampleOptions) -> dict[str, int]:
    """Return the number of each rule that decides the examples of a run, by what it draws."""
    numbers = {"pairs": pairs.RULE} if pairs.relation(examples.objectives) else {}
    if {"mlm", "rtd"} & set(examples.objectives) and examples.masking_unit != "token":
        numbers["masking"] = masking.RULE
    return numbers
