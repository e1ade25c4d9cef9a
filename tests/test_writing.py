"""No verb opens a user's file for writing but through `files/`: a kill or a full disk would leave half of it."""

import ast
import re
from pathlib import Path

import pytest

from tests.structure import MODULES

WRITERS = {
    "write_text", "write_bytes", "savefig", "write_table", "save_file", "savetxt", "save_pretrained", "write_index",
    "copyfile", "copy", "copy2", "copytree",
}  # fmt: skip
MODE = re.compile(r"[wax][bt+]*|r[bt]*\+[bt]*")
# What these write lies in a directory that is moved to its place as a whole; why, stands there.
STAGED = {
    "hf_embeddings.conversion.companion_files": {"copyfile", "write_text"},
    "hf_embeddings.conversion.convert": {"copyfile", "save_pretrained", "write_text"},
    "hf_embeddings.conversion.four_bit_e5": {"save_pretrained"},
    "hf_embeddings.conversion.sentence_modules": {"copytree", "save_file", "write_text"},
    "hf_embeddings.conversion.origin": {"write_text"},
    "hf_embeddings.conversion.families.google_bert": {"write_text"},
    "hf_embeddings.debiasing.debias": {"write_text"},
    "hf_embeddings.debiasing.pooled": {"save_file", "write_text"},
    "hf_embeddings.conversion.surgery.own_checkpoint": {"save_pretrained"},
    "hf_embeddings.conversion.surgery.reposition": {"write_text"},
    "hf_embeddings.conversion.surgery.prompts_and_lengths": {"write_text"},
    "hf_embeddings.conversion.surgery.vocabulary": {"save_pretrained", "write_text"},
    "hf_embeddings.conversion.weight_files": {"save_file", "write_text"},
    "hf_embeddings.corpora.example_texts": {"open", "write_text"},
    "hf_embeddings.corpora.help_texts": {"write_text"},
    "hf_embeddings.corpora.reviews": {"open"},
    "hf_embeddings.evaluation.example_data": {"copyfile", "copytree"},
    "hf_embeddings.embedding.export": {"copyfile", "write_text"},
    "hf_embeddings.embedding.losses": {"save_pretrained"},
    "hf_embeddings.embedding.static_model": {"save_file", "write_text"},
    "hf_embeddings.embedding.trainer": {"save_file"},
    "hf_embeddings.exporting.card": {"write_text"},
    "hf_embeddings.exporting.engine_files": {"copyfile", "write_text"},
    "hf_embeddings.pretraining.checkpoints.finished_model": {"copyfile", "write_text"},
    "hf_embeddings.pretraining.prepared.writer": {"save_pretrained"},
    "hf_embeddings.pretraining.training.base_checkpoint": {"copyfile"},
    "hf_embeddings.pretraining.training.replaced_tokens": {"save_file", "save_pretrained"},
    "hf_embeddings.pretraining.training.state": {"save_file", "save_pretrained", "write_text"},
    # Files of the index, which has a mark, a lock, and a record that is switched last.
    "hf_embeddings.search.flat_files": {"open"},
    "hf_embeddings.search.approximate": {"write_index"},
    # Lines that are added to the log of a run.
    "hf_embeddings.pretraining.training.loop": {"open"},
}


def writes(node: ast.AST) -> str | None:
    """Return by which name a node of the syntax opens a file for writing, None where it does not."""
    if not isinstance(node, ast.Call):
        return None
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "open":
        given = [*node.args[isinstance(node.func, ast.Name) :], *(k.value for k in node.keywords if k.arg == "mode")]
        words = [word.value for part in given for word in ast.walk(part) if isinstance(word, ast.Constant)]
        return name if any(MODE.fullmatch(str(word)) for word in words) else None
    if name in ("copy", "copy2") and ast.unparse(node.func).partition(".")[0] != "shutil":
        return None
    return name if name in WRITERS else None


def staged_names(tree: ast.Module) -> set[str]:
    """Return the names that a block `with replacing(...) as NAME` gives."""
    blocks = [item for node in ast.walk(tree) if isinstance(node, ast.With) for item in node.items]
    return {ast.unparse(i.optional_vars) for i in blocks if i.optional_vars and "replacing(" in ast.unparse(i)}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_files_are_replaced_whole(module: str) -> None:
    if module.startswith("hf_embeddings.files."):
        return
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    staged, found = staged_names(tree), set()
    for node in ast.walk(tree):
        if (name := writes(node)) and not any(own in ast.unparse(node) for own in staged):
            assert name in STAGED.get(module, ()), f"{module}:{node.lineno}: {name}; write through files/atomic.py"
            found.add(name)
    assert found == STAGED.get(module, set()), "the list names what is no longer there"


def test_the_test_sees_a_file_that_is_opened_for_writing() -> None:
    code = "open(p, 'w'); p.open('r+b'); open(p, mode='ab'); p.write_text(t); shutil.copy(a, b); open(p); d.copy()"
    found = [writes(node) for node in ast.walk(ast.parse(code))]
    assert sorted(filter(None, found)) == ["copy", "open", "open", "open", "write_text"]
    assert Path(MODULES["hf_embeddings.files.atomic"]).exists()
