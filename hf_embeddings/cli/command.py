"""What every verb shares as a command: its arguments in capitals and as meant, its output printable, its last words."""

import functools
import inspect
import sys
from collections.abc import Callable

import typer
from typer.models import ArgumentInfo

from hf_embeddings.cli.arguments import meant_value
from hf_embeddings.cli.interruption import EXIT_CODE, interruptible, sentence
from hf_embeddings.printable import escaped_stdout, one_line


def as_command(name: str, verb: Callable[..., None]) -> Callable[..., None]:
    """Return the verb as typer takes it. Interrupted, it says its sentence and leaves with exit code 130."""
    _name_arguments(verb)

    @functools.wraps(verb)
    def run(*args: object, **kwargs: object) -> None:
        kwargs = {key: meant_value(name, key, value) for key, value in kwargs.items()}
        try:
            with interruptible(), escaped_stdout(sys.stdout):
                verb(*args, **kwargs)
        except KeyboardInterrupt:
            arguments = inspect.signature(verb).bind(*args, **kwargs).arguments
            print(one_line(f"interrupted: {sentence(name, arguments)}"), file=sys.stderr)
            raise typer.Exit(EXIT_CODE) from None

    return run


def _name_arguments(verb: Callable[..., None]) -> None:
    """Give the arguments of a verb the names in capitals that help, errors and documentation call them by."""
    for name, parameter in inspect.signature(verb).parameters.items():
        for info in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(info, ArgumentInfo) and info.metavar is None:
                info.metavar = name.upper()
