"""What transformers named, placed or built otherwise before 5.4, under its present names.

Each part is looked for, not concluded from a version number; the newest way comes first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

try:
    from huggingface_hub.dataclasses import strict
    from transformers.masking_utils import and_masks
    from transformers.masking_utils import create_bidirectional_mask as create_mask
except ImportError as error:
    raise ImportError(
        f"TriEmbed: found transformers {transformers.__version__}, expected 5.0 or newer, as older ones have no masks "
        "for encoders; pip install --upgrade 'transformers>=5.0'"
    ) from error

try:
    from transformers.masking_utils import create_bidirectional_sliding_window_mask as create_window_mask
except ImportError:

    def create_window_mask(  # type: ignore[misc]  # with what is used of it
        config: transformers.PretrainedConfig,
        states: torch.Tensor,
        mask: torch.Tensor | None,
        *,
        and_mask_function: Callable[..., Any] | None = None,
    ) -> Any:  # noqa: ANN401  as the kernel takes it
        """Let each token see `config.sliding_window` tokens to either side."""

        def near(batch: object, head: object, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
            return (query - key).abs() <= config.sliding_window

        within = near if and_mask_function is None else and_masks(near, and_mask_function)
        return create_mask(config, states, mask, and_mask_function=within)


try:
    from transformers.utils.generic import merge_with_config_defaults
    from transformers.utils.output_capturing import capture_outputs

    def record_outputs(forward: Callable[..., Any]) -> Callable[..., Any]:
        """Let a forward return hidden states and attentions, where they are asked for."""
        return merge_with_config_defaults(capture_outputs(forward))
except ImportError:
    from transformers.utils.generic import check_model_inputs as record_outputs  # noqa: F401


def attention_function(kernel: str, eager: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that transformers knows under the name of a kernel."""
    if hasattr(ALL_ATTENTION_FUNCTIONS, "get_interface"):
        return ALL_ATTENTION_FUNCTIONS.get_interface(kernel, eager)
    return eager if kernel == "eager" else ALL_ATTENTION_FUNCTIONS[kernel]


if TYPE_CHECKING or hasattr(transformers.PretrainedConfig, "__dataclass_fields__"):
    from transformers import PreTrainedConfig
else:

    @dataclass(repr=False)
    class PreTrainedConfig(transformers.PretrainedConfig):
        """A config whose fields are those of a dataclass, as they are from 5.4 on."""

        transformers_version: str | None = None
        architectures: list[str] | None = None
        output_hidden_states: bool | None = False
        return_dict: bool | None = True
        dtype: str | torch.dtype | None = None
        chunk_size_feed_forward: int = 0
        is_encoder_decoder: bool = False
        id2label: dict | None = None
        label2id: dict | None = None
        problem_type: str | None = None

        def __init_subclass__(cls, **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            strict(accept_kwargs=True)(dataclass(repr=False)(cls))

        def __post_init__(self, **kwargs: Any) -> None:
            fields = {name: getattr(self, name) for name in PreTrainedConfig.__annotations__}
            transformers.PretrainedConfig.__init__(self, **fields, **kwargs)

        @property
        def validate_rope(self) -> Callable:
            """Check `rope_parameters`; a property, as `strict` would take the method for a validator of its own."""
            return super().validate_rope
