"""`hf-embeddings vocabulary`: add tokens, replace the tokenizer, trim it to a corpus, factorise the token table."""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_embeddings.cli.output import AsJson, TextField, corpus_inputs, reader_of
from hf_embeddings.corpora.sources import check_source
from hf_embeddings.evaluation.file_lines import read_lines
from hf_embeddings.files.staging import check_target
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import check_model
from hf_embeddings.printable import counted

if TYPE_CHECKING:
    import torch

    from hf_embeddings.conversion.surgery.vocabulary import VocabularyReport


class Action(Enum):
    """What to do with the vocabulary."""

    add = "add"
    replace = "replace"
    trim = "trim"
    factorise = "factorise"


OPTIONS = {  # that each action reads
    Action.add: ("token", "tokens-file", "vectors", "inside-words", "corpus"),
    Action.replace: ("tokenizer", "corpus", "vocab-size"),
    Action.trim: ("corpus",),
    Action.factorise: ("rank",),
}


def vocabulary(
    action: Annotated[Action, typer.Argument(help="What to do.")],
    source: Annotated[str, typer.Argument(help="Directory of a TriEmbed checkpoint.")],
    target: Annotated[str, typer.Argument(help="Directory to write.")],
    token: Annotated[list[str] | None, typer.Option(help="add: a word; may be given several times.")] = None,
    tokens_file: Annotated[str | None, typer.Option(help="add: a file with one word a line.")] = None,
    vectors: Annotated[
        str | None, typer.Option(help="add: static vectors, one 'word number number ...' a line.")
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(help="replace: directory or Hub id of the new tokenizer.")] = None,
    inside_words: Annotated[
        bool, typer.Option("--inside-words", help="add: find the words inside longer words too.")
    ] = False,
    corpus: Annotated[
        str | None,
        typer.Option(help="replace: train on this. trim: keep what this uses. add: say how many of its pieces change."),
    ] = None,
    text_field: TextField = "text",
    vocab_size: Annotated[int | None, typer.Option(min=8, help="replace: tokens of the tokenizer to train.")] = None,
    rank: Annotated[int | None, typer.Option(help="factorise: width of the token table.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the target directory if it is not empty.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change the vocabulary of a model; the rows of tokens that stay are bit-identical."""
    values: dict[str, object] = {
        "token": token, "tokens-file": tokens_file, "vectors": vectors, "inside-words": inside_words,
        "tokenizer": tokenizer, "vocab-size": vocab_size, "rank": rank, "corpus": corpus,
    }  # fmt: skip
    _refuse_foreign(action, values)
    check_model(source, "the directory of a TriEmbed checkpoint")
    if corpus is not None:
        check_source(corpus)
    inputs: dict[str, str | Path | None] = {"SOURCE": source, "--tokens-file": tokens_file, "--vectors": vectors}
    inputs |= corpus_inputs("--corpus", corpus)
    if tokenizer is not None and Path(tokenizer).exists():
        inputs["--tokenizer"] = tokenizer
    check_target(Path(target), inputs=inputs, overwrite=overwrite)
    words = [*(token or []), *_words(tokens_file)]
    if action is Action.trim and corpus is None:
        raise ValueError("--corpus: missing, expected the documents that trim keeps the tokens of")
    if action is Action.factorise and rank is None:
        raise ValueError("--rank: missing, expected the width of the token table after factorise")
    from hf_embeddings.conversion.surgery import vocabulary as changes
    from hf_embeddings.publishing.card import write_card

    texts = _texts(corpus, text_field) if corpus else []
    change: Callable[..., VocabularyReport]
    if action is Action.add:
        change = partial(changes.add_tokens, tokens=words, inside_words=inside_words, texts=texts)
        change = partial(change, vectors=_vectors(vectors))
    elif action is Action.replace:
        change = partial(changes.replace_tokenizer, tokenizer=tokenizer, texts=texts, vocab_size=vocab_size)
    elif action is Action.trim:
        change = partial(changes.trim, texts=texts)
    else:
        change = partial(changes.factorise, rank=rank or 0)
    report = change(source, target, overwrite=overwrite, finish=write_card)
    print(json_text(report.to_dict()) if as_json else _sentences(report))


def _refuse_foreign(action: Action, values: Mapping[str, object]) -> None:
    """Refuse options that another action reads, which would be dropped."""
    if foreign := [name for name, value in values.items() if value and name not in OPTIONS[action]]:
        allowed = ", ".join(f"--{name}" for name in OPTIONS[action])
        raise ValueError(f"{action.value}: got --{foreign[0]}, expected only {allowed}; leave it out")
    if values["vocab-size"] and values["tokenizer"]:
        raise ValueError("replace: got --vocab-size beside --tokenizer, expected it with --corpus; leave one out")


def _sentences(report: "VocabularyReport") -> str:
    from hf_embeddings.conversion.surgery.vocabulary import figure_text

    before, after = report.vocab_size
    wanted = report.requested_size
    lines = [
        f"{report.target}: {after:,} tokens (before {before:,}), {report.kept:,} rows unchanged",
        *([f"  the texts give fewer tokens than the {wanted:,} asked for; more texts give more"] if wanted else []),
        f"  parameters {report.parameters[1]:,} (before {report.parameters[0]:,})",
        *([f"  tokens already, left as they are: {', '.join(report.known)}"] if report.known else []),
        *(f"  {name.replace('_', ' ')} {figure_text(value)}" for name, value in report.figures.items()),
    ]
    return "\n".join(lines)


def _words(path: str | None) -> list[str]:
    return [word for _, word in read_lines(Path(path)) if word.strip()] if path else []


def _texts(source: str, text_field: str) -> list[str]:
    from hf_embeddings.corpora.corpus import read_documents

    return list(read_documents(source, reader_of(text_field)))


def _vectors(path: str | None) -> dict[str, "torch.Tensor"] | None:
    """Read word vectors as GloVe and word2vec write them as text; a first line of two numbers is skipped."""
    if path is None:
        return None
    import torch

    result = {}
    for number, (place, line) in enumerate(read_lines(Path(path)), start=1):
        word, *values = line.rstrip().split(" ")
        if number == 1 and len(values) == 1:
            continue
        try:
            result[word] = torch.tensor([float(value) for value in values])
        except ValueError:
            raise ValueError(f"{place}: expected a word and numbers; fix the line") from None
        if len(values) != (width := len(next(iter(result.values())))):
            raise ValueError(f"{place}: got {counted(len(values), 'number')}, expected {width} as before; fix the line")
    return result
