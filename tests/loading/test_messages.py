"""What is loaded on the way draws no bars of transformers, and its reports speak of no place that nobody knows."""

import ast
import logging

import pytest
from transformers.utils import logging as transformers_logging

from hf_embeddings.loading.messages import OURS, quiet_loading
from tests.structure import MODULES

QUIET = {"no_bars", "quiet_loading"}
MODEL = ("Tri", "model_class", "getattr(")  # how what is loaded begins, where it is a model and no config or tokenizer


def calls(node: ast.AST, quiet: bool = False) -> list[tuple[int, bool]]:
    """Return the lines that load or save a model, and whether a block around them keeps its bars off."""
    found = []
    if isinstance(node, ast.With):
        quiet = quiet or any(ast.unparse(item.context_expr).split("(")[0] in QUIET for item in node.items)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "from_pretrained":
        name = ast.unparse(node.func.value)
        if name.startswith(MODEL) and not name.endswith("Config"):
            found.append((node.lineno, quiet))
    for child in ast.iter_child_nodes(node):
        found += calls(child, quiet)
    return found


@pytest.mark.parametrize("module", sorted(name for name in MODULES if not name.startswith("hf_embeddings.model")))
def test_no_model_is_loaded_with_a_bar(module: str) -> None:
    loud = [line for line, quiet in calls(ast.parse(MODULES[module].read_text(encoding="utf-8"))) if not quiet]
    assert not loud, f"{module}: lines {loud} load a model outside of {QUIET}"


def test_the_test_sees_a_model_that_is_loaded() -> None:
    code = "with no_bars():\n    TriEmbedModel.from_pretrained(f)\nmodel_class.from_pretrained(f)"
    assert calls(ast.parse(code)) == [(2, True), (3, False)]


def test_reports_are_kept_off_and_come_back() -> None:
    verbosity, level = transformers_logging.get_verbosity(), OURS.level
    with quiet_loading():
        assert not logging.getLogger("hf_embeddings.model.loaded_weights").isEnabledFor(logging.WARNING)
    assert (transformers_logging.get_verbosity(), OURS.level) == (verbosity, level)
