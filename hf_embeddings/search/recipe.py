"""Everything beside weights and tokenizer that decides a vector: prompts, length, pooling, scale."""

from dataclasses import dataclass, field

from hf_embeddings.search.pooling import POOLINGS

LATE_POOLINGS = ("mean", "max")  # that are defined over any part of a text
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")  # those of sentence-transformers


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model wants its texts encoded; the defaults are for directories that do not say."""

    pooling: str = "mean"
    layer: int | None = None  # which hidden state is pooled: 0 the embeddings, 1 the first layer, -1 or None the last
    normalize: bool = True  # scale the pooled vector to length 1
    dimension: int | None = None  # features that are kept of it, from the first; None for all
    rescale: bool = False  # scale what was kept to length 1, so that products are cosines
    max_length: int | None = None  # tokens with the special ones; None for what the model can take
    lowercase: bool = False  # before the tokenizer
    prompts: dict[str, str] = field(default_factory=dict)  # "query" and "document" are used by search
    default_prompt: str | None = None  # name of the prompt of texts that are encoded without naming one
    include_prompt: bool = True  # pool the tokens of the prompt, too
    similarity: str = "cosine"  # how its vectors are compared
    late_chunking: int | None = None  # tokens of a passage that is pooled from the states of its whole document

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling {self.pooling!r}: expected one of {', '.join(POOLINGS)}")
        if self.max_length is not None and self.max_length < 3:
            raise ValueError(f"max_length {self.max_length}: expected 3 tokens or more, as two are special ones")
        if self.dimension is not None and self.dimension < 1:
            raise ValueError(f"dimension {self.dimension}: expected 1 or more")
        if self.similarity not in SIMILARITIES:
            raise ValueError(f"similarity {self.similarity!r}: expected one of {', '.join(SIMILARITIES)}")
        self._check_late_chunking()
        for name, prompt in self.prompts.items():
            if not isinstance(prompt, str):
                raise ValueError(f"prompt {name!r}: got {prompt!r}, expected a text")
        if self.default_prompt is not None and self.default_prompt not in self.prompts:
            raise ValueError(
                f"default prompt {self.default_prompt!r}: expected the name of a prompt, such as "
                f"{', '.join(self.prompts) or 'none, as there are none'}"
            )

    def _check_late_chunking(self) -> None:
        if self.late_chunking is None:
            return
        if self.late_chunking < 1:
            raise ValueError(f"late chunking in passages of {self.late_chunking} tokens: expected 1 or more")
        if self.pooling not in LATE_POOLINGS:
            raise ValueError(
                f"late chunking with pooling {self.pooling!r}: expected {' or '.join(LATE_POOLINGS)}, as a passage is "
                "pooled from its own tokens, and only the first one has that token; leave --late-chunking out"
            )

    def prompt(self, name: str | None) -> str:
        """Return the prompt of that name; of None the default one; nothing for "query" and "document" without any.

        Raises:
            ValueError: there is no prompt of another name.
        """
        if name is None:
            return self.prompts[self.default_prompt] if self.default_prompt else ""
        if name not in self.prompts and name not in ("query", "document"):
            raise ValueError(
                f"prompt {name!r}: expected one of {', '.join(self.prompts) or 'none, as the model has none'}"
            )
        return self.prompts.get(name, "")
