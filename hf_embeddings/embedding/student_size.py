"""How small a student may be, looked at before its texts are read or anything is written."""

from pathlib import Path

from hf_embeddings.loading.saved_model import read_config
from hf_embeddings.model.configuration_triembed import TriEmbedConfig

# Position types that a narrower student keeps as they are: they know of no head, and a table has a row for each place.
NARROWED = ("learned", "sinusoidal", "none", "rope")


def check_size(teacher: Path, layers: int | None, width: int | None) -> None:
    """Compare the size that was asked for with the teacher's.

    Raises:
        ValueError: the teacher is no TriEmbed checkpoint, or the student would not be smaller than it; or the width
            does not make whole heads, or its positions cannot be made narrower.
    """
    config = read_config(teacher)
    if not isinstance(config, TriEmbedConfig):
        raise ValueError(
            f"{teacher}: model_type {config.model_type!r}, expected {TriEmbedConfig.model_type!r}; convert the "
            "checkpoint to TriEmbed first (hf-embeddings convert)"
        )
    most = config.num_hidden_layers - 1
    if layers is not None and not 1 <= layers <= most:
        advice = "" if width is None else ", or leave --layers out to keep all"
        raise ValueError(
            f"--layers {layers}: the teacher has {most + 1}, expected "
            f"{f'1 to {most}' if most else 'a teacher of more'}; ask for fewer{advice}"
        )
    if width is not None:
        _check_width(config, width)


def _check_width(config: TriEmbedConfig, width: int) -> None:
    head = config.hidden_size // config.num_attention_heads
    if not head <= width < config.hidden_size or width % head:
        largest = config.hidden_size - head
        raise ValueError(
            f"--width {width}: the teacher has {config.hidden_size} in heads of {head}, expected a multiple of {head} "
            f"up to {largest}; take one"
        )
    if foreign := [part for part in config.position_parts if part not in NARROWED]:
        raise ValueError(
            f"--width: the position type {foreign[0]!r} of the teacher depends on its heads, expected one of "
            f"{', '.join(NARROWED)}; leave --width out, or change the positions first (hf-embeddings reposition)"
        )
