"""Take a bias direction out of a TriEmbed checkpoint, and say what changed: bias, and its price."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from hf_embeddings.conversion.companion_files import copy_companions
from hf_embeddings.conversion.origin import display_name, write_origin
from hf_embeddings.conversion.surgery.own_checkpoint import load_own, save_own
from hf_embeddings.conversion.tokenizer_check import check_tokenizer
from hf_embeddings.corpora.word_pairs import WordPair, read_word_pairs
from hf_embeddings.debiasing.comparison import LIMITS, comparison
from hf_embeddings.debiasing.measuring import Leaning, figures, whole_words
from hf_embeddings.debiasing.pooled import find_directions, write_projection
from hf_embeddings.debiasing.table import debias_table
from hf_embeddings.evaluation.evaluation_data import EvaluationData
from hf_embeddings.evaluation.vectors import Source, Vectors
from hf_embeddings.file_names import DEBIASING
from hf_embeddings.files.staging import staged_directory
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.auto_classes import open_tokenizer
from hf_embeddings.loading.saved_model import check_saved
from hf_embeddings.records.debiasing import DebiasReport

Part = Literal["table", "vectors"]
VIEWS: dict[Part, tuple[Source, ...]] = {"table": ("table", "contextual"), "vectors": ("contextual",)}


def debias(
    source: str | Path,
    target: str | Path,
    pairs: Sequence[str],
    *,
    of: Part,
    data: EvaluationData,
    dimensions: int = 1,
    specific: Sequence[str] = (),
    texts: Iterable[str] | None = None,
    text_name: str | None = None,
    overwrite: bool = False,
    notify: Callable[[str], None] = lambda line: None,
    finish: Callable[[Path], object] = lambda folder: None,
) -> DebiasReport:
    """Write `source` without what tells two groups of words apart.

    Args:
        source: directory of a TriEmbed checkpoint.
        target: directory to write; appears only when everything is done.
        pairs: lists of word pairs: names, or files.
        of: what it is taken out of: rows of the token table, or pooled vectors, by a module behind the pooling.
        data: what is measured before and after.
        dimensions: directions to take out.
        specific: words that keep their rows in the table.
        texts: documents whose sentences give the directions of pooled vectors; None takes frames of the package.
        text_name: what to call them in the report.
        overwrite: replace `target` if it is not empty.
        notify: called with a line of text now and then.
        finish: called with the directory just before it appears; what it writes there appears with it.

    Raises:
        ConversionError: the source is no TriEmbed checkpoint.
        ValueError: the pairs cannot be used, or the target cannot be written.
    """
    folder, word_pairs = Path(source), read_word_pairs(pairs)
    model, tokenizer = load_own(folder), open_tokenizer(folder)
    with staged_directory(Path(target), inputs={"source": folder}, overwrite=overwrite) as stage:
        report = DebiasReport(
            source=str(source), target=str(target), of=of, pairs=", ".join(pairs), pairs_used=[], pairs_left_out=[],
            dimensions=dimensions, explained=[],
        )  # fmt: skip
        before = {view: Vectors.load(folder, source=view) for view in VIEWS[of]}
        if of == "table":
            change = debias_table(model, tokenizer, word_pairs, dimensions=dimensions, specific=specific)
            report.rows_neutralized, report.rows_kept = change.neutralized, change.kept
            report.pairs_equalized, report.head = change.equalized, change.head
            explained, used, left_out = change.explained, change.used, change.left_out
        else:
            found = find_directions(before["contextual"].encoder, word_pairs, dimensions=dimensions, texts=texts)
            report.sentences, report.sentences_from = found.sentences, text_name
            explained, used, left_out = found.explained, found.used, found.left_out
        report.explained, report.pairs_used, report.pairs_left_out = explained.tolist(), used, left_out
        save_own(model, stage, source=folder)
        copy_companions(folder, stage, tokenizer_class=type(tokenizer).__name__)
        check_tokenizer(folder, stage)
        if of == "vectors":
            write_projection(stage, found.directions)
        check_saved(stage)
        for view, old in before.items():
            notify(f"measuring {view} vectors before and after")
            leaning = _leaning(old, word_pairs, used, specific)
            report.before[view] = figures(old, data, leaning)
            report.after[view] = figures(Vectors.load(stage, source=view), data, leaning)
        (stage / DEBIASING).write_text(f"{json_text(report.to_dict(), indent=2)}\n", encoding="utf-8", newline="\n")
        phrase = f"made from `{display_name(source)}` by taking a bias direction out of its {_WHERE[of]}"
        write_origin(stage, source=source, folder=folder, phrase=phrase, description=_description(report))
        finish(stage)
    return report


_WHERE = {"table": "token table", "vectors": "pooled vectors"}


def _leaning(
    vectors: Vectors, pairs: Sequence[WordPair], used: Sequence[tuple[str, str]], specific: Sequence[str]
) -> Leaning:
    """Return the words that lean to either side before, those of the pairs aside."""
    left_out = [word for pair in pairs for word in pair]
    return Leaning(vectors, whole_words(vectors, [*left_out, *specific]), used)


def _description(report: DebiasReport) -> str:
    """Return what was done, and the figures, in Markdown."""
    head, *rows = comparison(report)
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in (head, *rows)]
    table = "\n".join([lines[0], "|---|---|---:|---:|", *lines[1:]])
    where = f"{report.dimensions} of the directions in which {len(report.pairs_used)} pairs of `{report.pairs}` differ"
    return f"Taken out of the {_WHERE[report.of]}: {where}.\n\n{table}\n\n{LIMITS}"
