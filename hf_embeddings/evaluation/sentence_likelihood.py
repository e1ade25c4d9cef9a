"""Which of two sentences a masked language model finds more likely, where one of them is wrong.

Shapes: N masked copies of a sentence, S tokens, V vocabulary.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch
from torch import nn
from transformers import BatchEncoding, PreTrainedTokenizerBase

from hf_embeddings.analysis.intervals import share_interval
from hf_embeddings.evaluation.grammar import KINDS, Language, minimal_pairs
from hf_embeddings.loading.auto_classes import open_model
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.progress import Phases, silent_phase
from hf_embeddings.records.evaluation import GrammarFigures

TOKENS_AT_A_TIME = 4096


def load_masked_model(folder: str | Path) -> nn.Module:
    """Return the masked language model of a directory, in fp32.

    Raises:
        ValueError: the directory has no head for masked tokens.
    """
    with quiet_loading():
        model, info = open_model(folder, "AutoModelForMaskedLM", dtype=torch.float32, output_loading_info=True)
    if missing := sorted(info["missing_keys"]):
        raise ValueError(
            f"--minimal-pairs: {folder} has no head for masked tokens ({missing[0]} is missing), which tells how "
            "likely a sentence is; leave it out, or give a masked language model"
        )
    loaded: nn.Module = model.eval()
    return loaded


def judge_grammar(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    language: Language,
    *,
    phases: Phases = silent_phase,
) -> GrammarFigures:
    """Score all pairs of a language; pairs with a word that the vocabulary cannot spell are left out, and counted.

    Args:
        model: with scores of tokens, `logits` (N, S, V).
        tokenizer: of the model.
        language: of the pairs.
        phases: makes what shows how far it is.
    """
    pairs = minimal_pairs(language)
    unknown = tokenizer.unk_token_id
    texts = [text for pair in pairs for text in (pair.right, pair.wrong)]
    encoded = [tokenizer(text, return_special_tokens_mask=True) for text in texts]
    known = [
        number
        for number in range(len(pairs))
        if unknown is None or not any(unknown in encoded[2 * number + side]["input_ids"] for side in (0, 1))
    ]
    won: dict[str, list[bool]] = {kind: [] for kind in KINDS[language]}
    with phases(f"minimal pairs ({language})", len(known), unit="pairs") as phase:
        for number in known:
            right, wrong = (pseudo_log_likelihood(model, tokenizer, encoded[2 * number + side]) for side in (0, 1))
            won[pairs[number].kind].append(right > wrong)
            phase.advance()
    every = [one for own in won.values() for one in own]
    return GrammarFigures(
        pairs=len(every),
        left_out=len(pairs) - len(every),
        accuracy=fmean(every) if every else None,
        accuracy_interval=share_interval(fmean(every), len(every)) if every else None,
        accuracy_by_kind={kind: fmean(own) for kind, own in won.items() if own},
    )


@torch.no_grad()
def pseudo_log_likelihood(model: nn.Module, tokenizer: PreTrainedTokenizerBase, encoded: BatchEncoding) -> float:
    """Sum the log-probability of each token of a sentence, which is hidden, with the rest of its word after it.

    Hiding the rest of the word keeps rare words of many pieces from being overrated (https://arxiv.org/abs/2305.10588).
    """
    ids = torch.tensor(encoded["input_ids"])
    places = [place for place, special in enumerate(encoded["special_tokens_mask"]) if not special]
    rows = ids.repeat(len(places), 1)  # (N, S)
    for row, hidden in zip(rows, _hidden(encoded, places), strict=True):
        row[hidden] = tokenizer.mask_token_id
    segments = encoded.get("token_type_ids")
    total = 0.0
    size = max(1, TOKENS_AT_A_TIME // len(ids))
    for start in range(0, len(places), size):
        part = rows[start : start + size]
        more = {} if segments is None else {"token_type_ids": torch.tensor(segments).expand_as(part)}
        logits = model(input_ids=part, attention_mask=torch.ones_like(part), **more).logits
        here = torch.tensor(places[start : start + size])
        scores = logits[torch.arange(len(part)), here].float().log_softmax(dim=-1)  # (N, V)
        total += float(scores.gather(1, ids[here, None]).sum())
    return total


def _hidden(encoded: BatchEncoding, places: Sequence[int]) -> list[list[int]]:
    """Return the tokens to hide for each place: itself, and those of its word after it."""
    words: list[int | None] = encoded.word_ids() if encoded.is_fast else [None] * len(encoded["input_ids"])
    return [
        [place, *(later for later in places if later > place and words[later] == words[place] is not None)]
        for place in places
    ]
