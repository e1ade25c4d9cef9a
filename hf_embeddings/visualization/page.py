"""A page that is one file: a template with named fields, and data inside of its scripts."""

import html
import json
import re
from collections.abc import Mapping

# The browser itself refuses whatever is not in the file; plotly's WebGL code is compiled at run time.
POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
FIELD = re.compile(r"@([A-Z]+)@")


def fill_template(template: str, fields: Mapping[str, str]) -> str:
    """Return the template with each `@NAME@` replaced by its field.

    One pass over the template: what a field holds is never read as a field again, whatever a user's text looks like.

    Raises:
        KeyError: the template has a field without a value.
    """
    return FIELD.sub(lambda match: fields[match[1]], template)


def script_json(value: object) -> str:
    """Return JSON that may stand in a script element: no text in it can end the script or open a comment.

    A browser ends a script at `</script`, and reads on to another one's end after `<!--<script`. JSON spells `<` as
    an escape just as well.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def drawn(text: str) -> str:
    """Return a text as plotly has to be given it: SVG text, in which plotly reads tags, `%{field}` and some entities.

    Quotes stay: plotly does not know their entities, and would show them.
    """
    return html.escape(text, quote=False).replace("%{", "&#37;{")
