"""The report of an evaluation: every measure that was asked for, of one model directory."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from hf_embeddings.evaluation import measures
from hf_embeddings.evaluation.evaluation_data import EvaluationData
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.file_names import EMBEDDING_EVALUATION
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.json_text import json_text
from hf_embeddings.progress import Phase
from hf_embeddings.publishing.card import write_card
from hf_embeddings.records.evaluation import EvaluationReport, VectorChoice

Given = TypeVar("Given")
Figures = TypeVar("Figures")


def evaluate(folder: str, vectors: Vectors, data: EvaluationData) -> EvaluationReport:
    """Measure everything, and show what is being measured."""
    with Phase("", data.count, unit="done", passing=True) as phase:
        recipe = vectors.encoder.recipe
        return EvaluationReport(
            model=str(folder),
            vectors=VectorChoice(
                source=vectors.source, pooling=recipe.pooling, layer=recipe.layer, prompt=vectors.prompt
            ),
            similarity=_of_each(phase, "similarity", data.similarity, partial(measures.measure_similarity, vectors)),
            analogies=_of_each(phase, "analogies", data.analogies, partial(measures.analogies, vectors)),
            retrieval=_of_each(phase, "retrieval", data.retrieval, partial(measures.retrieval, vectors)),
            bias=[
                figures
                for source, tests in data.bias.items()
                for figures in _once(phase, f"bias {source}", partial(measures.bias, vectors, tests, source))
            ],
            table=_once(phase, "table", partial(measures.table_geometry, vectors)),
            text=replace(
                _once(phase, "text", partial(measures.text_geometry, vectors, data.sentences)), corpus=data.corpus
            ),
            sizes=_once(
                phase, "sizes", partial(measures.sizes, vectors, data.sentences, data.similarity, data.retrieval)
            ),
        )


def _of_each(
    phase: Phase, kind: str, sets: Mapping[str, Given], measure: Callable[[Given], Figures]
) -> dict[str, Figures]:
    return {name: _once(phase, f"{kind} {name}", partial(measure, data)) for name, data in sets.items()}


def _once(phase: Phase, label: str, measure: Callable[[], Figures]) -> Figures:
    phase.describe(label)
    figures = measure()
    phase.advance()
    return figures


def write_into_card(folder: Path, report: EvaluationReport) -> None:
    """Leave the figures beside the weights and bring the model card up to date."""
    replace_text(folder / EMBEDDING_EVALUATION, f"{json_text(report.to_dict(), indent=2)}\n", durable=False)
    write_card(folder)
