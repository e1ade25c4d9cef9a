"""The front matter of a model card: what the Hub filters, displays and ranks by."""

from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from hf_embeddings.publishing.checkpoint import Checkpoint
from hf_embeddings.publishing.figures import corpus_name, corpus_names
from hf_embeddings.publishing.sections import title
from hf_embeddings.publishing.static_sections import TAGS
from hf_embeddings.records.run import flat

METRICS = {  # figure of a pretraining run -> task of the Hub, metric, and the metric's name in words
    "mlm_loss": ("fill-mask", "loss", "Masked language modeling loss in nats"),
    "mlm_accuracy": ("fill-mask", "accuracy", "Masked language modeling accuracy"),
    "nsp_accuracy": ("text-classification", "accuracy", "Next sentence prediction accuracy"),
    "sop_accuracy": ("text-classification", "accuracy", "Sentence order prediction accuracy"),
    "rtd_roc_auc": ("token-classification", "roc_auc", "Replaced token detection, area under the ROC curve"),
}


def metadata(checkpoint: Checkpoint, model_id: str | None) -> dict[str, object]:
    """Return the front matter as plain data, without what is not known."""
    datasets = [name.removeprefix("hub:") for name in corpus_names(checkpoint) if name.startswith("hub:")]
    task = checkpoint.task.pipeline_tag
    sentences = ["sentence-transformers"] if checkpoint.sentence_class else []
    licence: Any = checkpoint.license  # several are a list, as in the metadata of the Hub
    card = ModelCardData(
        language=checkpoint.language or None,
        license=licence,
        library_name="sentence-transformers" if sentences else "transformers",
        pipeline_tag=task,
        tags=TAGS if checkpoint.is_static else _tags(checkpoint, task, sentences),
        base_model=next((source.base_model for source in checkpoint.sources if source.base_model), None),
        datasets=datasets or None,
        eval_results=_eval_results(checkpoint) or None,
        model_name=title(checkpoint, model_id),
        ignore_metadata_errors=True,
    ).to_dict()
    for source in reversed(checkpoint.sources):
        if source.license == checkpoint.license:  # a license of its own has no other's name
            card |= {key: value for key, value in source.to_dict().items() if key in ("license_name", "license_link")}
    card.pop("model_name", None)  # without results there is no model-index to name
    return card


def _tags(checkpoint: Checkpoint, task: str, sentences: list[str]) -> list[str]:
    objectives = checkpoint.options.examples.objectives if checkpoint.options else []
    if checkpoint.embedding:
        objectives = [checkpoint.embedding.loss]
    return ["triembed", task, "feature-extraction", *sentences, *checkpoint.config.position_parts, *objectives]


def _eval_results(checkpoint: Checkpoint) -> list[EvalResult]:
    run, name = checkpoint.pretraining, corpus_name(checkpoint)
    ranking = checkpoint.embedding.after.ranking if checkpoint.embedding and checkpoint.embedding.after else None
    gain = (ranking.ndcg or {}).get(10) if ranking else None
    figures = flat(run.held_out) if run else {}
    results = [
        EvalResult(
            task_type=task,
            dataset_type=name.removeprefix("hub:"),
            dataset_name=f"documents held out from {name}",
            metric_type=metric,
            metric_name=words,
            metric_value=round(figures[figure], 4),
        )
        for figure, (task, metric, words) in METRICS.items()
        if figure in figures
    ]
    if gain is not None:
        results.append(
            EvalResult(
                task_type="sentence-similarity",
                dataset_type=name.removeprefix("hub:"),
                dataset_name=f"rows held out from {name}",
                metric_type="ndcg_at_10",
                metric_name="nDCG@10",
                metric_value=round(gain, 4),
            )
        )
    results += [
        EvalResult(
            task_type=checkpoint.task.pipeline_tag,
            dataset_type="evaluation-set",
            dataset_name="evaluation set of the fine-tuning run",
            metric_type=name.removeprefix("eval_"),
            metric_value=round(value, 4),
        )
        for name, value in checkpoint.fine_tuning.items()
        if name in ("eval_accuracy", "eval_f1", "eval_exact_match", "eval_pearson", "eval_loss")
    ]
    return results
