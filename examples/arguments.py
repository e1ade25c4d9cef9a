"""The command line of every example: its own arguments beside all of transformers' TrainingArguments."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from given import check_model
from transformers import HfArgumentParser, TrainingArguments

from hf_embeddings.hardware import bf16_is_fast

Arguments = TypeVar("Arguments")


@dataclass
class ExampleArguments:
    """What every example is given; each adds its own."""

    model: str  # directory or Hub id
    train: str  # file, or id of a data set on the Hub
    test: str | None = None  # file


def parse(
    kind: type[Arguments], length: str = "max_length", training: type[TrainingArguments] = TrainingArguments
) -> tuple[Arguments, TrainingArguments]:
    """Read the command line into a dataclass and TrainingArguments; the model must have `length` positions.

    `--bf16` is on where the hardware multiplies bf16 faster than fp32, else off, unless it is given. `--use_cpu` is on
    where there is no accelerator: without it, TrainingArguments refuses bf16 there.
    """
    parser = HfArgumentParser((kind, training))
    bf16 = bf16_is_fast("cuda" if torch.cuda.is_available() else "cpu")
    parser.set_defaults(bf16=bf16, use_cpu=not torch.accelerator.is_available())
    arguments, trained = parser.parse_args_into_dataclasses()
    check_model(arguments.model, getattr(arguments, length), f"--{length}")  # before data are read
    return arguments, trained


def run(main: Callable[[], None]) -> None:
    """Run an example; a mistake in its arguments or data is one line and exit code 2."""
    try:
        main()
    except (ValueError, OSError) as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
