"""`distil --static`: from an encoder to the directory of a static model, for model2vec and sentence-transformers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.numpy import save_file

from hf_embeddings.conversion.origin import display_name, table, write_origin
from hf_embeddings.embedding.nearness import agreement_on_pairs
from hf_embeddings.embedding.static_table import (
    SMOOTHING,
    StaticTable,
    build_table,
    counted_frequencies,
    ordinary_ids,
    token_vectors,
    zipf_frequencies,
)
from hf_embeddings.file_names import WEIGHTS
from hf_embeddings.files.staging import staged_directory
from hf_embeddings.json_record import JsonRecord
from hf_embeddings.loading.static_model import MODEL_TYPE, ROWS, SCALES
from hf_embeddings.progress import Phases, silent_phase
from hf_embeddings.search.encoder import Encoder

DIMENSION = 256  # as model2vec's
Finish = Callable[[Path], object]


@dataclass(frozen=True, kw_only=True)
class StaticReport(JsonRecord):
    """What a static model was made of, and how near it comes to its teacher."""

    teacher: str
    target: str
    tokens: int  # that have a row
    dimension: int
    bytes: int  # of the weights
    kept_variance: float  # share of the variance of the teacher's rows
    frequencies: str  # what the weights by frequency are from
    agreement: float | None  # rank correlation of cosines with the teacher's, over pairs of the sample's texts
    texts: int  # of the sample


def distil_static(
    teacher: str | Path,
    target: str | Path,
    *,
    dimension: int = DIMENSION,
    corpus: Sequence[str] | None = None,
    corpus_name: str = "",
    sample: Sequence[str] = (),
    overwrite: bool = False,
    phases: Phases = silent_phase,
    finish: Finish = lambda folder: None,
) -> StaticReport:
    """Write the static model of a teacher: a row of D numbers for each token of its vocabulary.

    Args:
        teacher: directory or Hub id of an encoder; its own recipe pools a token.
        target: directory to write.
        dimension: D, at most the width of the teacher.
        corpus: documents to count token frequencies in; None for Zipf's law over the order of the vocabulary.
        corpus_name: what a reader knows the corpus by.
        sample: texts whose similarities are compared with the teacher's.
        overwrite: replace `target` if it is not empty.
        phases: makes the bars of progress.
        finish: called with the directory just before it appears; what it writes there appears with it.

    Raises:
        ValueError: the dimension is larger than the teacher's width, or the vocabulary has gaps.
    """
    encoder = Encoder.load(teacher, precision="fp32")  # a table must not depend on the machine
    if not 2 <= dimension <= encoder.width:
        raise ValueError(f"--dimension {dimension}: expected 2 to {encoder.width}, the width of {teacher}")
    ids = ordinary_ids(encoder.tokenizer)
    size = _vocabulary_size(encoder)
    with phases("tokens through the teacher", len(ids), unit="tokens") as phase:
        vectors = token_vectors(encoder, ids, phase.advance)
    if corpus is None:
        frequencies, source = zipf_frequencies(ids), "Zipf's law over the order of the vocabulary"
    else:
        frequencies, source = counted_frequencies(ids, encoder.tokenizer, corpus), f"token counts of {corpus_name}"
    made = build_table(vectors, ids, frequencies, size=size, dimension=dimension)
    inputs = {"TEACHER": teacher if Path(teacher).exists() else None}
    with staged_directory(Path(target), inputs=inputs, overwrite=overwrite) as stage:
        _write(stage, made, encoder, teacher)
        with phases("comparing with the teacher"):
            near = agreement_on_pairs(encoder.encode(sample), Encoder.load(stage, precision="fp32").encode(sample))
        report = StaticReport(
            teacher=display_name(teacher),
            target=str(target),
            tokens=len(ids),
            dimension=dimension,
            bytes=(stage / WEIGHTS).stat().st_size,
            kept_variance=made.kept_variance,
            frequencies=source,
            agreement=near,
            texts=len(sample),
        )
        write_origin(
            stage,
            source=teacher,
            folder=Path(teacher),
            phrase=f"made from `{report.teacher}` by distillation",
            description=_description(report),
        )
        finish(stage)
    return report


def _vocabulary_size(encoder: Encoder) -> int:
    """Return how many rows the table has: readers of the format expect one for each token, without gaps."""
    ids = sorted(encoder.tokenizer.get_vocab().values())
    if ids != list(range(len(ids))):
        gap = next(place for place, i in enumerate(ids) if place != i)
        raise ValueError(
            f"the tokenizer of the teacher has no token with id {gap}, expected {len(ids)} ids without a gap or a "
            "repetition; give the vocabulary a token there, or take another teacher"
        )
    return len(ids)


def _write(stage: Path, made: StaticTable, encoder: Encoder, teacher: str | Path) -> None:
    """Write the files that model2vec, sentence-transformers and `Encoder.load` read."""
    save_file({ROWS: made.rows, SCALES: made.scales}, stage / WEIGHTS)
    _write_tokenizer(stage, encoder)
    config = {
        "model_type": MODEL_TYPE,
        "architectures": ["StaticModel"],
        "tokenizer_name": display_name(teacher),
        "apply_pca": made.rows.shape[1],
        "sif_coefficient": SMOOTHING,
        "hidden_dim": made.rows.shape[1],
        "hidden_size": made.rows.shape[1],
        "vocab_size": len(made.rows),
        "seq_length": 1000000,
        "max_length": None,  # else model2vec cuts texts at 512 tokens
        "normalize": True,
        "pooling": encoder.recipe.pooling,
        "embedding_dtype": "int8",
    }
    modules = [
        {"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"},
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    similarity: dict[str, object] = {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    files = {"config.json": config, "modules.json": modules, "config_sentence_transformers.json": similarity}
    for name, content in files.items():
        (stage / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")
    (stage / "1_Normalize").mkdir()


def _write_tokenizer(stage: Path, encoder: Encoder) -> None:
    """Write the teacher's tokenizer, which puts nothing around a text now, cuts and pads nothing."""
    tokenizer = encoder.tokenizer
    values = json.loads(tokenizer.backend_tokenizer.to_str())
    values |= {"post_processor": None, "truncation": None, "padding": None}
    (stage / "tokenizer.json").write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8", newline="\n")
    names = {name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    plain = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": int(1e30), **names}
    (stage / "tokenizer_config.json").write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8", newline="\n")


def _description(report: StaticReport) -> str:
    rows = {
        "teacher": f"`{report.teacher}`",
        "rows": f"{report.tokens:,} tokens, each by itself through the teacher",
        "width": f"{report.dimension}, by PCA, which keeps {report.kept_variance:.1%} of the variance",
        "weights of rows": f"{SMOOTHING:g} / ({SMOOTHING:g} + p), p from {report.frequencies}",
        "numbers": "8 bits, with a scale for each row",
    }
    if report.agreement is not None:
        rows["agreement with the teacher"] = (
            f"{report.agreement:.3f} (rank correlation of the cosines of pairs of {report.texts:,} sentences)"
        )
    return table(rows)
