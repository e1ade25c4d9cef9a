"""What the server runs: a tokenizer in one thread, the model in another, and the event loop free of both.

Shapes: N texts, D features.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from hf_embeddings.search.cross_encoder import CrossEncoder, Pair
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.serving.batcher import Batcher, Full, Job
from hf_embeddings.serving.limits import Limits
from hf_embeddings.serving.refusal import Refusal

Result = TypeVar("Result")


@contextlib.contextmanager
def loading_alone() -> Iterator[None]:
    """Load a model with one thread, so that the threads of torch belong to the one that will run the model.

    Each thread that calls torch has threads of its own; where there are more of them than cores, none waits actively
    for the next product, and each product begins late: one text then takes twice as long.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Tokenized(NamedTuple):
    """A text as the model reads it."""

    ids: Sequence[int]
    prompt_tokens: int = 0  # of the first ones, that are not pooled


InputRow = Tokenized | Pair


class Engine:
    """Turns texts into vectors or, with a cross-encoder, pairs into scores, for many clients at once."""

    def __init__(self, model: Encoder | CrossEncoder, limits: Limits) -> None:
        """Take a loaded model, which nobody else may use from now on."""
        self.model, self.limits = model, limits
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")  # it keeps a state: one at a time
        run = self._encode if isinstance(model, Encoder) else self._score
        self.batcher: Batcher[InputRow] = Batcher(
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

    async def run(self, prepare: Callable[[], Sequence[InputRow]]) -> tuple[Sequence[InputRow], np.ndarray]:
        """Return rows, and the vectors (N, D) or the scores (N,) of them in fp32. Cancelled, it gives up its place.

        Args:
            prepare: makes the rows, in the thread of the tokenizer, which puts them into the queue at once.

        Raises:
            Refusal: too much waits, or the model gave what is no number; or what `prepare` raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[np.ndarray] = loop.create_future()
        jobs: list[Job[InputRow]] = []

        def begin() -> None:
            try:
                if not future.cancelled():
                    jobs.append(self._submit(prepare(), future))
            except Exception as error:  # whatever it is, it is told where it was asked for
                with contextlib.suppress(RuntimeError):  # of a loop that was closed
                    loop.call_soon_threadsafe(_fail, future, error)

        self._tokenizing.submit(begin)
        try:
            results = await future
        except asyncio.CancelledError:
            await asyncio.shield(self.aside(lambda: self.batcher.drop(*jobs)))
            raise
        if not np.isfinite(results).all():
            number = int((~np.isfinite(results)).reshape(len(results), -1).any(axis=1).argmax())
            raise Refusal(f"the model's result for input {number} is no number; check its weights", status=500)
        return jobs[0].rows, results

    def _submit(self, rows: Sequence[InputRow], future: "asyncio.Future[np.ndarray]") -> Job[InputRow]:
        lengths = [len(row.ids) for row in rows]
        if (tokens := sum(lengths)) > self.limits.request_tokens:
            raise Refusal(
                f"got {tokens:,} tokens, expected at most {self.limits.request_tokens:,} in a request; send several",
                param="input",
                code="max_tokens_per_request",
            )
        try:
            return self.batcher.submit(rows, lengths, future)
        except Full as full:
            seconds = str(int(np.ceil(full.seconds)))
            raise Refusal(str(full), status=429, code="queue_full", headers={"Retry-After": seconds}) from None

    def close(self) -> None:
        """End the threads."""
        self.batcher.close()
        self._tokenizing.shutdown()

    def _encode(self, rows: list[InputRow]) -> np.ndarray:
        prompts = [row.prompt_tokens for row in rows if isinstance(row, Tokenized)]
        return self.encoder.encode_ids([row.ids for row in rows], prompts if any(prompts) else None)

    def _score(self, rows: list[InputRow]) -> np.ndarray:
        assert isinstance(self.model, CrossEncoder), "or `_encode` runs"
        return self.model.score_pairs([row for row in rows if isinstance(row, Pair)])

    def tokenize(
        self, texts: Sequence[str], prompt: str | None, *, truncate: bool, param: str = "input"
    ) -> list[InputRow]:
        """Return texts as the encoder reads them; for the thread of the tokenizer.

        Raises:
            Refusal: there is no such prompt; or a text is too long, and may not be cut.
        """
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

    def tokenize_pairs(self, query: str, documents: Sequence[str], *, truncate: bool, param: str) -> list[InputRow]:
        """Return a query with each document as the cross-encoder reads them; for the thread of the tokenizer.

        Raises:
            Refusal: one is too long, and may not be cut.
        """
        assert isinstance(self.model, CrossEncoder), "the caller has asked"
        cut = self.model.truncated
        pairs: list[InputRow] = [*self.model.tokenize(query, documents)]
        if self.model.truncated > cut and not truncate:
            self._refuse_long(self.model.count_tokens(query, documents), param)
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


def _fail(future: "asyncio.Future[np.ndarray]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
