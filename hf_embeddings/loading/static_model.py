"""A static embedding model: a table with a row for each token, in the format of model2vec.

The directory holds `model.safetensors` with `embeddings` (V, D), and perhaps `weights` (V,) that the rows are
multiplied by, and `mapping` (V,) from token ids to rows; `tokenizer.json`; and a `config.json` of model_type
"model2vec". sentence-transformers reads the same directory as its StaticEmbedding.

Shapes: V tokens, D width, B texts, S tokens of a text.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from hf_embeddings.file_names import WEIGHTS
from hf_embeddings.loading.stored_weights import open_weights

MODEL_TYPE = "model2vec"
ROWS, SCALES, PLACES = "embeddings", "weights", "mapping"  # names of the tensors
_NAMES = {ROWS: ROWS, "embedding.weight": ROWS, SCALES: SCALES, PLACES: PLACES}  # the second is sentence-transformers'


class StaticConfig(PreTrainedConfig):
    """What a static model states of itself; its size stands in the weights."""

    model_type = MODEL_TYPE

    hidden_size: int = 0
    vocab_size: int = 0
    num_hidden_layers: int = 0
    pad_token_id: int | None = 0


class StaticModel(PreTrainedModel):
    """A table as a model: the state of a token is its row, whatever stands beside it."""

    config_class = StaticConfig
    base_model_prefix = ""

    def __init__(self, config: StaticConfig, rows: torch.Tensor) -> None:
        """Take the rows (V, D)."""
        super().__init__(config)
        self.embeddings = nn.Embedding.from_pretrained(rows, freeze=True)

    def get_input_embeddings(self) -> nn.Module:
        """Return the table."""
        return self.embeddings

    def forward(self, input_ids: torch.Tensor, *, output_hidden_states: bool = False, **_: Any) -> BaseModelOutput:
        """Map ids (B, S) to rows (B, S, D); a batch may stand in one row, as no token sees another."""
        hidden = self.embeddings(input_ids)
        return BaseModelOutput(last_hidden_state=hidden, hidden_states=(hidden,) if output_hidden_states else None)


def load_static(folder: Path, config: PreTrainedConfig) -> StaticModel:
    """Load the table of a directory in fp32.

    Raises:
        ValueError: the weights are damaged, or make no table.
    """
    path = folder / WEIGHTS
    with open_weights(path) as file:
        tensors = {_NAMES[name]: file.get_tensor(name) for name in file.keys() if name in _NAMES}  # noqa: SIM118
    rows, scales, places = (tensors.get(name) for name in (ROWS, SCALES, PLACES))
    if rows is None or rows.dim() != 2:
        raise ValueError(f"{path}: no table {ROWS!r} of tokens x width in it; save or download the model again")
    rows = rows.float()
    if places is not None:
        if places.min() < 0 or places.max() >= len(rows):
            raise ValueError(f"{path}: {PLACES} points beyond the {len(rows)} rows; save or download the model again")
        rows = rows[places.long()]
    if scales is not None:
        if scales.shape != rows.shape[:1]:
            raise ValueError(f"{path}: {len(scales)} {SCALES} for {len(rows)} tokens; save or download the model again")
        rows = rows * scales.float()[:, None]
    config.vocab_size, config.hidden_size = rows.shape
    assert isinstance(config, StaticConfig), "of this model_type"
    model = StaticModel(config, rows)
    model.name_or_path = str(folder)
    return model.eval()


AutoConfig.register(MODEL_TYPE, StaticConfig, exist_ok=True)
