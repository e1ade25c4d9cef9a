"""`distil --layers`: a student with fewer layers, whose states and vectors are matched with its teacher's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hf_embeddings.analysis.similarity import pair_cosines
from hf_embeddings.conversion.origin import display_name, table
from hf_embeddings.conversion.surgery.own_checkpoint import load_own
from hf_embeddings.embedding.layer_choice import LayerChoice, choose_layers, trials, with_layers
from hf_embeddings.embedding.student_training import (
    StudentOptions,
    check_begun,
    loss_of_states,
    train_student,
    trained_weights,
)
from hf_embeddings.embedding.student_work import START, Finish, open_student, save_student, unfinished, write_student
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.files.staging import check_target
from hf_embeddings.json_record import JsonRecord
from hf_embeddings.json_text import json_text
from hf_embeddings.progress import Phases, silent_phase
from hf_embeddings.search.encoder import Encoder

JUDGED, HELD_OUT = 64, 256  # texts that layers are chosen by, and that the result is compared on
CHOICE = "layers.json"


@dataclass(frozen=True, kw_only=True)
class SmallerReport(JsonRecord):
    """What a smaller student was made of, and how near it comes to its teacher on texts that it did not learn from."""

    teacher: str
    target: str
    layers: list[int]  # of the teacher's, from 0
    cosine_without: dict[str, float]  # layer -> mean cosine to the teacher's vectors once it had left, in that order
    parameters: list[int]  # of the teacher, of the student
    texts: int  # to learn from
    loss: float  # at the end
    cosine: list[float] = field(default_factory=list)  # mean, to the teacher's of held-out texts: before, after


def distil_smaller(
    teacher: Path,
    target: Path,
    texts: Sequence[str],
    *,
    layers: int,
    options: StudentOptions | None = None,
    overwrite: bool = False,
    phases: Phases = silent_phase,
    finish: Finish = lambda folder: None,
) -> SmallerReport:
    """Write a student with fewer layers than its teacher; an interrupted training resumes from `TARGET.partial`.

    Args:
        teacher: directory of a TriEmbed checkpoint.
        target: directory to write.
        texts: what to learn from; the first choose the layers, the last are held out and judge the result.
        layers: how many the student keeps.
        options: how long and how fast it learns.
        overwrite: replace `target` if it is not empty, and begin anew.
        phases: makes the bars of progress.
        finish: called with the directory just before it appears; what it writes there appears with it.

    Raises:
        ValueError: there are too few texts, the teacher has not so many layers, or a training was begun otherwise.
    """
    options = options or StudentOptions()
    if len(texts) < JUDGED + HELD_OUT:
        raise ValueError(f"--corpus: {len(texts)} sentences, expected {JUDGED + HELD_OUT} or more; give a larger one")
    inputs: dict[str, str | Path | None] = {"TEACHER": teacher}
    check_target(target, inputs=inputs, overwrite=overwrite)
    model = load_own(teacher)
    encoder = Encoder.load(teacher, precision="fp32")
    learned, held_out = texts[:-HELD_OUT], texts[-HELD_OUT:]
    wanted = encoder.encode(held_out)
    with unfinished(target, overwrite=overwrite) as work:
        facts = {"teacher": str(teacher.resolve()), "layers": layers, "texts": len(learned)}
        check_begun(work, options, facts)
        choice = _choice(work / CHOICE, encoder, texts[:JUDGED], layers, phases)
        small = with_layers(model, choice.kept)
        start = work / START
        save_student(small, start, teacher)
        before = _nearness(start, held_out, wanted)
        student, read = open_student(start), open_student(teacher)
        loss = train_student(
            student, {"text": learned}, loss_of_states(student, read), work, options, phases=phases, facts=facts
        )
        small.base_model.load_state_dict(trained_weights(student), strict=False)
        reports = []

        def describe(stage: Path) -> str:
            reports.append(
                SmallerReport(
                    teacher=display_name(teacher),
                    target=str(target),
                    layers=choice.kept,
                    cosine_without=choice.dropped,
                    parameters=[sum(p.numel() for p in part.parameters()) for part in (model, small)],
                    texts=len(learned),
                    loss=loss,
                    cosine=[before, _nearness(stage, held_out, wanted)],
                )
            )
            return _description(reports[0], options)

        phrase = f"made from `{display_name(teacher)}` by distillation"
        write_student(
            target, small, companions=teacher, teacher=teacher, phrase=phrase, describe=describe, inputs=inputs,
            overwrite=overwrite, finish=finish,
        )  # fmt: skip
    return reports[0]


def _choice(path: Path, encoder: Encoder, texts: Sequence[str], count: int, phases: Phases) -> LayerChoice:
    """Return the layers that stay: those of a training that was begun, or chosen now and written down for a resume."""
    if path.is_file():
        before = LayerChoice.load(path)
        if len(before.kept) == count:
            return before
    whole = encoder.model.config.num_hidden_layers
    with phases("choosing layers", trials(whole, count), unit="trials") as phase:
        choice = choose_layers(encoder, texts, count, phase.advance)
    replace_text(path, json_text(choice.to_dict()) + "\n")
    return choice


def _nearness(folder: Path, texts: Sequence[str], wanted: np.ndarray) -> float:
    return float(pair_cosines(Encoder.load(folder, precision="fp32").encode(texts), wanted).mean())


def _description(report: SmallerReport, options: StudentOptions) -> str:
    left = ", ".join(f"{number} ({value:.3f})" for number, value in report.cosine_without.items())
    return table(
        {
            "teacher": f"`{report.teacher}`",
            "layers of it that stay": ", ".join(map(str, report.layers)),
            "layers that left, with the cosine to the teacher then": left or "none",
            "parameters": f"{report.parameters[1]:,} of {report.parameters[0]:,}",
            "trained on": f"{report.texts:,} sentences, {options.in_words}; last states and vectors matched",
            "cosine to the teacher on held-out sentences": f"{report.cosine[0]:.4f} before the training, "
            f"{report.cosine[1]:.4f} after it",
        }
    )
