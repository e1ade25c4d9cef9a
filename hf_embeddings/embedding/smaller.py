"""`distil --layers --width`: a smaller student, whose hidden states and vectors are matched with its teacher's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from hf_embeddings.analysis.similarity import pair_cosines
from hf_embeddings.conversion.origin import display_name, table
from hf_embeddings.conversion.surgery.own_checkpoint import load_own
from hf_embeddings.embedding.layer_choice import LayerChoice, choose_layers, trials, with_layers
from hf_embeddings.embedding.narrower import choose_cut, directions, narrowed
from hf_embeddings.embedding.nearness import agreement_on_pairs
from hf_embeddings.embedding.student_directory import open_student, save_student
from hf_embeddings.embedding.student_losses import Match, StatesLoss
from hf_embeddings.embedding.student_size import check_size
from hf_embeddings.embedding.student_training import StudentOptions, identified
from hf_embeddings.embedding.teaching import Places, teach
from hf_embeddings.embedding.unfinished import START
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.json_record import JsonRecord
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.saved_model import read_config
from hf_embeddings.search.encoder import Encoder

JUDGED, HELD_OUT = 64, 256  # texts that layers and channels are chosen by, and that the result is compared on
DIRECTED = 2000  # texts whose vectors say which directions of them a narrower student keeps
CHOICE = "layers.json"


@dataclass(frozen=True, kw_only=True)
class SmallerReport(JsonRecord):
    """What a smaller student was made of, and how near it comes to its teacher on texts that it did not learn from."""

    teacher: str
    target: str
    layers: list[int]  # of the teacher's, from 0
    width: int
    cosine_without: dict[str, float]  # layer -> mean cosine to the teacher's vectors once it had left, in that order
    parameters: list[int]  # of the teacher, of the student
    texts: int  # to learn from
    loss: float  # at the end
    # On held-out texts, before and after: mean cosine to the teacher's vectors (along the directions that a narrower
    # student keeps), and rank correlation of the cosines of pairs of texts with the teacher's.
    cosine: list[float] = field(default_factory=list)
    agreement: list[float] = field(default_factory=list)


def distil_smaller(
    places: Places,
    texts: Sequence[str],
    *,
    layers: int | None = None,
    width: int | None = None,
    options: StudentOptions | None = None,
) -> SmallerReport:
    """Write a student smaller than its teacher; an interrupted training resumes from `TARGET.partial`.

    Args:
        places: the teacher, and the directory to write.
        texts: what to learn from; the first choose what stays, the last are held out and judge the result.
        layers: how many the student keeps; None for all.
        width: of its hidden states and vectors; None for the teacher's. Feed-forward and heads shrink in proportion.
        options: how long and how fast it learns.

    Raises:
        ValueError: there are too few texts, the teacher is not larger, the target may not be written, or a training was
            begun otherwise.
    """
    options = options or StudentOptions()
    check_size(places.teacher, layers, width)
    if len(texts) < JUDGED + HELD_OUT:
        raise ValueError(f"--corpus: {len(texts)} sentences, expected {JUDGED + HELD_OUT} or more; give a larger one")
    return teach(_Smaller(places, texts, layers, width, options), places, options)


class _Smaller:
    phrase = "distillation"
    record = SmallerReport

    def __init__(
        self, places: Places, texts: Sequence[str], layers: int | None, width: int | None, options: StudentOptions
    ) -> None:
        self.places, self.options, self.width = places, options, width
        self.layers: int = layers or read_config(places.teacher).num_hidden_layers
        self.learned, self.held_out = texts[:-HELD_OUT], texts[-HELD_OUT:]
        self.encoder = Encoder.load(places.teacher, precision="fp32")
        self.wanted = self.encoder.encode(self.held_out)  # (N, D)
        self.match, self.directions = Match([]), np.eye(self.wanted.shape[1], dtype=np.float32)

    def facts(self) -> Mapping[str, object]:
        return {"layers": self.layers, "width": self.width, "texts": identified(self.learned)}

    def begin(self, work: Path) -> None:
        model = load_own(self.places.teacher)
        self.choice = self._choose(work / CHOICE)
        kept, whole = self.choice.kept, model.base_model
        states = [*kept, whole.config.num_hidden_layers]  # a layer gives what the next one read in the teacher
        self.match, small = Match(states), with_layers(model, kept)
        if self.width is not None:
            cut = choose_cut(whole, self.encoder.tokenize(self.learned[:JUDGED])[0], kept, self.width)
            small = narrowed(small.base_model, cut)
            vectors = self.encoder.encode(self.learned[:DIRECTED])
            self.directions = directions(vectors, cut.channels.numpy()).astype(np.float32)
            self.match = Match(states, cut.channels, torch.from_numpy(self.directions))
        self.parameters = [sum(p.numel() for p in part.parameters()) for part in (model, small)]
        save_student(small, work / START, self.places.teacher)

    def _choose(self, path: Path) -> LayerChoice:
        """Return the layers that stay: those of a training that was begun, or chosen now and kept for a resume."""
        if path.is_file():
            before = LayerChoice.load(path)
            if len(before.kept) == self.layers:
                return before
        tried = trials(self.encoder.model.config.num_hidden_layers, self.layers)
        with self.places.phases("choosing layers", tried, unit="trials") as phase:
            choice = choose_layers(self.encoder, self.learned[:JUDGED], self.layers, phase.advance)
        replace_text(path, json_text(choice.to_dict()) + "\n")
        return choice

    def loss(self, student: SentenceTransformer) -> nn.Module:
        return StatesLoss(student, open_student(self.places.teacher), self.match)

    def columns(self) -> Mapping[str, Sequence[Any]]:
        return {"text": self.learned}

    def judge(self, folder: Path) -> list[float]:
        vectors = Encoder.load(folder, precision="fp32").encode(self.held_out)
        cosine = float(pair_cosines(vectors, self.wanted @ self.directions).mean())
        return [cosine, agreement_on_pairs(self.wanted, vectors) or 0.0]

    def report(self, target: str, loss: float, before: list[float], after: list[float]) -> SmallerReport:
        return SmallerReport(
            teacher=display_name(self.places.teacher),
            target=target,
            layers=self.choice.kept,
            width=self.directions.shape[1],
            cosine_without=self.choice.dropped,
            parameters=self.parameters,
            texts=len(self.learned),
            loss=loss,
            cosine=[before[0], after[0]],
            agreement=[before[1], after[1]],
        )

    def describe(self, report: SmallerReport) -> str:
        left = ", ".join(f"{number} ({value:.3f})" for number, value in report.cosine_without.items())
        width = f"{report.width}" if self.width is None else f"{report.width} of {len(self.directions)}, without heads"
        return table(
            {
                "teacher": f"`{report.teacher}`",
                "layers of it that stay": ", ".join(map(str, report.layers)),
                "layers that left, with the cosine to the teacher then": left or "none",
                "width": width,
                "parameters": f"{report.parameters[1]:,} of {report.parameters[0]:,}",
                "trained on": f"{report.texts:,} sentences, {self.options.in_words}; hidden states and vectors matched",
                "cosine to the teacher on held-out sentences": _before_and_after(report.cosine),
                "rank correlation of similarities with the teacher's, held out": _before_and_after(report.agreement),
            }
        )


def _before_and_after(figures: Sequence[float]) -> str:
    return f"{figures[0]:.4f} before the training, {figures[1]:.4f} after it"
