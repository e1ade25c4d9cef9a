"""What transformers named, placed or built otherwise before 5.4 and in 4.57, under its present names.

Each part is looked for, not concluded from a version number; the newest way comes first.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from inspect import signature
from types import SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args

import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

TOO_OLD = (
    f"TriEmbed: found transformers {transformers.__version__}, expected 4.57 or newer, as older ones lack masks made "
    "of functions or recorded outputs; pip install --upgrade transformers"
)
try:
    from huggingface_hub.dataclasses import strict
    from transformers.masking_utils import and_masks
except ImportError as error:
    raise ImportError(TOO_OLD) from error

try:
    from transformers.masking_utils import create_bidirectional_mask as create_mask
except ImportError:
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    def create_mask(  # type: ignore[misc]  # with what is used of it
        config: transformers.PretrainedConfig,
        states: torch.Tensor,
        mask: torch.Tensor | None,
        *,
        and_mask_function: Callable[..., Any] | None = None,
    ) -> Any:  # noqa: ANN401  as the kernel takes it
        """Let each token see all of its text: what hides is the padding, and the function."""
        kernel, length = config._attn_implementation, states.shape[1]
        if mask is not None and mask.ndim == 4 or kernel not in ALL_MASK_ATTENTION_FUNCTIONS:
            return mask if mask is not None and mask.ndim == 4 else None
        if mask is None and and_mask_function is None:
            return None

        def everything(batch: object, head: object, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
            return query >= 0

        return ALL_MASK_ATTENTION_FUNCTIONS[kernel](
            batch_size=states.shape[0],
            cache_position=torch.arange(length, device=states.device),
            kv_length=length,
            mask_function=everything if and_mask_function is None else and_mask_function,
            attention_mask=None if mask is None else mask.bool(),
            allow_is_causal_skip=False,
            dtype=states.dtype,
            config=config,
        )


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
    try:
        from transformers.utils.generic import check_model_inputs as record_outputs  # noqa: F401
    except ImportError as error:
        raise ImportError(TOO_OLD) from error


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
            for field in fields(dataclass(repr=False)(cls)):
                if isinstance(field.type, UnionType):  # huggingface-hub below 1 does not know int | None
                    field.type = Union[get_args(field.type)]  # noqa: UP007
            strict(accept_kwargs=True)(cls)
            cls.__init__ = PreTrainedConfig._fill  # which gives no arguments to __post_init__ there

        def _fill(self, **kwargs: Any) -> None:
            for field in fields(self):
                default = field.default if field.default_factory is MISSING else field.default_factory()
                setattr(self, field.name, kwargs.pop(field.name, default))
            self.__post_init__(**kwargs)
            self.validate()

        def __post_init__(self, **kwargs: Any) -> None:
            if "rope_parameters" in vars(self) and not hasattr(
                transformers.PretrainedConfig, "standardize_rope_params"
            ):
                kwargs = self._name_rope_parameters(**kwargs)
            values = {name: getattr(self, name) for name in PreTrainedConfig.__annotations__}
            transformers.PretrainedConfig.__init__(self, **values, **kwargs)

        def _name_rope_parameters(
            self,
            rope_scaling: dict | None = None,
            rope_theta: float | None = None,
            partial_rotary_factor: float | None = None,
            **kwargs: Any,
        ) -> dict[str, Any]:
            """Give `rope_parameters` all its names, for each type of layer, and return the other arguments."""
            self.rope_parameters = parameters = rope_scaling or self.rope_parameters or {}
            by_type = parameters and set(parameters) <= set(self.layer_types or ())
            for rope in parameters.values() if by_type else [parameters]:
                if rope is None:
                    continue
                kind = rope.setdefault("rope_type", rope.get("type", "default"))
                rope.setdefault("rope_theta", rope_theta or self.default_theta)
                if partial_rotary_factor is not None:
                    rope["partial_rotary_factor"] = partial_rotary_factor
                if kind in ("llama3", "yarn", "longrope"):
                    rope.setdefault("original_max_position_embeddings", self.max_position_embeddings)
            return kwargs

        @property
        def validate_rope(self) -> Callable:
            """Check `rope_parameters`; a property, as `strict` would take the method for a validator of its own."""
            return super().validate_rope


def rope_function(kind: str) -> Callable[..., tuple[torch.Tensor, float]]:
    """Return what computes the frequencies of a `rope_type`, from config, device, seq_len and layer_type.

    Raises:
        ValueError: this transformers does not know the type.
    """
    if kind not in ROPE_INIT_FUNCTIONS:
        raise ValueError(
            f"rope_parameters: transformers {transformers.__version__} does not know rope_type {kind!r}; "
            "pip install --upgrade transformers"
        )
    compute = ROPE_INIT_FUNCTIONS[kind]
    if "layer_type" in signature(compute).parameters:
        return compute

    def named(
        config: PreTrainedConfig,
        device: torch.device,
        seq_len: int | torch.Tensor | None = None,
        layer_type: str | None = None,
    ) -> tuple[torch.Tensor, float]:
        rope = config.rope_parameters[layer_type] if layer_type else config.rope_parameters
        length = rope.get("original_max_position_embeddings") or config.max_position_embeddings
        old = SimpleNamespace(
            rope_scaling={"factor": config.max_position_embeddings / length} | rope,
            rope_theta=rope["rope_theta"],
            partial_rotary_factor=rope.get("partial_rotary_factor", 1.0),
            hidden_size=config.hidden_size,
            num_attention_heads=config.num_attention_heads,
            head_dim=config.hidden_size // config.num_attention_heads,
            max_position_embeddings=length,
        )
        return compute(old, device, seq_len=seq_len)

    return named
