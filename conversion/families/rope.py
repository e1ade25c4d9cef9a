"""The base of RoPE, in the words of transformers 5 or in those of before."""

from hf_embeddings.conversion.rules import Choice, Config, ConversionError


def rope(default_theta: float) -> Choice:
    """Return the rule for `rope_parameters`, which were `rope_theta` and `rope_scaling` once."""

    def forward(config: Config) -> Config:
        if parameters := config.get("rope_parameters"):
            return {"rope_parameters": {"rope_type": "default", "rope_theta": default_theta} | parameters}
        if config.get("rope_scaling") is not None:
            raise ConversionError(
                f"config: rope_scaling is {config['rope_scaling']!r}; write it as rope_parameters of transformers 5"
            )
        theta = float(config.get("rope_theta") or default_theta)
        return {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}

    def backward(config: Config) -> Config:
        return {"rope_parameters": config["rope_parameters"]}

    return Choice(("rope_parameters", "rope_theta", "rope_scaling"), ("rope_parameters",), forward, backward)
