"""What an explanation holds: every figure of the page, as arrays and words, before any of it is drawn.

Shapes: S pieces of an input, L layers, H heads, E width of the input sum, N positions, T segments, K nearest words.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Word = tuple[str, float]  # a token of the vocabulary as people write it, with its probability or cosine
SummandName = Literal["token", "position", "segment"]


@dataclass(frozen=True)
class ModelFacts:
    """What the model is, in numbers."""

    name: str
    family: str  # model_type of the directory; "triembed", or that of a checkpoint that was converted in memory
    layers: int
    width: int
    heads: int
    vocabulary: int
    segments: int  # rows of the segment table, 0 where there is none
    longest: int  # max_position_embeddings
    position_type: str
    norm: Literal["pre", "post"]  # where the layers normalise
    predicts: bool  # whether there is an MLM head


@dataclass(frozen=True)
class Piece:
    """One token of an input."""

    token: str  # as the vocabulary has it
    label: str  # as people write it
    id: int
    segment: int  # the row of the segment table that is added, 0 without one
    text: int | None  # which of the input's texts it is from; None for what the tokenizer adds
    characters: str  # what it stands for in that text
    kind: Literal["word", "unknown", "added"]


@dataclass(frozen=True)
class Pieces:
    """What the tokenizer made of the texts of an input."""

    texts: list[str]  # one, or two that are read as a pair
    normalized: list[str]  # the same after the tokenizer's normaliser
    pieces: list[Piece]
    right_to_left: bool  # whether the first letter is of a script that is written so


@dataclass(frozen=True)
class Summand:
    """One of the three vectors of each piece, against the sum."""

    name: SummandName
    strip: np.ndarray  # (S, shown) its first values
    norm: np.ndarray  # (S,)
    cosine: np.ndarray  # (S,) with the sum
    share: np.ndarray  # (S,) projection on the sum / norm of the sum: those of a piece add up to 1


@dataclass(frozen=True)
class Exchange:
    """What becomes of a sum where one of its vectors is replaced by another one of its table."""

    strips: np.ndarray  # (S or T, shown) what can be put there
    cosine: np.ndarray  # (S, S or T) of the sum before and after
    norm: np.ndarray  # (S, S or T) of the sum after


@dataclass(frozen=True)
class InputSum:
    """The input of the first layer, before its norm: token + position + segment."""

    width: int  # E; strips show the first of its values
    summands: list[Summand]  # those that the model has
    strip: np.ndarray  # (S, shown) of the sum
    norm: np.ndarray  # (S,) of the sum
    positions: Exchange | None  # by the position of another piece; None where positions are no summand
    segments: Exchange | None  # by another segment; None with fewer than two


@dataclass(frozen=True)
class Attention:
    """Who looks at whom."""

    layers: list[int]  # those that are kept, from 0
    weights: np.ndarray  # (len(layers), H, S, S)


@dataclass(frozen=True)
class HiddenStates:
    """What becomes of each piece from layer to layer; number 0 is the normalised input sum."""

    points: np.ndarray  # (L + 1, S, 2) directions of the states in the two common axes of greatest variance
    explained: list[float]  # share of the variance that each axis holds
    step: np.ndarray  # (L, S) cosine of a state with that of the layer before
    lens: Literal["head", "table"]  # what gives the words: the MLM head, or the nearest rows of the token table
    words: list[list[list[Word]]]  # L + 1, S, K


@dataclass(frozen=True)
class Prediction:
    """What the model expects in the place of one piece that is hidden behind [MASK]."""

    words: list[Word]
    probability: float  # of the piece that stands there
    rank: int  # of it, from 1


@dataclass(frozen=True)
class ExplainedInput:
    """Everything about one input."""

    title: str
    text: Pieces
    sum: InputSum
    attention: Attention
    hidden: HiddenStates
    predictions: list[Prediction | None] | None  # S; None for what the tokenizer adds, or without an MLM head
    follows: float | None  # probability that the second text follows the first, of a pair and a model that tells

    @property
    def unknown(self) -> int:
        """How many of its pieces are [UNK]."""
        return sum(piece.kind == "unknown" for piece in self.text.pieces)


@dataclass(frozen=True)
class PositionFacts:
    """What positions do by themselves, whatever stands there."""

    adds_vectors: bool  # to the sum
    cosines: np.ndarray | None  # (N, N) of these vectors
    scores: np.ndarray  # (H, N, N) added to the scores of the first layer, all positions holding the same word


@dataclass(frozen=True)
class SharedPiece:
    """A piece that stands in both sentences, perhaps in other places."""

    label: str
    places: tuple[int, int]
    cosine: np.ndarray  # (L + 1,) of its two states
    without: np.ndarray  # (L + 1,) the same in the model without its positions


@dataclass(frozen=True)
class Order:
    """Two sentences, and what the model tells them apart by."""

    same_pieces: bool  # the same pieces, in another order perhaps
    pieces: list[SharedPiece]
    cosine: np.ndarray  # (L + 1,) of the mean states of the two sentences
    without: np.ndarray  # (L + 1,) the same in the model without its positions


@dataclass(frozen=True)
class LeftOut:
    """What the page does not show, so that it stays small."""

    what: Literal["strip", "positions", "layers"]
    kept: int
    of: int


@dataclass(frozen=True)
class Explanation:
    """Everything that the page shows."""

    model: ModelFacts
    inputs: list[ExplainedInput]
    positions: PositionFacts
    order: Order | None  # of two sentences
    left_out: list[LeftOut]
