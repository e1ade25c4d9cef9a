"""What a conversion did, and the model card that says so."""

import re
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Report:
    """What a conversion did."""

    source: str
    target: str
    source_class: str
    target_class: str
    position_embedding_type: str
    tensors: int
    bytes: int
    largest_difference: float | None  # None: not checked
    largest_output: float | None
    checked_on: str | None  # "text" or "spread" token ids
    copied: tuple[str, ...]
    seconds: float


def write_card(report: Report, folder: Path, *, to_triembed: bool) -> str:
    """Return the README.md of a converted checkpoint whose source lies in `folder`; its license is taken over."""
    sentences = "modules.json" in report.copied
    source = Path(report.source)
    return CARD.format(
        tags=", ".join(["triembed"] * to_triembed + ["sentence-transformers"] * sentences + ["converted"]),
        license=license_line(folder / "README.md"),
        name=Path(report.target).name,
        source=source.name if source.exists() else report.source,
        architecture=report.source_class,
        target_class=report.target_class,
        position=report.position_embedding_type,
        tensors=report.tensors,
        size=report.bytes,
        check=_checked(report),
        code="\n".join((["import hf_embeddings"] if to_triembed else []) + _loading(report.target_class, sentences)),
    )


def license_line(origin: Path) -> str:
    """Return the license of a model card as a line for another one, empty where it names none."""
    text = origin.read_text(encoding="utf-8", errors="replace") if origin.is_file() else ""
    found = re.search(r"^license:\s*\S+$", text, re.MULTILINE)
    return f"{found[0]}\n" if found else ""


def _checked(report: Report) -> str:
    if report.largest_difference is None:
        return "not checked"
    tokens = "on text" if report.checked_on == "text" else "on ids spread over the vocabulary"
    return (
        f"at most {report.largest_difference:.2g} over all logits and hidden states (fp32, {tokens}; largest output "
        f"{report.largest_output:.3g})"
    )


def _loading(target_class: str, sentences: bool) -> list[str]:
    if sentences:
        name, module = "SentenceTransformer", "sentence_transformers"
        return [f"from {module} import {name}", "", f'model = {name}("PATH_OR_ID")']
    auto = "AutoModel" + "".join(re.findall(r"For\w+$", target_class))
    return [f"from transformers import {auto}", "", f'model = {auto}.from_pretrained("PATH_OR_ID")']
