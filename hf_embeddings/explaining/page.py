"""Write an explanation as one HTML file that needs nothing else; its markup, style and script lie in `page/`."""

import html
import json
from importlib.resources import files

from hf_embeddings.explaining.explanation import Explanation
from hf_embeddings.explaining.page_data import page_data
from hf_embeddings.visualization.fonts import CSS_FAMILIES
from hf_embeddings.visualization.page import elements, fill_template, policy, script_json

# In the order in which the browser reads them: each uses those before it.
SCRIPTS = ("data", "drawing", "pieces", "sum", "order", "positions", "attention", "layers", "prediction", "page")
LANGUAGES = ("en", "zh")


def explanation_page(explanation: Explanation) -> str:
    """Return the page."""
    script = "\n".join([elements(), *(_read(f"{name}.js") for name in SCRIPTS)])
    texts = ", ".join(text for one in explanation.inputs for text in one.text.texts if len(one.text.texts) == 1)
    fields = {
        "POLICY": policy(script),
        "TITLE": html.escape(f"{explanation.model.name}: {texts}"),
        "FONTS": CSS_FAMILIES,
        "STYLE": _read("page.css"),
        "WORDS": script_json({language: json.loads(_read(f"words-{language}.json")) for language in LANGUAGES}),
        "DATA": script_json(page_data(explanation)),
        "SCRIPT": script,
    }
    return fill_template(_read("page.html"), fields)


def _read(name: str) -> str:
    return files("hf_embeddings.explaining").joinpath("page", name).read_text(encoding="utf-8")
