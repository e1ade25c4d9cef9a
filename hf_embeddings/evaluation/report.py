"""The report of an evaluation: every measure that was asked for, of one model directory."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from hf_embeddings.evaluation import measures
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.file_names import EMBEDDING_EVALUATION
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.progress import Phase
from hf_embeddings.publishing.card import write_card
from hf_embeddings.records.evaluation import EvaluationReport, VectorChoice

Figures = TypeVar("Figures")


@dataclass(frozen=True, kw_only=True)
class EvaluationData:
    """What a model is tested on."""

    similarity: Sequence[Path] = ()
    analogies: Sequence[Path] = ()
    retrieval: Sequence[Path] = ()
    bias: Sequence[str] = ()  # "weat", or a file
    corpus: str  # where the sentences are from
    sentences: Sequence[str]  # whose vectors show the geometry

    @property
    def count(self) -> int:
        """How many measurements that makes, those of table, text and sizes included."""
        return len(self.similarity) + len(self.analogies) + len(self.retrieval) + len(self.bias) + 3


def evaluate(folder: str, vectors: Vectors, data: EvaluationData) -> EvaluationReport:
    """Measure everything, and show what is being measured."""
    with Phase("", data.count, unit="done", passing=True) as phase:
        recipe = vectors.encoder.recipe
        return EvaluationReport(
            model=str(folder),
            vectors=VectorChoice(
                source=vectors.source, pooling=recipe.pooling, layer=recipe.layer, prompt=vectors.prompt
            ),
            similarity=_of_each(phase, "similarity", data.similarity, partial(measures.similarity, vectors)),
            analogies=_of_each(phase, "analogies", data.analogies, partial(measures.analogies, vectors)),
            retrieval=_of_each(phase, "retrieval", data.retrieval, partial(measures.retrieval, vectors)),
            bias=[
                figures
                for name in data.bias
                for figures in _once(phase, f"bias {name}", partial(measures.bias, vectors, name))
            ],
            table=_once(phase, "table", partial(measures.table_geometry, vectors)),
            text=replace(
                _once(phase, "text", partial(measures.text_geometry, vectors, data.sentences)), corpus=data.corpus
            ),
            sizes=_once(
                phase, "sizes", partial(measures.sizes, vectors, data.sentences, data.similarity, data.retrieval)
            ),
        )


def _of_each(phase: Phase, name: str, paths: Sequence[Path], measure: Callable[[Path], Figures]) -> dict[str, Figures]:
    return {path.stem: _once(phase, f"{name} {path}", partial(measure, path)) for path in paths}


def _once(phase: Phase, label: str, measure: Callable[[], Figures]) -> Figures:
    phase.describe(label)
    figures = measure()
    phase.advance()
    return figures


def write_into_card(folder: Path, report: EvaluationReport) -> None:
    """Leave the figures beside the weights and bring the model card up to date."""
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
    replace_text(folder / EMBEDDING_EVALUATION, f"{text}\n", durable=False)
    write_card(folder)
