"""The report of an evaluation: every measure that was asked for, of one model directory."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from hf_embeddings.evaluation import measures
from hf_embeddings.evaluation.evaluation_data import EvaluationData
from hf_embeddings.evaluation.sentence_likelihood import judge_grammar, load_masked_model
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.evaluation.workload import Workload
from hf_embeddings.file_names import EMBEDDING_EVALUATION
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.json_text import json_text
from hf_embeddings.progress import Phase
from hf_embeddings.publishing.card import write_card
from hf_embeddings.records.evaluation import EvaluationReport, VectorChoice

Figures = TypeVar("Figures")
Step = tuple[str, str, float, Callable[[], Any]]  # kind, name of the file, cost, and what measures it


def evaluate(folder: str, vectors: Vectors, data: EvaluationData) -> EvaluationReport:
    """Measure everything, and show what is being measured, and how far all of it is."""
    recipe = vectors.encoder.recipe
    plan = [*_plan(vectors, data), *_plan_grammar(folder, vectors, data)]
    figures: dict[str, dict[str, Any]] = {kind: {} for kind, *_ in plan}
    with Phase("", sum(cost for *_, cost, _ in plan), passing=True) as phase:
        for kind, name, cost, measure in plan:
            phase.describe(f"{kind} {name}".strip())
            figures[kind][name] = _measured(vectors, phase, phase.done + cost, measure)
    return EvaluationReport(
        model=str(folder),
        vectors=VectorChoice(source=vectors.source, pooling=recipe.pooling, layer=recipe.layer, prompt=vectors.prompt),
        similarity=figures.get("similarity", {}),
        analogies=figures.get("analogies", {}),
        retrieval=figures.get("retrieval", {}),
        bias=[*chain.from_iterable(figures.get("bias", {}).values())],
        grammar=figures.get("minimal pairs"),
        table=figures["table"][""],
        text=replace(figures["text"][""], corpus=data.corpus),
        sizes=figures["sizes"][""],
    )


def _plan(vectors: Vectors, data: EvaluationData) -> list[Step]:
    """Return all measures of vectors."""
    work = Workload(vectors.encoder.max_length)
    rows = min(len(vectors.table), measures.ROWS_COMPARED)
    return [
        *(("similarity", name, work.similarity(one), partial(measures.measure_similarity, vectors, one))
          for name, one in data.similarity.items()),
        *(("analogies", name, work.analogies(one), partial(measures.analogies, vectors, one))
          for name, one in data.analogies.items()),
        *(("retrieval", name, work.retrieval(one), partial(measures.retrieval, vectors, one))
          for name, one in data.retrieval.items()),
        *(("bias", name, work.bias(one), partial(measures.bias, vectors, one, name))
          for name, one in data.bias.items()),
        ("table", "", work.table(rows), partial(measures.table_geometry, vectors)),
        ("text", "", work.text(data.sentences), partial(measures.text_geometry, vectors, data.sentences)),
        ("sizes", "", work.sizes(data.sentences, data.retrieval),
         partial(measures.sizes, vectors, data.sentences, data.similarity, data.retrieval)),
    ]  # fmt: skip


def _plan_grammar(folder: str, vectors: Vectors, data: EvaluationData) -> list[Step]:
    """Return the minimal pairs of each language; the head that they need is looked for before anything is measured."""
    if not data.grammar:
        return []
    model, tokenizer, work = load_masked_model(folder), vectors.encoder.tokenizer, Workload(vectors.encoder.max_length)
    return [
        ("minimal pairs", language, work.grammar(language), partial(judge_grammar, model, tokenizer, language))
        for language in data.grammar
    ]


def _measured(vectors: Vectors, phase: Phase, end: float, measure: Callable[[], Figures]) -> Figures:
    """Return the figures of a measure, while a phase moves to where it is once they are there."""
    vectors.told = lambda cost: phase.reach(min(end, phase.done + cost))
    try:
        figures = measure()
    finally:
        vectors.told = lambda cost: None
    phase.reach(end)
    return figures


def write_into_card(folder: Path, report: EvaluationReport) -> None:
    """Leave the figures beside the weights and bring the model card up to date."""
    replace_text(folder / EMBEDDING_EVALUATION, f"{json_text(report.to_dict(), indent=2)}\n", durable=False)
    write_card(folder)
