"""The command `hf-embeddings`: one table of verbs, each in a file of its own; heavy imports happen inside the verbs."""

import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

import hf_embeddings
from hf_embeddings.cli.command import as_command
from hf_embeddings.cli.convert import convert
from hf_embeddings.cli.debias import debias
from hf_embeddings.cli.distil import distil
from hf_embeddings.cli.embed import embed
from hf_embeddings.cli.evaluate import evaluate
from hf_embeddings.cli.example import example
from hf_embeddings.cli.explain import explain
from hf_embeddings.cli.export import export
from hf_embeddings.cli.index import index
from hf_embeddings.cli.inspect import inspect
from hf_embeddings.cli.option_errors import Verbs
from hf_embeddings.cli.plot import plot
from hf_embeddings.cli.position_lab import position_lab
from hf_embeddings.cli.positions import positions
from hf_embeddings.cli.prepare import prepare
from hf_embeddings.cli.pretrain import pretrain
from hf_embeddings.cli.publish import publish
from hf_embeddings.cli.reposition import reposition
from hf_embeddings.cli.search import remove, search
from hf_embeddings.cli.serve import serve
from hf_embeddings.cli.standard_streams import checked_streams, open_closed_streams
from hf_embeddings.cli.verify import verify
from hf_embeddings.cli.vocabulary import vocabulary
from hf_embeddings.printable import one_line

COMMAND = "hf-embeddings"  # also where it is started as a module: what completes it in a shell goes by this name
VERBS: dict[str, Callable[..., None]] = {
    "convert": convert,
    "debias": debias,
    "distil": distil,
    "embed": embed,
    "evaluate": evaluate,
    "example": example,
    "explain": explain,
    "export": export,
    "index": index,
    "inspect": inspect,
    "position-lab": position_lab,
    "positions": positions,
    "prepare": prepare,
    "pretrain": pretrain,
    "publish": publish,
    "remove": remove,
    "reposition": reposition,
    "search": search,
    "serve": serve,
    "verify": verify,
    "vocabulary": vocabulary,
}

GROUPS = {"plot": plot}  # verbs with sub-verbs

app = typer.Typer(cls=Verbs, no_args_is_help=True, pretty_exceptions_enable=False)
for _name, _verb in VERBS.items():
    app.command(_name)(as_command(_name, _verb))
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"{COMMAND} {hf_embeddings.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Pretrain, convert, look at, publish and search with TriEmbed encoders: token + position + segment."""


def main() -> None:
    """Run the command; a mistake of the user is one line and exit code 2."""
    open_closed_streams()
    with checked_streams():
        try:
            os.getcwd()
        except OSError:  # libraries of torch then end the process, and say something else
            _leave("the working directory is gone, expected one that is there; change to one (cd)")
        try:
            app(prog_name=COMMAND)
        except (ValueError, OSError) as error:
            _leave(str(error))
        except Exception as error:  # safetensors and tokenizers have kinds of their own for what the system refuses
            if not re.search(r"\(os error \d+\)", str(error)):
                raise
            _leave(f"a file cannot be written or read: {error}")


def _leave(reason: str) -> NoReturn:
    with suppress(OSError):  # of a full disk, too
        sys.stdout.flush()  # where both go to one place, the error is the last line
        print(one_line("error: " + " ".join(reason.split())), file=sys.stderr, flush=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
