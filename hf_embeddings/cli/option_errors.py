"""What is said of a value of the command line that is of another type or out of its bounds: typer quotes pydantic."""

from typing import Any

import typer
from typer.core import TyperGroup

# Kinds of errors of pydantic -> what was expected; {} are its own figures.
_EXPECTED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number",
    "float_parsing": "a number",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
}


class Verbs(TyperGroup):
    """A command with verbs, which says of a wrong value what was given and what was expected."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401  as the class above
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = own_words(error.__cause__) or error.message
            raise


def own_words(cause: BaseException | None) -> str | None:
    """Return what an error of pydantic says of one value; None where it is another error, or of another kind."""
    errors = getattr(cause, "errors", None)
    first = errors()[0] if callable(errors) else {}
    expected = _EXPECTED.get(first.get("type", ""))
    return f"got {first['input']!r}, expected {expected.format(**first.get('ctx', {}))}" if expected else None
