"""Results in the Hub's newer form, `.eval_results/*.yaml`: each names a data set of the Hub, whose page lists them."""

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from hf_embeddings.files.atomic import replace_text
from hf_embeddings.publishing.checkpoint import Checkpoint
from hf_embeddings.records.run import flat

FILE = ".eval_results/hf-embeddings.yaml"
OF_PRETRAINING = {
    "mlm_accuracy": "masked language modeling accuracy",
    "nsp_accuracy": "next sentence prediction accuracy",
}


def write_eval_results(checkpoint: Checkpoint) -> None:
    """Write the results that belong to data sets of the Hub beside the weights, or remove those that no longer hold."""
    path = checkpoint.folder / FILE
    entries = [*_of_pretraining(checkpoint), *_of_mteb(checkpoint)]
    if entries:
        path.parent.mkdir(exist_ok=True)
        replace_text(path, yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False))
    else:
        path.unlink(missing_ok=True)


def _of_pretraining(checkpoint: Checkpoint) -> list[EvalResultEntry]:
    """Return the held-out figures of a run on a corpus of the Hub."""
    source = (checkpoint.options and checkpoint.options.corpus and checkpoint.options.corpus.source) or ""
    if not source.startswith("hub:"):
        return []
    name = source.removeprefix("hub:").split(":")[0]
    figures = flat(checkpoint.pretraining.held_out) if checkpoint.pretraining else {}
    return [
        EvalResultEntry(name, task, round(100 * figures[task], 2), notes=f"{words} in %, on documents held out")
        for task, words in OF_PRETRAINING.items()
        if task in figures
    ]


def _of_mteb(checkpoint: Checkpoint) -> list[EvalResultEntry]:
    """Return the main scores of MTEB tasks, under the data sets and revisions that they were measured on."""
    report = checkpoint.embedding_evaluation
    if report is None:
        return []
    sources = report.mteb_datasets or {}
    return [
        EvalResultEntry(
            sources[task].id, task, round(100 * score, 2), dataset_revision=sources[task].revision, notes="MTEB"
        )
        for task, score in (report.mteb or {}).items()
        if task in sources and score is not None
    ]
