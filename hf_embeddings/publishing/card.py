"""The model card of a checkpoint: MODEL_CARD.md with its parts filled in, or an existing card brought up to date."""

from functools import partial
from importlib import resources
from pathlib import Path

from huggingface_hub import ModelCard

from hf_embeddings.files.atomic import replace_text
from hf_embeddings.files.reading import parse_yaml, read_text
from hf_embeddings.loading.card_metadata import front_matter
from hf_embeddings.loading.saved_model import one_line_errors
from hf_embeddings.publishing.checkpoint import Checkpoint
from hf_embeddings.publishing.eval_results import write_eval_results
from hf_embeddings.publishing.metadata import metadata
from hf_embeddings.publishing.regions import fill_regions, merge_metadata, seal_card
from hf_embeddings.publishing.sections import CURVE_FILE, SECTIONS
from hf_embeddings.publishing.static_sections import STATIC_SECTIONS
from hf_embeddings.publishing.static_sections import TEMPLATE as STATIC_TEMPLATE
from hf_embeddings.visualization.loss_curve import draw_loss

CARD = "README.md"


def write_card(folder: Path, model_id: str | None = None, base_model: str | None = None) -> list[str]:
    """Write or update `README.md` of a checkpoint directory, its `.eval_results`, and the loss curve of its run.

    Args:
        folder: a directory that `from_pretrained` loads.
        model_id: its id on the Hub, once it is known: title of the card, and what the snippets load.
        base_model: id of the model that it was made from; None: as the directory says.

    Returns:
        The parts and metadata keys that people have edited; they stay as they are.

    Raises:
        ValueError: the directory holds no TriEmbed checkpoint.
    """
    checkpoint = Checkpoint(folder)
    path = folder / CARD
    if curves := checkpoint.curves():
        replace_text(folder / CURVE_FILE, draw_loss(curves, baseline=checkpoint.baseline), durable=False)
    write_eval_results(checkpoint)
    text, edited_parts = make_card(checkpoint, read_text(path) if path.exists() else None, model_id, base_model)
    replace_text(path, text, durable=False)  # half a card would be taken for one that people have edited
    return edited_parts


def make_card(
    checkpoint: Checkpoint, existing: str | None, model_id: str | None = None, base_model: str | None = None
) -> tuple[str, list[str]]:
    """Return the text of the card, made from the template or from an existing card, and what people have edited."""
    if existing is None:
        card, present = ModelCard(template(STATIC_TEMPLATE) if checkpoint.is_static else template()), {}
    else:
        place = checkpoint.folder / CARD
        parse_yaml(front_matter(existing) or "", place)
        with one_line_errors(place, "correct what stands between its first two lines of ---"):
            card = ModelCard(existing, ignore_metadata_errors=True)
        present = card.data.to_dict()
    sections = STATIC_SECTIONS if checkpoint.is_static else SECTIONS
    writers = {name: partial(write, checkpoint, model_id) for name, write in sections.items()}
    fresh = metadata(checkpoint, model_id)
    if base_model is not None:
        fresh["base_model"] = base_model
        present = present | {"base_model": base_model}
    text, kept_parts = fill_regions(card.text, writers)
    text, merged_metadata, kept_keys = merge_metadata(text, present, fresh)
    card.text = text
    card.data = card.card_data_class(**merged_metadata, ignore_metadata_errors=True)
    return seal_card(str(card)), kept_parts + kept_keys


def template(name: str = "MODEL_CARD.md") -> str:
    """Return MODEL_CARD.md, the card of the project and the frame of every checkpoint's, or another frame."""
    return resources.files("hf_embeddings.publishing").joinpath(name).read_text(encoding="utf-8")
