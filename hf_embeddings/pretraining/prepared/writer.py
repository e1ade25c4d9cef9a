"""`hf-embeddings prepare`: a corpus of any size as shards of tokens on the disk, in parallel, in bounded memory."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from hf_embeddings.corpora.corpus import read_source
from hf_embeddings.corpora.counterfactual import describe_twins
from hf_embeddings.corpora.near_duplicates import require_library
from hf_embeddings.corpora.selection import ORIGINAL
from hf_embeddings.corpora.text_sample import TextSample
from hf_embeddings.corpora.tokenized_corpus import encoder_backend, joined
from hf_embeddings.corpora.tokenizer import load_tokenizer, tokenizer_fingerprint
from hf_embeddings.corpora.tokenizer_training import train_for
from hf_embeddings.corpora.unspaced_words import require_icu
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.files.manifest import MANIFEST, check_manifest
from hf_embeddings.files.ownership import MARK, claim_locked, remove_claimed, remove_locked, sweep
from hf_embeddings.files.shards import write_shard
from hf_embeddings.files.staging import refuse_file_name
from hf_embeddings.pretraining.architecture import is_checkpoint
from hf_embeddings.pretraining.examples.health import examine_text
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.prepared.assembly import assemble
from hf_embeddings.pretraining.prepared.encoding import Encoded, document_batches, encode_batch
from hf_embeddings.pretraining.prepared.facts import CorpusFacts, CorpusPlan, ShardNote
from hf_embeddings.pretraining.prepared.plan import (
    PLAN,
    SHARD_TOKENS,
    PreparationPlan,
    encoding_rules,
    enter,
    new_plan,
    partial_of,
    work_of,
)
from hf_embeddings.progress import Phases, silent_phase
from hf_embeddings.records.health import Health
from hf_embeddings.typed_yaml.fields import to_dict
from hf_embeddings.worker_pool import WorkerPool

Advance = Callable[[float], None]


def prepare_corpus(
    options: PretrainingOptions,
    target: Path,
    *,
    processes: int,
    say: Callable[[str], None],
    phases: Phases = silent_phase,
    overwrite: bool = False,
    shard_tokens: int = SHARD_TOKENS,
) -> CorpusFacts:
    """Write a directory that `corpus.source` takes as prepared:DIRECTORY, or what is left of it; return its facts.

    Args:
        options: of the run that the corpus is for; sources, tokenizer and `examples.max_length` count.
        target: the directory.
        processes: that encode.
        say: told of each stage.
        phases: makes what shows how far each stage is.
        overwrite: start over where the target, or a part of it, is there.
        shard_tokens: tokens of a shard, at least.

    Raises:
        ValueError: the sources, the tokenizer or the target cannot be used.
    """
    if not overwrite and (facts := completed(target, options, shard_tokens)):
        say(f"{target} is complete")
        return facts
    refuse_file_name(Path(target))
    work = work_of(target)
    lock = claim_locked(work)  # before anything is removed: another may be at work
    try:
        preparation = plan_corpus(
            options, target, overwrite=overwrite, shard_tokens=shard_tokens, say=say, phases=phases
        )
        sizes = [unit.size for unit in preparation.units]
        with WorkerPool(processes, preload=encode_batch.__module__) as pool:
            with phases("encoding", sum(sizes) if all(sizes) else None, unit="bytes of text") as phase:
                for number in range(len(sizes)):
                    encode_unit(preparation, number, pool=pool, advance=phase.advance)
            shards = sum(len(preparation.notes(number)) for number in range(len(sizes)))
            with phases("cutting examples", shards, unit="shards") as phase:
                facts = assemble(preparation, pool=pool, advance=phase.advance)
        for line in (*describe_twins(facts.statistics), *_health(facts, options.examples.objectives).lines()):
            say(line)
        return facts
    finally:
        if (work / PLAN).exists():
            lock.release()
        else:  # nothing was begun, or it has become the target
            remove_claimed(partial_of(target))
            remove_locked(work, lock)


def plan_corpus(
    options: PretrainingOptions,
    target: str | Path,
    *,
    overwrite: bool = False,
    shard_tokens: int = SHARD_TOKENS,
    streams: int = 0,
    say: Callable[[str], None] = lambda line: None,
    phases: Phases = silent_phase,
) -> PreparationPlan:
    """Plan a preparation, with its tokenizer, in a directory beside the target; or find the one that was begun.

    With `streams`, documents come from elsewhere, in so many streams (datatrove.py); the tokenizer is then one
    that exists, and `corpus.source` is only a name.
    """
    target = Path(target)
    if options.corpus.near_duplicates is not None:
        require_library()
    if options.corpus.words == "icu":
        require_icu()
    if streams and (not _existing_tokenizer(options) or options.corpus.sources):
        raise ValueError("streams: expected one corpus.source, and tokenizer.path, as documents come later; give both")
    plan = _plan(options, shard_tokens, streams, rules=encoding_rules(target, overwrite=overwrite))
    preparation = PreparationPlan(target, plan)
    if enter(target, plan, overwrite=overwrite):
        say(f"resuming in {preparation.folder}")
    else:
        tokenizer = _tokenizer(options, say, phases)
        tokenizer.save_pretrained(preparation.folder)
        replace_text(preparation.encoder, encoder_backend(tokenizer, rules=plan.format).to_str())
        replace_text(preparation.work / PLAN, json.dumps(plan.to_dict()))
        say(f"tokenizer: {len(tokenizer):,} pieces")
    return preparation


def _health(facts: CorpusFacts, objectives: Sequence[str]) -> Health:
    """Return what the manifest of a corpus tells of its health."""
    return examine_text(
        facts.text_sample or TextSample(),
        empty_sources=[source.source for source in facts.sources if not source.training],
        sentences_per_document=facts.sentences_per_document,
        objectives=objectives,
    )


def encode_unit(
    preparation: PreparationPlan,
    number: int,
    *,
    pool: WorkerPool,
    documents: Iterable[str] | None = None,
    advance: Advance = lambda steps: None,
) -> None:
    """Write the shards of a unit that are not there yet.

    Args:
        preparation: what `plan_corpus` returned.
        number: of the unit.
        pool: the processes that encode.
        documents: texts instead of those that the plan names, the same at each call.
        advance: told of bytes of text that are done.
    """
    size = preparation.units[number].size
    notes = preparation.verified(number)
    if not notes or not notes[-1].ended:
        statistics: Counter[str] = Counter()
        texts = preparation.documents(number, statistics) if documents is None else documents
        size_left = _Left(size)
        remaining = islice(texts, sum(note.read for note in notes), None)
        corpus, plan = preparation.corpus, preparation.plan
        encode = partial(
            encode_batch,
            preparation.encoder,
            rules=corpus.text_rules(plan.format),
            near_duplicates=corpus.near_duplicates is not None,
            word_pairs=plan.word_pairs,
            share=corpus.counterfactual_share,
        )
        index, parts, tokens = len(notes), [], 0
        for part in pool.map(encode, document_batches(remaining)):
            parts.append(part)
            tokens += len(part.corpus.tokens)
            advance(size_left.take(part.characters))
            if tokens >= preparation.plan.shard_tokens:
                _write(preparation, number, index, parts, is_last=False, statistics={})
                index, parts, tokens = index + 1, [], 0
        _write(preparation, number, index, parts or [encode([])], is_last=True, statistics=dict(statistics))
        size = size_left.bytes
    advance(size)


def completed(target: Path, options: PretrainingOptions, shard_tokens: int) -> CorpusFacts | None:
    """Return the facts of a directory, if it is what these options make."""
    if not (target / MANIFEST).is_file():
        return None
    facts = check_manifest(target).facts
    if "plan" not in facts:
        return None
    plan = CorpusPlan.from_dict(facts["plan"])
    if plan.to_dict() != _plan(options, shard_tokens, rules=plan.format).to_dict():
        return None
    (target / MARK).unlink(missing_ok=True)  # left, as the work, by a kill at the very end
    sweep(work_of(target))
    return CorpusFacts.from_dict(facts)


class _Left:
    """The bytes of a unit that the progress bar still waits for; the size of compressed files is a guess."""

    def __init__(self, size: int) -> None:
        self.bytes = size

    def take(self, characters: np.ndarray) -> int:
        used_bytes = min(int(characters.sum()), self.bytes)
        self.bytes -= used_bytes
        return used_bytes


def _write(
    preparation: PreparationPlan,
    number: int,
    index: int,
    parts: list[Encoded],
    *,
    is_last: bool,
    statistics: dict[str, int],
) -> None:
    path = preparation.shard(number, index)
    corpus = joined([part.corpus for part in parts])
    arrays = {
        "tokens": corpus.tokens,
        "continues": corpus.continues,
        "sentence_starts": corpus.sentence_starts.astype(np.uint32),
        "document_starts": corpus.document_starts.astype(np.uint32),
        "digests": np.concatenate([part.digests for part in parts]),
        "characters": np.concatenate([part.characters for part in parts]),
    }
    mark_blocks = [part.marks for part in parts if part.marks is not None]
    if mark_blocks:
        arrays["marks"] = np.concatenate(mark_blocks)
    signature_blocks = [part.signatures for part in parts if part.signatures is not None]
    signature_arrays = {"signatures": np.concatenate(signature_blocks)} if signature_blocks else None
    note = ShardNote(
        file=write_shard(path, arrays),
        signatures=write_shard(preparation.signatures(path), signature_arrays) if signature_arrays else None,
        documents=len(arrays["digests"]),
        twins=int((arrays["marks"] != ORIGINAL).sum()) if mark_blocks else None,
        sentences=len(corpus.sentence_starts) - 1,
        tokens=len(corpus.tokens),
        largest_id=int(corpus.tokens.max(initial=0)),
        empty_sentences=corpus.empty_sentences,
        text_sample=sum((part.sample for part in parts), TextSample()),
        ended=is_last,
        statistics=statistics,
    )
    preparation.note(number, index, note)


def _plan(options: PretrainingOptions, shard_tokens: int, streams: int = 0, *, rules: int) -> CorpusPlan:
    if options.corpus.prepared:
        raise ValueError("corpus.source: got a prepared corpus, expected documents; name what it was made of")
    settings = to_dict(options.tokenizer)
    if path := _existing_tokenizer(options):
        settings = {"path": path, "fingerprint": tokenizer_fingerprint(load_tokenizer(path), rules=rules)}
    max_length = options.examples.max_length
    return new_plan(
        options.corpus,
        max_length=max_length,
        tokenizer=settings,
        shard_tokens=shard_tokens,
        streams=streams,
        rules=rules,
    )


def _tokenizer(options: PretrainingOptions, say: Callable[[str], None], phases: Phases) -> PreTrainedTokenizerBase:
    if path := _existing_tokenizer(options):
        return load_tokenizer(path)
    sources = (read_source(part, options.corpus, Counter()) for part in options.corpus.parts())
    length = options.examples.max_length
    return train_for(options.tokenizer, options.corpus, sources, max_length=length, say=say, phases=phases)


def _existing_tokenizer(options: PretrainingOptions) -> str | None:
    """Return the directory of the tokenizer that the run will have; None where one is to be trained."""
    return options.model.base if is_checkpoint(Path(options.model.base)) else options.tokenizer.path
