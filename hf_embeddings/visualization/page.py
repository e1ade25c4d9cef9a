"""A page that is one file: a template with named fields, and data inside of its scripts."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib.resources import files

FIELD = re.compile(r"@([A-Z]+)@")


def policy(script: str) -> str:
    """Return the Content-Security-Policy of a page: nothing from elsewhere, and no script but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"


def elements() -> str:
    """Return the script with which every page makes its elements; it comes before the page's own."""
    return files("hf_embeddings.visualization").joinpath("elements.js").read_text(encoding="utf-8")


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
