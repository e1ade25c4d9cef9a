"""How every verb answers: text for people, or one JSON object for machines."""

from typing import Annotated, Literal

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "int8"],
    typer.Option(help="Arithmetic of the encoding; auto is bf16 where the hardware multiplies that fast, else fp32."),
]
