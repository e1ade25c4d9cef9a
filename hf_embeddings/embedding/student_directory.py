"""What every student goes through: directories that are opened for its training, saved, and written at its end."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from sentence_transformers import SentenceTransformer

from hf_embeddings.conversion.companion_files import copy_companions
from hf_embeddings.conversion.origin import write_origin
from hf_embeddings.conversion.surgery.own_checkpoint import save_own
from hf_embeddings.embedding.sentence_model import PackedTransformer, build, read_whole_recipe
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.files.reading import read_object
from hf_embeddings.files.staging import staged_directory
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.loading.saved_model import check_saved
from hf_embeddings.loading.sentence_models import module_folders
from hf_embeddings.model.modeling_triembed import TriEmbedPreTrainedModel

LONGEST = 128  # tokens of a text in training: longer ones teach the same at a higher price
WIDTHS = ("word_embedding_dimension", "embedding_dimension")  # what Pooling calls it
Finish = Callable[[Path], object]


def open_student(folder: Path) -> SentenceTransformer:
    """Open a directory for training: without padding, and with the length of its texts bounded."""
    recipe = read_whole_recipe(folder)
    with quiet_loading():
        return build(folder, replace(recipe, max_length=min(LONGEST, recipe.max_length or LONGEST)), PackedTransformer)


def save_student(model: TriEmbedPreTrainedModel, folder: Path, source: Path) -> None:
    """Save a student with everything else that the directory `source` has; it stays in fp32."""
    folder.mkdir(parents=True, exist_ok=True)
    save_own(model, folder, source=source)
    model.float()
    copy_companions(source, folder, tokenizer_class="BertTokenizer")
    for part in module_folders(folder):
        _state_width(folder / part / "config.json", model.config.hidden_size)


def _state_width(path: Path, width: int) -> None:
    """Let a module say how wide the vectors of a narrower student are."""
    fields = read_object(path) if path.is_file() else {}
    if stated := {name: width for name in WIDTHS if fields.get(name, width) != width}:
        replace_text(path, json.dumps(fields | stated, indent=2) + "\n")


def write_student(
    target: Path,
    model: TriEmbedPreTrainedModel,
    *,
    companions: Path,
    teacher: Path,
    phrase: str,
    describe: Callable[[Path], str],
    inputs: Mapping[str, str | Path | None],
    overwrite: bool,
    finish: Finish,
) -> None:
    """Write the directory of a trained student, with its card, and check that it loads.

    Args:
        target: directory to write.
        model: the trained student.
        companions: directory with its tokenizer and its modules of sentence-transformers.
        teacher: directory of its teacher.
        phrase: how it was made, to follow "a TriEmbed encoder" in a sentence.
        describe: returns what was done, in Markdown, from the directory with the student.
        inputs: what was read, by the names of its options.
        overwrite: replace the directory if it is not empty.
        finish: called with the directory just before it appears.
    """
    with staged_directory(target, inputs=inputs, overwrite=overwrite) as stage:
        save_student(model, stage, companions)
        description = describe(stage)
        write_origin(stage, source=teacher, folder=teacher, phrase=phrase, description=description)
        check_saved(stage)
        finish(stage)
