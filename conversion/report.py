"""What a conversion did, and the model card that says so."""

import re
from dataclasses import dataclass
from pathlib import Path

import transformers
import yaml

from hf_embeddings.conversion.family import LayoutCode
from hf_embeddings.conversion.origin import display_name, table
from hf_embeddings.loading.card_metadata import LICENSE, read_metadata
from hf_embeddings.loading.sentence_models import sentence_class

CARD = """---
library_name: transformers
tags: [{tags}]
{metadata}---

# {name}

{made}.

{description}

## Use

```python
{code}
```
"""


@dataclass(frozen=True)
class Report:
    """What a conversion did."""

    source: str
    target: str
    family: str
    source_class: str
    target_class: str
    position_embedding_type: str
    tensors: int
    bytes: int
    largest_difference: float | None  # None: not checked
    largest_output: float | None
    checked_on: str | None  # "text" or "spread" token ids
    copied: tuple[str, ...]
    tokenizer: str  # in words, what the comparison of both tokenizers found
    left_out: tuple[str, ...]  # weights of the source that no output depends on, or that the user dropped
    remarks: tuple[str, ...]  # what was found otherwise than transformers would write it today
    note: str | None  # what one has to know to load the result
    seconds: float


def conversion_phrase(report: Report) -> str:
    """Say in a few words what was converted."""
    return f"converted from `{display_name(report.source)}` (`{report.source_class}`) to `{report.target_class}`"


def description(report: Report) -> str:
    """Return the figures of a conversion in Markdown."""
    rows = {
        "position type": f"`{report.position_embedding_type}`",
        "tensors": str(report.tensors),
        "bytes": f"{report.bytes:,}",
        "difference from the source": _checked(report),
        "tokenizer": report.tokenizer,
    }
    if report.left_out:
        rows["left out, as no output depends on it"] = ", ".join(f"`{name}`" for name in report.left_out)
    return (
        f"{table(rows)}\n\nThe weights are those of the source, bit by bit; its license, training data, limits and "
        "biases are this model's too."
    )


def plain_card(report: Report, folder: Path) -> str:
    """Return the README.md of a checkpoint of another family, made from a TriEmbed one in `folder`."""
    sentences = sentence_class(folder)
    card = read_metadata(folder / "README.md")
    metadata = {key: card[key] for key in (*LICENSE, "language") if key in card}
    words = conversion_phrase(report)
    return CARD.format(
        tags=", ".join(["sentence-transformers"] * bool(sentences) + ["converted"]),
        metadata=yaml.safe_dump(metadata, allow_unicode=True, sort_keys=False) if metadata else "",
        name=Path(report.target).name,
        made=words[0].upper() + words[1:],
        description=description(report),
        code="\n".join(_loading(report.target_class, sentences, trusting=report.note is not None)),
    ) + (f"\n{report.note}\n" if report.note else "")


def how_it_loads(code: LayoutCode) -> str:
    """Say what loads a model that transformers has no class for, with which versions, and what happens otherwise."""
    return (
        f"{code.note}: `trust_remote_code=True` loads the code that lies beside the weights, `{code.file.name}`, "
        f"written for transformers 5 (checked with {transformers.__version__}). Without it, transformers 5 takes this "
        "model for a plain BERT: it fills what the plain one has and this one lacks with random weights, and only "
        "reports it."
    )


def _checked(report: Report) -> str:
    if report.largest_difference is None:
        return "not checked"
    tokens = "on text" if report.checked_on == "text" else "on ids spread over the vocabulary"
    return (
        f"at most {report.largest_difference:.2g} over all logits and hidden states (fp32, {tokens}; largest output "
        f"{report.largest_output:.3g})"
    )


def _loading(target_class: str, sentences: str | None, *, trusting: bool) -> list[str]:
    arguments = '"PATH_OR_ID"' + (", trust_remote_code=True" if trusting else "")
    if sentences:
        return [f"from sentence_transformers import {sentences}", "", f"model = {sentences}({arguments})"]
    auto = "AutoModel" + "".join(re.findall(r"For\w+$", target_class))
    return [f"from transformers import {auto}", "", f"model = {auto}.from_pretrained({arguments})"]
