"""The command `hf-embeddings`: one verb each for what a user does in a day; heavy imports happen inside the verbs."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


@app.command()
def pretrain(
    options_file: Annotated[str, typer.Argument(help="YAML file, such as configs/pretraining/demo.yaml")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.field=value, which beats the file")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output directory if it is not empty.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pretrain a model and write a directory that is ready for the Hub."""
    from hf_embeddings.pretraining.options_file import load_options

    options = load_options(find_config(options_file), overrides or [])
    from hf_embeddings.pretraining.run import pretrain as run

    figures = run(options, base_config=find_config(options.model.base), overwrite=overwrite)
    if as_json:
        print(json.dumps(figures))
    else:
        print(f"{options.output_dir}: ready for the Hub")


@app.command()
def inspect(
    source: Annotated[str, typer.Argument(help="Checkpoint directory or config JSON")], as_json: AsJson = False
) -> None:
    """Show what a model is: positions, tables, parameters and memory."""
    from hf_embeddings.cli.inspection import describe, render

    description = describe(find_config(source))
    print(json.dumps(description, indent=2) if as_json else render(description))


def find_config(name: str) -> Path:
    """Return `name` as a path, or the file of that name among the configs that the package ships."""
    path = Path(name)
    if path.exists() or "configs" not in path.parts:
        return path
    import importlib.util

    spec = importlib.util.find_spec("hf_embeddings.configs")
    inside = Path(*path.parts[path.parts.index("configs") + 1 :])
    shipped = Path(spec.origin).parent / inside if spec and spec.origin else path
    return shipped if shipped.exists() else path


def main() -> None:
    """Run the command; a mistake of the user is one line and exit code 2."""
    try:
        app()
    except (ValueError, OSError) as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
