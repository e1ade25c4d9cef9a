"""A prepared corpus, opened: its tokens and chunks stay on the disk, and only what a batch needs is read."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from hf_embeddings.corpora.surface import piece_surface
from hf_embeddings.corpora.tokenized_corpus import TokenizedCorpus
from hf_embeddings.corpora.tokenizer import load_tokenizer, row_count, tokenizer_fingerprint
from hf_embeddings.corpora.word_pairs import read_word_pairs
from hf_embeddings.files.manifest import MANIFEST, Damaged, check_manifest
from hf_embeddings.files.reading import not_a_directory, read_bytes
from hf_embeddings.files.shards import Joined, ShardError, open_shard
from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR, Chunks, cut_table
from hf_embeddings.pretraining.examples.sampling import SampleSource, order_pages, page_size
from hf_embeddings.pretraining.prepared.facts import KIND, CorpusFacts
from hf_embeddings.pretraining.prepared.layout import INDEX, ROLES, chunks_of, shard_corpus


@dataclass(frozen=True)
class PreparedCorpus:
    """What `hf-embeddings prepare` left."""

    folder: Path
    facts: CorpusFacts
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def open(cls, folder: Path, *, sums: bool) -> "PreparedCorpus":
        """Compare a directory with its manifest, and open it.

        Args:
            folder: the directory.
            sums: whether all files are read and their SHA-256 sums compared, or their sizes only.

        Raises:
            ValueError: it is no prepared corpus, or not what its manifest says; the message names the shard.
        """
        place = f"corpus.source: {folder}"
        if not folder.is_dir():
            raise ValueError(f"{place}: {not_a_directory(folder)}, expected what `prepare` made; check the path")
        try:
            manifest_facts = check_manifest(folder, sums=sums).facts
        except Damaged as error:
            raise ValueError(f"corpus.source: {error}, expected an intact prepared corpus; prepare it again") from error
        if manifest_facts.get("kind") != KIND:
            raise ValueError(f"{place}: got another kind of directory, expected a prepared corpus; check the path")
        facts, tokenizer = CorpusFacts.from_dict(manifest_facts), load_tokenizer(folder)
        if tokenizer_fingerprint(tokenizer, rules=facts.plan.format) != facts.tokenizer:
            raise ValueError(f"{place}: its tokenizer is not the one it was encoded with; prepare it again")
        for shard in facts.shards:
            if shard.largest_id >= row_count(tokenizer):
                raise ShardError(_unknown_token(folder / shard.name, row_count(tokenizer)))
        return cls(folder, facts, tokenizer)

    def demand(self, tokenizer: PreTrainedTokenizerBase, place: str) -> None:
        """Compare another tokenizer, that of a checkpoint or of the options, with this one.

        Raises:
            ValueError: it would encode the corpus to other ids.
        """
        if tokenizer_fingerprint(tokenizer, rules=self.facts.plan.format) != self.facts.tokenizer:
            raise ValueError(
                f"{place}: got another tokenizer than that of the prepared corpus {self.folder}, expected the same; "
                "prepare the corpus with it, or leave tokenizer.path out"
            )

    def demand_exchange(self, names: list[str], share: float | None) -> None:
        """Compare the exchanges of words that options ask for, if they do, with those of this corpus.

        Raises:
            ValueError: it was prepared with others.
        """
        plan = self.facts.plan
        if names and (read_word_pairs(names), share) != (plan.word_pairs or [], plan.options.counterfactual_share):
            own = f"{plan.options.counterfactual} (share {plan.options.counterfactual_share})"
            raise ValueError(
                f"corpus.counterfactual: got {names} (share {share}), the prepared corpus {self.folder} has "
                f"{own if plan.word_pairs else 'none'}, perhaps of other words; remove it, or prepare the corpus again"
            )

    @property
    def frequencies(self) -> np.ndarray:
        """How often each token stands in the training documents, (V,)."""
        return open_shard(self.folder / INDEX)["frequencies"]

    def chunks(self, role: str, *, max_tokens: int) -> Chunks:
        """Return the chunks of a role, `training` or `held_out`.

        They are on the disk for the length that the corpus was prepared for; for others they are cut now, in memory.
        """
        shards = self.facts.shards
        paths = [self.folder / shard.name for shard in shards]
        tokens, sentences, documents = (self.facts.counts(name) for name in ("tokens", "sentences", "documents"))
        first_token, first_mark, first_document = _before(tokens), _before(sentences + 1), _before(documents + 1)
        joined: Callable[..., Any] = Joined  # read as the arrays that they stand for
        corpus = TokenizedCorpus(
            tokens=joined(paths, "tokens", tokens),
            continues=joined(paths, "continues", tokens),
            sentence_starts=joined(paths, "sentence_starts", sentences + 1, first_token),
            document_starts=joined(paths, "document_starts", documents + 1, first_mark),
            empty_sentences=0,
            surface=piece_surface(self.tokenizer.backend_tokenizer),
        )
        shifts = np.stack([first_token, first_token, first_document, first_mark, first_mark], axis=1)
        if self.is_cut(max_tokens):
            counts = [shard.examples(role) for shard in shards]
            table: Joined | np.ndarray = Joined(
                [chunks_of(path) for path in paths], role, np.array(counts, dtype=np.int64), shifts
            )
            too_short = sum(shard.skipped(role) for shard in shards)
        else:
            tables = [self._cut(path, role, max_tokens) for path in paths]
            counts, too_short = [len(rows) for rows, _ in tables], sum(number for _, number in tables)
            table = np.concatenate([rows + shift for (rows, _), shift in zip(tables, shifts, strict=True)])
        sources = self._sources(role, counts, table if isinstance(table, np.ndarray) else None)
        origin = hashlib.sha256(read_bytes(self.folder / MANIFEST)).hexdigest()
        again = partial(self.chunks, role)
        return Chunks(corpus, table, max_tokens, too_short, sources, again, f"{origin} {role}")  # type: ignore[arg-type]

    def is_cut(self, max_tokens: int) -> bool:
        """Tell whether chunks of that length are on the disk."""
        return max_tokens == self.facts.max_length - SPECIAL_TOKENS_PER_PAIR

    def _cut(self, path: Path, role: str, max_tokens: int) -> tuple[np.ndarray, int]:
        numbers = np.flatnonzero(open_shard(chunks_of(path))["roles"] == ROLES[role])
        return cut_table(shard_corpus(open_shard(path)), numbers, max_tokens)

    def _sources(self, role: str, counts: list[int], table: np.ndarray | None) -> tuple[SampleSource, ...]:
        """Describe the sources of chunks, of which each shard has so many; a table has been cut again."""
        owners = [shard.source for shard in self.facts.shards]
        size, first, sources = page_size(sum(counts)), 0, []
        for number, facts in enumerate(self.facts.sources):
            count = sum(count for count, owner in zip(counts, owners, strict=True) if owner == number)
            if table is None:
                pages = open_shard(self.folder / INDEX)[f"{role} {number}"]
                tokens = sum(shard.tokens_of(role) for shard in self.facts.shards if shard.source == number)
            else:
                lengths = table[first : first + count, 1] - table[first : first + count, 0]
                pages, tokens = order_pages([lengths], size), int(lengths.sum())
            if count:
                weight = facts.weight if role == "training" else 1.0
                sources.append(SampleSource(facts.source, weight, first, count, tokens, pages))
            first += count
        return tuple(sources)


def _before(counts: np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(counts)[:-1]))


def _unknown_token(path: Path, size: int) -> str:
    tokens = open_shard(path)["tokens"]
    row = int(np.argmax(tokens >= size))
    return f"{path}: token {row} is id {tokens[row]}, expected below {size}; prepare the corpus again"
