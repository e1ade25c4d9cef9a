"""Pairs of texts to scores: a cross-encoder, which reads a query and a document together.

Shapes: N pairs, B pairs of one batch, S tokens of the longest of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_embeddings.files.reading import read_object
from hf_embeddings.loading.auto_classes import open_model
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.loading.saved_model import one_line_errors, read_config, read_tokenizer
from hf_embeddings.loading.sentence_models import OF_A_RERANKER, RERANKER, sentence_class
from hf_embeddings.loading.stored_weights import check_finite
from hf_embeddings.model.modeling_triembed import TriEmbedForSequenceClassification
from hf_embeddings.search.batches import batches
from hf_embeddings.search.precision import PRECISIONS, choose_encoding_precision, pack_weights
from hf_embeddings.search.text_model import check_ids, longest_input, read_inputs

# What sentence-transformers puts on the score of one label, by the name of the class.
ACTIVATIONS = {"Sigmoid": torch.sigmoid, "Identity": lambda scores: scores, "Tanh": torch.tanh}


class Pair(NamedTuple):
    """A query and a document as the model reads them."""

    ids: list[int]
    segments: list[int]


def is_cross_encoder(folder: str | Path) -> bool:
    """Tell whether a model directory holds a cross-encoder: a classifier of one label, or what says that it is one."""
    config = read_object(Path(folder) / "config.json")
    if sentence_class(Path(folder)) == RERANKER:
        return True
    classes = config.get("architectures") or []
    labels = config.get("num_labels", len(config.get("id2label") or {}) or 2)
    return labels == 1 and any(str(name).endswith("ForSequenceClassification") for name in classes)


class CrossEncoder:
    """Score how well documents answer a query."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        activation: str = "Sigmoid",
        precision: str = "auto",
    ) -> None:
        """Take a loaded cross-encoder; a `precision` other than fp32 changes it in place."""
        if not tokenizer.is_fast:
            raise ValueError(f"{type(tokenizer).__name__} is no fast tokenizer; save it as tokenizer.json first")
        precision = choose_encoding_precision(precision, model.device).name
        self.max_length = longest_input(model, tokenizer)
        tokenizer.backend_tokenizer.no_padding()
        PRECISIONS[precision](model.eval())
        self.model, self.tokenizer, self.precision, self.activation = model, tokenizer, precision, activation
        self.packs = isinstance(model, TriEmbedForSequenceClassification)
        self.truncated = 0  # pairs that were longer than max_length so far

    @classmethod
    def load(cls, folder: str | Path, *, precision: str = "auto", device: str = "cpu") -> "CrossEncoder":
        """Load a directory with a cross-encoder of one label.

        Raises:
            ValueError: it is none, or one of several labels, or its scores go through a function not known here.
        """
        import hf_embeddings  # noqa: F401  registers TriEmbed with the Auto classes

        config = read_config(folder)
        if config.num_labels != 1:
            raise ValueError(f"{folder}: has {config.num_labels} labels, expected a cross-encoder of 1; it cannot rank")
        activation = _activation(Path(folder))
        with quiet_loading(), one_line_errors(folder):
            model, report = open_model(
                folder, "AutoModelForSequenceClassification", dtype=torch.float32, output_loading_info=True
            )
        if missing := sorted(report["missing_keys"]):
            raise ValueError(f"{folder}: weights are missing, and would be random ({', '.join(missing[:3])})")
        check_finite(model.named_parameters(), folder)
        reranker = cls(model.to(device), read_tokenizer(folder), activation=activation, precision=precision)
        if reranker.precision == "fp32":  # of a model that nobody else has
            pack_weights(reranker.model)
        return reranker

    def tokenize(self, query: str, documents: Sequence[str]) -> list[Pair]:
        """Return the ids of a query with each document, cut to `max_length`: of the longer one first."""
        backend = self.tokenizer.backend_tokenizer
        backend.enable_truncation(self.max_length, strategy="longest_first")
        encodings = backend.encode_batch([(query, document) for document in documents])
        self.truncated += sum(bool(encoding.overflowing) for encoding in encodings)
        return [Pair(encoding.ids, encoding.type_ids) for encoding in encodings]

    def count_tokens(self, query: str, documents: Sequence[str]) -> list[int]:
        """Return how many tokens a query has with each document before it is cut."""
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()
        return [len(encoding) for encoding in backend.encode_batch([(query, document) for document in documents])]

    @torch.inference_mode()
    def score_pairs(self, pairs: Sequence[Pair], tokens_per_batch: int = 4096) -> np.ndarray:
        """Return the scores (N,) of tokenized pairs in fp32, before the activation: the higher, the better."""
        lengths = np.array([len(pair.ids) for pair in pairs])
        check_ids(self.model, self.tokenizer, torch.tensor([max(pair.ids) for pair in pairs]))
        scores = np.empty(len(pairs), np.float32)
        run = self._packed if self.packs else self._padded
        for batch in batches(np.argsort(-lengths, kind="stable"), lengths, tokens_per_batch, alike=False):
            scores[batch] = run([pairs[number] for number in batch]).float().cpu().numpy()
        return scores

    def activate(self, scores: np.ndarray) -> np.ndarray:
        """Return scores (N,) as the directory wants them: between 0 and 1 unless it says otherwise."""
        activated: torch.Tensor = ACTIVATIONS[self.activation](torch.from_numpy(scores))
        return activated.numpy()

    def _packed(self, pairs: list[Pair]) -> torch.Tensor:
        lengths = torch.tensor([len(pair.ids) for pair in pairs])
        boundaries = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).to(self.model.device, torch.int32)
        ids = torch.tensor([[token for pair in pairs for token in pair.ids]], device=self.model.device)
        segments = torch.tensor([[segment for pair in pairs for segment in pair.segments]], device=self.model.device)
        inputs = read_inputs(self.model, {"input_ids": ids, "token_type_ids": segments})
        return self.model(**inputs, cu_seq_lens_q=boundaries).logits[:, 0]

    def _padded(self, pairs: list[Pair]) -> torch.Tensor:
        lengths = torch.tensor([len(pair.ids) for pair in pairs])
        mask = torch.arange(int(lengths.max())) < lengths[:, None]  # (B, S)
        ids = torch.full(mask.shape, self.model.config.pad_token_id or 0)
        segments = torch.zeros(mask.shape, dtype=torch.long)
        ids[mask] = torch.tensor([token for pair in pairs for token in pair.ids])
        segments[mask] = torch.tensor([segment for pair in pairs for segment in pair.segments])
        given = {"input_ids": ids, "attention_mask": mask.long()}
        if "token_type_ids" in self.tokenizer.model_input_names:
            given["token_type_ids"] = segments
        inputs: dict[str, Any] = read_inputs(self.model, given)
        return self.model(**{name: value.to(self.model.device) for name, value in inputs.items()}).logits[:, 0]


def _activation(folder: Path) -> str:
    """Return the name of the function on the scores, as sentence-transformers keeps it.

    Raises:
        ValueError: it is none of `ACTIVATIONS`.
    """
    name: object = None
    for file in ("config.json", "config_sentence_transformers.json"):
        stated = read_object(folder / file) if (folder / file).is_file() else {}
        nested = stated.get(OF_A_RERANKER[0])
        name = stated.get("activation_fn") or stated.get(OF_A_RERANKER[1]) or name
        name = (nested.get("activation_fn") if isinstance(nested, dict) else None) or name
    word = "Sigmoid" if name is None else str(name).rpartition(".")[2]
    if word not in ACTIVATIONS:
        raise ValueError(f"{folder}: scores go through {name}, expected one of {', '.join(ACTIVATIONS)}")
    return word
