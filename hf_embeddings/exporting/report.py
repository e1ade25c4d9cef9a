"""What an export for servers wrote, and how near each file is to the model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerFile:
    """One graph, and how near it is to the model."""

    name: str
    precision: str
    size: int  # bytes, with those of weights that lie apart
    largest_difference: float  # over all outputs, on random tokens with padding on either side
    text_difference: float  # over what users get, on real texts
    worst_cosine: float | None  # of sentence vectors, over the same texts; None without such vectors
    mean_cosine: float | None

    @property
    def words(self) -> str:
        """The figures as a phrase."""
        text = f"largest difference from the model {self.largest_difference:.2g}"
        if self.worst_cosine is None or self.mean_cosine is None:
            return f"{text}, {self.text_difference:.2g} on real texts"
        return f"{text}; cosine of sentence vectors at worst {self.worst_cosine:.5f}, mean {self.mean_cosine:.5f}"


@dataclass(frozen=True)
class ServerDirectory:
    """What was written."""

    path: str
    opset: int
    inputs: list[str]  # (batch_size, sequence_length) each, of any size
    outputs: dict[str, list[str | int]]  # shape by name
    pooling: str | None  # in words; None where there are no sentence vectors
    max_length: int  # tokens of a text, with the special ones
    texts: int  # that the figures of the files are measured on
    files: list[ServerFile]
    notes: list[str]

    @property
    def shapes(self) -> str:
        """The outputs as a phrase."""
        return ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in self.outputs.items())
