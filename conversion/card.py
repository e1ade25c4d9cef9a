"""The model card of a converted checkpoint: where it comes from, and how near to its origin it is."""

CARD = """---
library_name: transformers
tags: [{tags}]
{license}---

# {name}

`{source}` ({architecture}), converted to {target_class} with hf-embeddings.

| | |
|---|---|
| position type | `{position}` |
| tensors | {tensors} |
| bytes | {size:,} |
| difference from the source | {check} |

## Use

```python
{code}
```

## Origin

The weights are those of the source, bit by bit; its license, training data, limits and biases are this model's too.
"""


def write_card(**facts: object) -> str:
    """Return the text of a README.md."""
    return CARD.format(**facts)
