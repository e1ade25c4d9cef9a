"""`hf-embeddings reposition`: other positions, or more of them, for a TriEmbed checkpoint."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hf_embeddings.cli.output import AsJson, TextField, corpus_inputs
from hf_embeddings.corpora.sources import check_source
from hf_embeddings.files.reading import parse_json
from hf_embeddings.files.staging import check_target
from hf_embeddings.json_text import json_kind, json_text
from hf_embeddings.loading.model_names import check_model

if TYPE_CHECKING:
    from hf_embeddings.conversion.surgery.reposition import RepositionReport


def reposition(
    source: Annotated[str, typer.Argument(help="Directory of a TriEmbed checkpoint.")],
    target: Annotated[str, typer.Argument(help="Directory to write.")],
    to: Annotated[str | None, typer.Option(help="position_embedding_type of the result.")] = None,
    max_position_embeddings: Annotated[int | None, typer.Option(help="Longest input of the result in tokens.")] = None,
    rope_parameters: Annotated[str | None, typer.Option(help="As in the config, as JSON.")] = None,
    position_parameters: Annotated[str | None, typer.Option(help="As in the config, as JSON.")] = None,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="Stretch a learned table instead of adding rows.")
    ] = False,
    corpus: Annotated[str | None, typer.Option(help="Measure and heal on this source of documents.")] = None,
    text_field: TextField = "text",
    healing_steps: Annotated[int | None, typer.Option(help="Steps of distillation; 0: none. [default: 200]")] = None,
    healing_length: Annotated[int, typer.Option(help="Tokens in a row while healing.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate while healing.")] = 5e-4,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the target directory if it is not empty.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change the position type of a model, or its length, heal it by distillation, and measure the loss of quality."""
    if healing_steps and corpus is None:
        raise ValueError("--healing-steps: needs texts to heal on; give some with --corpus")
    check_model(source, "the directory of a TriEmbed checkpoint")
    if corpus is not None:
        check_source(corpus)
    check_target(Path(target), inputs={"SOURCE": source, **corpus_inputs("--corpus", corpus)}, overwrite=overwrite)
    parameters = {
        "rope_parameters": _object("rope-parameters", rope_parameters),
        "position_parameters": _object("position-parameters", position_parameters),
    }
    from hf_embeddings.conversion.surgery.healing import Healing
    from hf_embeddings.conversion.surgery.reposition import reposition as run
    from hf_embeddings.progress import print_to_stderr
    from hf_embeddings.publishing.card import write_card

    steps = 200 if healing_steps is None else healing_steps
    healing = Healing(steps, length=healing_length, learning_rate=learning_rate) if corpus and steps else None
    texts, held_out = _documents(corpus, text_field)
    report = run(
        source,
        target,
        to=to,
        max_position_embeddings=max_position_embeddings,
        **parameters,
        interpolate=interpolate,
        texts=texts,
        held_out=held_out,
        healing=healing,
        overwrite=overwrite,
        notify=print_to_stderr,
        finish=write_card,
    )
    if as_json:
        print(json_text(report.to_dict()))
        return
    print("\n".join(_sentences(report)))


def _sentences(report: "RepositionReport") -> Iterator[str]:
    yield f"{report.target}: {report.after}, up to {report.max_position_embeddings[1]:,} tokens"
    for name, how in report.made.items():
        yield f"  {name}: {how}"
    for place, (old, new) in report.limits.items():
        if new != old:
            yield f"  {place}: {new:,} tokens, before {old:,}"
        elif new < report.max_position_embeddings[1]:
            yield f"  {place}: {new:,} tokens, as before; longer texts are cut there"
    for model, lengths in report.figures.items():
        for length, figures in lengths.items():
            values = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items())
            kept_note = f"; kept {report.kept[model][length]:.1%}" if length in report.kept.get(model, {}) else ""
            yield f"  {model:<13} {length:>6} tokens: {values or '-'}{kept_note}"


def _documents(source: str | None, text_field: str) -> tuple[list[str], list[str]]:
    if source is None:
        return [], []
    from hf_embeddings.corpora.corpus import load_corpus

    corpus = load_corpus(source, text_field=text_field)
    return corpus.training, corpus.evaluation


def _object(option: str, text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    cure = """give an object, such as '{"name": 1}'"""
    value = parse_json(text, f"--{option} {text!r:.60}", cure=cure)
    if not isinstance(value, dict):
        raise ValueError(f"--{option} {text!r:.60}: got {json_kind(value)}, expected an object; {cure}")
    return value
