"""`hf-embeddings plot`: pictures of words, positions, the input sum, training and attention."""

from collections.abc import Callable

import typer

from hf_embeddings.cli.command import as_command
from hf_embeddings.cli.plot_attention import attention
from hf_embeddings.cli.plot_positions import positions
from hf_embeddings.cli.plot_sum import input_sum
from hf_embeddings.cli.plot_training import training
from hf_embeddings.cli.plot_words import words

PICTURES: dict[str, Callable[..., None]] = {
    "words": words,
    "positions": positions,
    "sum": input_sum,
    "training": training,
    "attention": attention,
}

plot = typer.Typer(no_args_is_help=True, help="Draw words, positions, the input sum, training or attention.")
for _name, _picture in PICTURES.items():
    plot.command(_name)(as_command(f"plot {_name}", _picture))
