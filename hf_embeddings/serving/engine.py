"""What the server runs: a tokenizer in one thread, the model in another, and the event loop free of both.

Shapes: N texts, D features.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.reranker import Pair, Reranker
from hf_embeddings.serving.batcher import Batcher, Full, Job
from hf_embeddings.serving.limits import Limits
from hf_embeddings.serving.refusal import Refusal

Result = TypeVar("Result")


class Tokenized(NamedTuple):
    """A text as the model reads it."""

    ids: Sequence[int]
    prompt_tokens: int = 0  # of the first ones, that are not pooled


class Engine:
    """Turns texts into vectors or, with a cross-encoder, pairs into scores, for many clients at once."""

    def __init__(self, model: Encoder | Reranker, limits: Limits) -> None:
        """Take a loaded model, which nobody else may use from now on."""
        self.model, self.limits = model, limits
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")  # it keeps a state: one at a time
        run = self._encode if isinstance(model, Encoder) else self._score
        self.batcher: Batcher[Tokenized | Pair] = Batcher(
            run, batch_tokens=limits.batch_tokens, waiting_tokens=limits.waiting_tokens
        )

    @property
    def encoder(self) -> Encoder:
        """The encoder.

        Raises:
            Refusal: a cross-encoder is served.
        """
        if isinstance(self.model, Encoder):
            return self.model
        raise Refusal(
            "this server has a cross-encoder, which has no vectors; expected a request to /rerank", status=404
        )

    async def aside(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run what takes more than a moment in the thread of the tokenizer."""
        return await asyncio.get_running_loop().run_in_executor(self._tokenizing, work, *arguments)

    async def tokenize(
        self, texts: Sequence[str], prompt: str | None, *, truncate: bool, param: str = "input"
    ) -> list[Tokenized]:
        """Return texts as the encoder reads them.

        Raises:
            Refusal: there is no such prompt; or a text is too long, and may not be cut.
        """
        return await self.aside(self._tokenize, texts, prompt, truncate, param)

    async def tokenize_pairs(self, query: str, documents: Sequence[str], *, truncate: bool) -> list[Pair]:
        """Return a query with each document as the cross-encoder reads them.

        Raises:
            Refusal: one is too long, and may not be cut.
        """
        return await self.aside(self._tokenize_pairs, query, documents, truncate)

    async def run(self, rows: Sequence[Tokenized | Pair]) -> np.ndarray:
        """Return the vectors (N, D) of texts, or the scores (N,) of pairs, in fp32. Cancelled, it gives up its place.

        Raises:
            Refusal: too much waits, or the model gave what is no number.
        """
        lengths = [len(row.ids) for row in rows]
        if (tokens := sum(lengths)) > self.limits.request_tokens:
            raise Refusal(
                f"got {tokens:,} tokens, expected at most {self.limits.request_tokens:,} in a request; send several",
                param="input",
                code="max_tokens_per_request",
            )
        results = await self._job(rows, lengths).future
        if not np.isfinite(results).all():
            number = int((~np.isfinite(results)).reshape(len(results), -1).any(axis=1).argmax())
            raise Refusal(f"the model's result for input {number} is no number; check its weights", status=500)
        return results

    def _job(self, rows: Sequence[Tokenized | Pair], lengths: Sequence[int]) -> Job[Tokenized | Pair]:
        try:
            return self.batcher.submit(rows, lengths)
        except Full as full:
            seconds = str(int(np.ceil(full.seconds)))
            raise Refusal(str(full), status=429, code="queue_full", headers={"Retry-After": seconds}) from None

    def close(self) -> None:
        """End the threads."""
        self.batcher.close()
        self._tokenizing.shutdown()

    def _encode(self, rows: list[Tokenized | Pair]) -> np.ndarray:
        prompts = [row.prompt_tokens for row in rows if isinstance(row, Tokenized)]
        return self.encoder.encode_ids([row.ids for row in rows], prompts if any(prompts) else None)

    def _score(self, rows: list[Tokenized | Pair]) -> np.ndarray:
        assert isinstance(self.model, Reranker), "or `_encode` runs"
        return self.model.score_pairs([row for row in rows if isinstance(row, Pair)])

    def _tokenize(self, texts: Sequence[str], prompt: str | None, truncate: bool, param: str) -> list[Tokenized]:
        encoder = self.encoder
        try:
            prefix, cut = encoder.prefix(prompt), encoder.truncated
        except ValueError as error:
            raise Refusal(str(error), param="prompt_name") from None
        rows, prompt_tokens = encoder.tokenize(texts, prompt)
        if encoder.truncated > cut and not truncate:
            counts = encoder.count_tokens([prefix + text for text in texts])
            self._refuse_long(counts, param)
        return [Tokenized(row, prompt_tokens) for row in rows]

    def _tokenize_pairs(self, query: str, documents: Sequence[str], truncate: bool) -> list[Pair]:
        assert isinstance(self.model, Reranker), "the caller has asked"
        cut = self.model.truncated
        pairs = self.model.tokenize(query, documents)
        if self.model.truncated > cut and not truncate:
            backend = self.model.tokenizer.backend_tokenizer
            backend.no_truncation()
            self._refuse_long([len(found) for found in backend.encode_batch([(query, d) for d in documents])], "texts")
        return pairs

    def _refuse_long(self, counts: Sequence[int], param: str) -> None:
        most = self.model.max_length
        number = next((number for number, count in enumerate(counts) if count > most), 0)
        raise Refusal(
            f"{param}[{number}] has {counts[number]:,} tokens, the model reads {most:,} at most; shorten it, or send "
            '"truncate": true to have it cut',
            param=param,
            code="context_length_exceeded",
        )
