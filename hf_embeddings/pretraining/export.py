"""What a finished run leaves: weights, code, tokenizer, options, figures and a model card."""

import json
from pathlib import Path

from hf_embeddings.pretraining.options import PretrainingOptions

CARD = """---
language: [{language}]
license: {license}
library_name: transformers
pipeline_tag: fill-mask
tags: [triembed, fill-mask, {objectives}]
---

# {name}

A TriEmbed encoder pretrained with hf-embeddings. Its input is the sum token + position + segment.

| | |
|---|---|
| position type | `{position}` |
| layers, width, heads | {layers}, {width}, {heads} |
| parameters | {parameters:,} |
| vocabulary | {vocabulary:,} |
| corpus | `{corpus}`: {training_documents:,} documents for training, {evaluation_documents:,} held out |
| training | {steps:,} steps, {tokens:,} tokens, {seconds:,.0f} s at {speed:,.0f} tokens/s |

## Held-out figures

| figure | value |
|---|---|
{figures}

A model that knows only how often each token occurs has an MLM loss of {unigram_loss:.3f} nats.

## Use

```python
from transformers import AutoTokenizer, pipeline

tokenizer = AutoTokenizer.from_pretrained("PATH_OR_ID")
fill = pipeline("fill-mask", model="PATH_OR_ID", tokenizer=tokenizer, trust_remote_code=True)
fill("Returns a new [MASK] with the same data.")
```

With `pip install hf-embeddings` and `import hf_embeddings`, `trust_remote_code` is not needed.

## Limits

The model knows only the corpus above, and repeats its biases. The run's exact options are in `pretraining.yaml`, its
figures in `pretraining.json`.
"""


def export(
    model,
    tokenizer,
    options: PretrainingOptions,
    figures: dict[str, object],
    statistics: dict[str, int],
    folder: Path,
    options_text: str,
) -> None:
    """Write everything a user of the checkpoint needs into `folder`."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "pretraining.yaml").write_text(options_text, encoding="utf-8")
    (folder / "pretraining.json").write_text(json.dumps(figures | {"corpus": statistics}, indent=2) + "\n")
    config = model.config
    (folder / "README.md").write_text(
        CARD.format(
            language=", ".join(options.card.language),
            license=options.card.license,
            objectives=", ".join(options.examples.objectives),
            name=options.card.name or Path(options.output_dir).name,
            position=config.position_embedding_type,
            layers=config.num_hidden_layers,
            width=config.hidden_size,
            heads=config.num_attention_heads,
            parameters=figures["parameters"],
            vocabulary=config.vocab_size,
            corpus=options.corpus.source,
            training_documents=statistics["training_documents"],
            evaluation_documents=statistics["evaluation_documents"],
            steps=figures["training_steps"],
            tokens=figures["training_tokens"],
            seconds=figures["training_seconds"],
            speed=figures["training_tokens_per_second"],
            unigram_loss=figures["unigram_loss"],
            figures="\n".join(
                f"| {name.replace('_', ' ')} | {value:.4g} |"
                for name, value in figures.items()
                if name.startswith(("mlm_", "nsp_"))
            ),
        ),
        encoding="utf-8",
    )
