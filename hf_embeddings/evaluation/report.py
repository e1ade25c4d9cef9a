"""The report of an evaluation: every measure that was asked for, of one model directory."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hf_embeddings.evaluation import measures
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.evaluation_report import EvaluationReport, VectorChoice
from hf_embeddings.file_names import EMBEDDING_EVALUATION
from hf_embeddings.files.atomic import write_text
from hf_embeddings.progress import Phase
from hf_embeddings.publishing.card import write_card

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

        def of_each(
            name: str, paths: Sequence[Path], measure: Callable[[Vectors, Path], Figures]
        ) -> dict[str, Figures]:
            return {path.stem: once(f"{name} {path}", lambda path=path: measure(vectors, path)) for path in paths}

        def once(label: str, measure: Callable[[], Figures]) -> Figures:
            phase.describe(label)
            figures = measure()
            phase.advance()
            return figures

        recipe = vectors.encoder.recipe
        return EvaluationReport(
            model=str(folder),
            vectors=VectorChoice(
                source=vectors.source, pooling=recipe.pooling, layer=recipe.layer, prompt=vectors.prompt
            ),
            similarity=of_each("similarity", data.similarity, measures.similarity),
            analogies=of_each("analogies", data.analogies, measures.analogies),
            retrieval=of_each("retrieval", data.retrieval, measures.retrieval),
            bias=[
                figures
                for name in data.bias
                for figures in once(f"bias {name}", lambda name=name: measures.bias(vectors, name))
            ],
            table=once("table", lambda: measures.table_geometry(vectors)),
            text=replace(once("text", lambda: measures.text_geometry(vectors, data.sentences)), corpus=data.corpus),
            sizes=once("sizes", lambda: measures.sizes(vectors, data.sentences, data.similarity, data.retrieval)),
        )


def write_into_card(folder: Path, report: EvaluationReport) -> None:
    """Leave the figures beside the weights and bring the model card up to date."""
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
    write_text(folder / EMBEDDING_EVALUATION, f"{text}\n", durable=False)
    write_card(folder)
