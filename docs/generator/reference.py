"""Write docs/reference from the code: `python -m docs.generator.reference`. A test holds the pages equal to the code.

Verbs and options come from the command, YAML options from the dataclasses and their comments, config fields from the
docstring of TriEmbedConfig. Nothing heavy is imported.
"""

import ast
import inspect
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

from hf_embeddings.cli.main import COMMAND, VERBS
from hf_embeddings.cli.plot import PICTURES
from hf_embeddings.corpora import options as corpus_options
from hf_embeddings.embedding import options as embedding_options
from hf_embeddings.pretraining import options as run_options
from hf_embeddings.pretraining import phase_options
from hf_embeddings.typed_yaml.fields import BOUNDS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
CONFIGURATION = ROOT / "hf_embeddings" / "model" / "configuration_triembed.py"
NOTE = "<!-- Written by `python -m docs.generator.reference` from the code. Change the code, then rerun it. -->"


def pages() -> dict[str, str]:
    """Return the pages by file name."""
    return {"commands.md": commands_page(), "options.md": options_page(), "configuration.md": configuration_page()}


# Commands


def commands_page() -> str:
    """Return every verb with its arguments and options, their defaults and meanings."""
    lines = [
        "# Commands",
        NOTE,
        f"`{COMMAND} --help` lists the verbs, `{COMMAND} VERB --help` the options of a verb. "
        f"`{COMMAND} --install-completion` teaches them to your shell. `python -m hf_embeddings` is the same command.",
        "Exit codes: 0 done; 1 failed, or `verify` found damage; 2 a mistake in what was given; 75 stopped and saved, "
        "rerun the command to resume; 130 interrupted.",
    ]
    for name, verb in sorted({**VERBS, **{f"plot {name}": picture for name, picture in PICTURES.items()}}.items()):
        parameters = parameters_of(verb)
        words = [name, *(parameter.usage for parameter in parameters if not parameter.is_option), "[OPTIONS]"]
        rows = [row(p.shown, p.value, p.default, p.meaning) for p in parameters]
        lines += [f"## {name}", f"`{COMMAND} {' '.join(words)}`", paragraph(verb.__doc__ or "")]
        lines += ["\n".join(["| | value | default | meaning |", "|---|---|---|---|", *rows])]
    return "\n\n".join(lines) + "\n"


@dataclass(frozen=True)
class Parameter:
    """An argument or option of a verb, in words."""

    shown: str
    usage: str
    value: str
    default: str
    meaning: str
    is_option: bool


def parameters_of(verb: Callable[..., None]) -> list[Parameter]:
    """Return the parameters of a verb, read from its signature as typer reads them."""
    parameters = []
    for name, parameter in inspect.signature(verb).parameters.items():
        kind, info = get_args(parameter.annotation)
        is_option, is_required = isinstance(info, OptionInfo), parameter.default is inspect.Parameter.empty
        plain = [part for part in get_args(kind) if part is not NoneType]
        inner = plain[0] if NoneType in get_args(kind) else kind
        many = get_origin(inner) is list
        label = info.metavar or name.upper()
        label += "..." if many and not is_option else ""
        parameters.append(
            Parameter(
                shown=option_names(name, inner, info) if is_option else f"`{label}`",
                usage=label if is_required else f"[{label}]",
                value=value_words(inner, info) + (", repeatable" if many and is_option else ""),
                default="required" if is_required else default_word(parameter.default),
                meaning=paragraph(info.help or ""),
                is_option=is_option,
            )
        )
    return parameters


def option_names(name: str, kind: object, info: OptionInfo) -> str:
    """Return the spellings of an option; a switch without its own spelling has one that turns it off."""
    # typer.Option("--json") inside Annotated leaves the first spelling where a default would stand.
    words = (info.default, *(info.param_decls or ()))
    spellings = [word for word in words if isinstance(word, str) and word.startswith("-")]
    if not spellings:
        word = name.replace("_", "-")
        spellings = [f"--{word}", f"--no-{word}"] if kind is bool else [f"--{word}"]
    return ", ".join(f"`{spelling}`" for spelling in spellings)


def value_words(kind: object, info: OptionInfo) -> str:
    """Return in words what is expected."""
    if get_origin(kind) is list:
        (kind,) = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " \\| ".join(f"`{choice.value}`" for choice in kind)
    if get_origin(kind) is Literal:
        return " \\| ".join(f"`{choice}`" for choice in get_args(kind))
    word = {bool: "switch", int: "integer", float: "number", str: "text", Path: "path"}[kind]
    return f"{word}, at least {info.min}" if info.min is not None else word


def default_word(value: object) -> str:
    """Return a default as it would be typed; empty where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "`''`" if value == "" else f"`{value}`"


# Options files


def options_page() -> str:
    """Return every option of an options file, section by section."""
    lines = [
        "# Options",
        NOTE,
        "The options of `pretrain`, `prepare` and `position-lab`: the keys of a `configs/pretraining/*.yaml` file. On "
        "the command line, write `section.key=value`. An unknown key is an error.",
    ]
    for title, kind in sections(run_options.PositionLabOptions):
        lines += [f"## {title}", paragraph((kind.__doc__ or "").partition("\n")[0])]
        rows = ["| option | value | default | meaning |", "|---|---|---|---|"]
        lines += ["\n".join([*rows, *option_rows(kind)])]
    lines += [
        "## Options of embed",
        "The options of `embed`: the keys of a `configs/embedding/*.yaml` file. `checkpoints` and `card` are as above.",
    ]
    for title, kind in embedding_sections(embedding_options.EmbeddingOptions):
        lines += [f"### {title}", paragraph((kind.__doc__ or "").partition("\n")[0])]
        lines += ["\n".join(["| option | value | default | meaning |", "|---|---|---|---|", *option_rows(kind)])]
    return "\n\n".join(lines) + "\n"


def embedding_sections(top: type) -> Iterator[tuple[str, type]]:
    """Yield the top level of the options of `embed`, and its sections."""
    hints = get_type_hints(top)
    yield "Top level of embed", top
    for field in fields(top):
        if is_dataclass(hints[field.name]) and field.name not in ("checkpoints", "card"):  # those of `pretrain`
            yield f"{field.name} of embed", hints[field.name]


def sections(top: type) -> Iterator[tuple[str, type]]:
    """Yield the top level and its sections, then what stands in their lists."""
    hints = get_type_hints(top)
    yield "Top level", run_options.PretrainingOptions
    for field in fields(top):
        if is_dataclass(hints[field.name]):
            only = " (`position-lab` only)" if field.name == "lab" else ""
            yield field.name + only, hints[field.name]
    yield "training.phases, each", phase_options.PhaseOptions
    yield "training.stages, each", phase_options.StageOptions
    yield "corpus.sources, each", corpus_options.SourceOptions


def option_rows(kind: type) -> Iterator[str]:
    """Yield the rows of a section; the sections in it have tables of their own."""
    hints, comments = get_type_hints(kind), {}
    for part in reversed(kind.__mro__[:-1]):
        comments |= field_comments(part)
    for field in fields(kind):
        if is_dataclass(hints[field.name]):
            continue
        if "remaining" in field.metadata:
            meaning = "see [Configuration](configuration.md)"
            yield row("any field of TriEmbedConfig", "as there", "as in `base`", meaning)
            continue
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        default_cell = "required" if default is MISSING else f"`{yaml_word(default)}`"
        bounds = ", ".join(f"{BOUNDS[word][1]} {bound}" for word, bound in field.metadata.items() if word in BOUNDS)
        yield row(f"`{field.name}`", kind_words(hints[field.name], bounds), default_cell, in_yaml(comments[field.name]))


def field_comments(kind: type) -> dict[str, str]:
    """Return the comment of each field of a dataclass: those above it, or beside it.

    Raises:
        ValueError: a field has none.
    """
    path = Path(sys.modules[kind.__module__].__file__)
    source = path.read_text(encoding="utf-8")
    node = next(n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == kind.__name__)
    comments = {
        token.start[0]: (token.string.lstrip("# "), token.line.strip().startswith("#"))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    by_name = {}
    for field in node.body:
        if not isinstance(field, ast.AnnAssign):
            continue
        beside = [comments[line][0] for line in range(field.lineno, field.end_lineno + 1) if line in comments]
        above, line = [], field.lineno - 1
        while line in comments and comments[line][1]:
            above.insert(0, comments[line][0])
            line -= 1
        name = ast.unparse(field.target)
        by_name[name] = paragraph(" ".join(above + beside))
    return by_name


def kind_words(kind: object, bounds: str = "") -> str:
    """Return a type in words, with the bounds of its values."""
    if get_origin(kind) in (Union, UnionType):
        words = [kind_words(part) for part in get_args(kind) if part is not NoneType]
        null = ["`null`"] if NoneType in get_args(kind) else []
        return " or ".join([*words, *null]) + (f", {bounds}" if bounds else "")
    if get_origin(kind) is Literal:
        return " \\| ".join(f"`{word}`" for word in get_args(kind))
    if get_origin(kind) is list:
        (part,) = get_args(kind)
        return "list of sections, see below" if is_dataclass(part) else f"list of {kind_words(part)}"
    names = {int: "integer", float: "number", bool: "`true` \\| `false`", str: "text", object: "any value"}
    word = names.get(kind, "mapping" if get_origin(kind) is dict or kind is dict else str(kind))
    return word + (f", {bounds}" if bounds else "")


def in_yaml(comment: str) -> str:
    """Return a comment on a field as one on a key of an options file."""
    return re.sub(r"\bNone\b", "`null`", comment)


def yaml_word(value: object) -> str:
    """Return a default as YAML writes it."""
    words = {None: "null", True: "true", False: "false"}
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return words[value] if value is None or isinstance(value, bool) else str(value) if value != {} else "{}"


# Fields of the config


def configuration_page() -> str:
    """Return every field of TriEmbedConfig with its type, default and meaning."""
    tree = ast.parse(CONFIGURATION.read_text(encoding="utf-8"))
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "TriEmbedConfig")
    field_nodes = {ast.unparse(f.target): f for f in node.body if isinstance(f, ast.AnnAssign)}
    lines = [
        "# Configuration",
        NOTE,
        "The fields of `TriEmbedConfig`: the keys of a `config.json`, and of the `model` section of an options file. "
        "Sizes are counts of rows, features, heads, layers or tokens, as each line says.",
    ]
    rows = ["| field | value | default | meaning |", "|---|---|---|---|"]
    for name, meaning in arguments_of(ast.get_docstring(node) or "").items():
        field = field_nodes.get(name)
        kind = ast.unparse(field.annotation).replace("|", "\\|") if field else "dict \\| None"
        default = ast.unparse(field.value) if field and field.value else "None"
        default = "1" if default == "FORMAT_VERSION" else default
        rows.append(row(f"`{name}`", kind, f"`{default}`", meaning))
    return "\n\n".join([*lines, "\n".join(rows)]) + "\n"


def arguments_of(docstring: str) -> dict[str, str]:
    """Return the entries of the section Args of a docstring."""
    section = docstring.split("Args:\n")[1].split("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, flags=re.MULTILINE)
    return {name: paragraph(text) for name, text in entries}


def row(*cells: str) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in cells) + " |"


def paragraph(text: str) -> str:
    """Return text without line breaks, its own paragraphs kept apart."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file_name, text in pages().items():
        (FOLDER / file_name).write_text(text, encoding="utf-8", newline="\n")
        print(FOLDER / file_name)
