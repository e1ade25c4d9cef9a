"""Change the vocabulary of a TriEmbed checkpoint: add tokens, replace the tokenizer, trim it, factorise the table."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from hf_embeddings.conversion.companion_files import TOKENIZER_FILES, copy_companions
from hf_embeddings.conversion.origin import display_name, table, write_origin
from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.conversion.surgery.own_checkpoint import load_own, save_own
from hf_embeddings.conversion.surgery.prompts_and_lengths import check_prompts, stated_prompts, with_prompts
from hf_embeddings.conversion.surgery.token_rows import factorise_rows, fit_vectors, replace_rows, set_special_ids
from hf_embeddings.conversion.surgery.token_sources import sources_of
from hf_embeddings.conversion.surgery.tokenizer_subset import trimmed
from hf_embeddings.conversion.surgery.whole_words import enter_words, new_words, pieces_with_spans, share_changed
from hf_embeddings.conversion.tokenizer_check import check_tokenizer
from hf_embeddings.corpora.word_starts import word_pieces
from hf_embeddings.file_names import VOCABULARY
from hf_embeddings.files.staging import staged_directory
from hf_embeddings.loading.auto_classes import open_tokenizer
from hf_embeddings.loading.saved_model import check_saved
from hf_embeddings.model.modeling_triembed import TriEmbedPreTrainedModel

# Called with the directory just before it appears; what it writes there appears with it.
Finish = Callable[[Path], object]


@dataclass
class VocabularyReport:
    """What changed."""

    source: str
    target: str
    action: str
    vocab_size: tuple[int, int]
    kept: int  # tokens whose rows are bit by bit those of the source
    parameters: tuple[int, int]
    figures: dict[str, float] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)  # words that are tokens already


class Opened:
    """A checkpoint under the knife: model, tokenizer, and where they came from."""

    def __init__(self, source: str | Path, target: str | Path, action: str) -> None:
        self.folder = Path(source)
        self.model: TriEmbedPreTrainedModel = load_own(self.folder)
        try:
            self.tokenizer: PreTrainedTokenizerBase = open_tokenizer(self.folder)
        except Exception as error:  # whatever the files provoke
            raise ConversionError(f"{source}: no tokenizer that loads ({str(error).splitlines()[0]})") from None
        size = self.model.config.vocab_size
        if len(self.tokenizer) > size:
            raise ConversionError(f"{source}: the tokenizer has {len(self.tokenizer)} tokens, the model {size}")
        self.report = VocabularyReport(str(source), str(target), action, (size, size), size, self._parameters() * 2)

    def _parameters(self) -> tuple[int]:
        return (sum(parameter.numel() for parameter in self.model.parameters()),)

    def write(
        self, *, overwrite: bool, finish: Finish, tokenizer: Callable[[Path], object] | None, kept_rows: int
    ) -> VocabularyReport:
        """Save everything; `tokenizer` writes its files, None copies them."""
        report = self.report
        report.vocab_size = (report.vocab_size[0], self.model.config.vocab_size)
        report.parameters = (report.parameters[0], *self._parameters())
        report.kept = kept_rows
        with staged_directory(Path(report.target), inputs={"source": self.folder}, overwrite=overwrite) as stage:
            save_own(self.model, stage, source=self.folder)
            copy_companions(self.folder, stage, tokenizer_class=type(self.tokenizer).__name__)
            if tokenizer is not None:
                for name in TOKENIZER_FILES:
                    (stage / name).unlink(missing_ok=True)
                tokenizer(stage)
            check_tokenizer(self.folder, stage)
            (stage / VOCABULARY).write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8", newline="\n")
            write_origin(
                stage,
                source=self.folder,
                folder=self.folder,
                phrase=f"made from `{display_name(self.folder)}` with another vocabulary",
                description=_description(report),
            )
            check_saved(stage)
            finish(stage)
        return report


def add_tokens(
    source: str | Path,
    target: str | Path,
    tokens: Sequence[str],
    *,
    inside_words: bool = False,
    vectors: dict[str, torch.Tensor] | None = None,
    texts: Sequence[str] = (),
    overwrite: bool = False,
    finish: Finish = lambda folder: None,
) -> VocabularyReport:
    """Add whole words to the vocabulary; each starts as the mean of the pieces it was cut into so far.

    Where these were unknown, the word starts as the mean of all tokens, which the report counts as `from_nothing`.

    Args:
        source: directory of a TriEmbed checkpoint.
        target: directory to write.
        tokens: words to add; those that are tokens already are left as they are, and named in the report.
        inside_words: find the words inside of longer ones too, which are then cut in another way than the model knows.
        vectors: static vectors by word; a token that has one starts from it, mapped into the table by regression.
        texts: documents of which to say how many pieces change.
        overwrite: replace `target` if it is not empty.
        finish: called with the directory just before it appears; what it writes there appears with it.

    Raises:
        ConversionError: no token is given, one is empty, or one cannot be told from a piece of words.
    """
    checkpoint = Opened(source, target, "add")
    tokenizer = checkpoint.tokenizer
    before = [pieces_with_spans(tokenizer, text) for text in texts]
    new, vocabulary = new_words(tokenizer, tokens)
    spelled = ([index for index in ids if index != tokenizer.unk_token_id] for ids in word_pieces(tokenizer, new))
    pieces = dict(zip(new, spelled, strict=True))
    mapped_rows = fit_vectors(checkpoint.model, tokenizer, vectors, new) if vectors else {}
    ids = enter_words(tokenizer, new, inside_words=inside_words)
    size = max(checkpoint.model.config.vocab_size, len(tokenizer))
    sources = [[index] if index < checkpoint.model.config.vocab_size else [] for index in range(size)]
    for token, index in ids.items():
        sources[index] = pieces[token]
    replace_rows(checkpoint.model, sources)
    with torch.no_grad():
        for token, row in mapped_rows.items():
            checkpoint.model.base_model.embeddings.token.weight[ids[token]] = row
    checkpoint.report.known = vocabulary
    checkpoint.report.figures = {"added": len(new), "from_vectors": len(mapped_rows)}
    if nothing := sum(not pieces[token] and token not in mapped_rows for token in new):
        checkpoint.report.figures["from_nothing"] = nothing
    if texts:
        after = [pieces_with_spans(tokenizer, text) for text in texts]
        checkpoint.report.figures |= share_changed(before, after, set(ids.values()))
    return checkpoint.write(
        overwrite=overwrite, finish=finish, tokenizer=tokenizer.save_pretrained, kept_rows=size - len(new)
    )


def replace_tokenizer(
    source: str | Path,
    target: str | Path,
    *,
    tokenizer: str | Path | None = None,
    texts: Sequence[str] = (),
    vocab_size: int | None = None,
    overwrite: bool = False,
    finish: Finish = lambda folder: None,
) -> VocabularyReport:
    """Put another tokenizer under the model: a given one, or one of the same kind trained on `texts`.

    Tokens that both have keep their rows, special ones by their role; others start as the mean of their old pieces.

    Raises:
        ConversionError: neither tokenizer nor texts are given, or both.
    """
    checkpoint = Opened(source, target, "replace")
    old = checkpoint.tokenizer
    if (tokenizer is None) == (not texts):
        raise ConversionError("replace: give either a tokenizer or a corpus to train one on")
    prompts = stated_prompts(checkpoint.folder)
    if tokenizer is None:
        texts, size = with_prompts(texts, prompts), vocab_size or checkpoint.model.config.vocab_size
        new = old.train_new_from_iterator((texts[i : i + 1000] for i in range(0, len(texts), 1000)), vocab_size=size)
    else:
        new = open_tokenizer(tokenizer)
    if new.pad_token is None:
        raise ConversionError(f"{tokenizer}: the new tokenizer has no padding token")
    check_prompts(prompts, old, new)
    new.model_max_length = min(
        old.model_max_length, new.model_max_length, checkpoint.model.config.max_position_embeddings
    )
    sources, kept_rows = sources_of(old, new)
    replace_rows(checkpoint.model, sources)
    set_special_ids(checkpoint.model, new)
    checkpoint.report.figures = {"from_pieces": sum(len(source) > 0 for source in sources) - kept_rows,
                             "from_nothing": sum(not source for source in sources)}  # fmt: skip
    return checkpoint.write(overwrite=overwrite, finish=finish, tokenizer=new.save_pretrained, kept_rows=kept_rows)


def trim(
    source: str | Path,
    target: str | Path,
    texts: Sequence[str],
    *,
    overwrite: bool = False,
    finish: Finish = lambda folder: None,
) -> VocabularyReport:
    """Keep the tokens that `texts` use, and the special ones: on these texts no output changes.

    With or without a prompt of the directory before them.

    Raises:
        ConversionError: the tokenizer is of a kind that cannot be cut, or cuts the texts differently afterwards.
    """
    checkpoint = Opened(source, target, "trim")
    old = checkpoint.tokenizer
    texts = with_prompts(texts, stated_prompts(checkpoint.folder)) if texts else []
    used_ids: set[int] = set()
    for start in range(0, len(texts), 1000):
        for ids in old(list(texts[start : start + 1000]), verbose=False)["input_ids"]:
            used_ids.update(ids)
    if not used_ids:
        raise ConversionError("corpus: holds no text")
    tokenizer_json, order = trimmed(old, used_ids)
    sources = [[index] for index in order]
    with staged_tokenizer(old, tokenizer_json) as new:
        for text in texts:
            if _pieces_of(old, text) != _pieces_of(new, text):
                raise ConversionError(f"trim: the smaller tokenizer cuts a text differently ({text[:40]!r})")
        replace_rows(checkpoint.model, sources)
        set_special_ids(checkpoint.model, new)
        checkpoint.report.figures = {"share_kept": len(order) / checkpoint.report.vocab_size[0]}
        return checkpoint.write(overwrite=overwrite, finish=finish, tokenizer=new.save_pretrained, kept_rows=len(order))


def factorise(
    source: str | Path,
    target: str | Path,
    rank: int,
    *,
    overwrite: bool = False,
    finish: Finish = lambda folder: None,
) -> VocabularyReport:
    """Replace the token table by the best product of two matrices of rank `rank`."""
    checkpoint = Opened(source, target, "factorise")
    checkpoint.model, error = factorise_rows(checkpoint.model, rank)
    checkpoint.report.figures = {"rank": rank, "relative_error": error}
    return checkpoint.write(overwrite=overwrite, finish=finish, tokenizer=None, kept_rows=0)


@contextmanager
def staged_tokenizer(old: PreTrainedTokenizerBase, content: str) -> Iterator[PreTrainedTokenizerBase]:
    """Yield the tokenizer that a tokenizer.json describes, with the settings of `old`."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        old.save_pretrained(folder)
        for name in ("vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "added_tokens.json"):
            (Path(folder) / name).unlink(missing_ok=True)
        (Path(folder) / "tokenizer.json").write_text(content, encoding="utf-8", newline="\n")
        yield type(old).from_pretrained(folder)


def _pieces_of(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    return list(tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]))


def _description(report: VocabularyReport) -> str:
    """Return what was done, and the figures, in Markdown."""
    rows = {
        "change": report.action,
        "tokens": f"{report.vocab_size[1]:,}, before {report.vocab_size[0]:,}",
        "unchanged rows": f"{report.kept:,}",
        "parameters": f"{report.parameters[1]:,}, before {report.parameters[0]:,}",
    }
    return table(rows | {name.replace("_", " "): f"{value:.4g}" for name, value in report.figures.items()})
