"""What a recipe asks of a tokenizer, and what no encoder here can take from one."""

from typing import Any

from tokenizers.normalizers import Lowercase, Normalizer
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerBase


def leave_bare(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let a tokenizer put nothing around a text: the tokens of a static model are those of the text alone."""
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A $B")


def read_lowercase(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let a tokenizer read everything in lower case, as its first step, unless it does so anyway."""
    backend = tokenizer.backend_tokenizer
    normalizer: Any = backend.normalizer  # one, or a sequence of them, which the library does not type as iterable
    steps: list[Normalizer] = []
    if normalizer is not None:
        several = isinstance(normalizer, Normalizers)
        steps = [normalizer[place] for place in range(len(normalizer))] if several else [normalizer]
    if not any(isinstance(step, Lowercase) for step in steps):
        backend.normalizer = Normalizers([Lowercase(), *steps])


def refuse_segments(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that puts one text into several segments, as XLNet's: segments are left out here."""
    segments = set(tokenizer.backend_tokenizer.encode("a").type_ids)
    if segments - {0} and "token_type_ids" in tokenizer.model_input_names:
        raise ValueError(
            f"{type(tokenizer).__name__} puts one text into the segments {', '.join(map(str, sorted(segments)))}, "
            "expected segment 0 only; encode with sentence-transformers"
        )
