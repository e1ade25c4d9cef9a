"""How every student is made: it begins as a directory, is trained to its teacher's vectors, judged, and saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sentence_transformers import SentenceTransformer
from torch import nn

from hf_embeddings.conversion.origin import display_name
from hf_embeddings.conversion.surgery.own_checkpoint import load_own
from hf_embeddings.embedding.sentence_model import read_whole_recipe
from hf_embeddings.embedding.student_directory import Finish, open_student, write_student
from hf_embeddings.embedding.student_training import (
    StudentOptions,
    check_begun,
    train_student,
    trained_weights,
    what_it_takes,
)
from hf_embeddings.embedding.unfinished import START, place_to_work, unfinished
from hf_embeddings.file_names import DISTILLATION
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.files.ownership import refuse_link, sweep
from hf_embeddings.files.reading import read_object
from hf_embeddings.files.staging import check_target
from hf_embeddings.json_record import JsonRecord
from hf_embeddings.json_text import json_text
from hf_embeddings.progress import Phases, silent_phase

Report = TypeVar("Report", bound=JsonRecord)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a student comes from and goes to, and how its making behaves; every verb of distillation takes it."""

    teacher: Path  # directory of a TriEmbed checkpoint
    target: Path  # directory to write
    overwrite: bool = False  # replace `target` if it is not empty, and begin anew
    phases: Phases = silent_phase  # makes the bars of progress
    finish: Finish = field(default=lambda folder: None)  # called with the directory just before it appears

    @property
    def inputs(self) -> dict[str, str | Path | None]:
        """What is read, by the name of its option."""
        return {"TEACHER": self.teacher}


class Lesson(Protocol[Report]):
    """What one kind of student differs in."""

    phrase: str  # how it was made, to follow "made from `TEACHER` by"
    record: type[Report]

    def facts(self) -> Mapping[str, object]:
        """Return what must be as it was for a training that was begun to resume."""
        ...

    def begin(self, work: Path) -> None:
        """Write the student before its training into `work / START`."""
        ...

    def loss(self, student: SentenceTransformer) -> nn.Module:
        """Return what is minimised."""
        ...

    def columns(self) -> Mapping[str, Sequence[Any]]:
        """Return the data of the training."""
        ...

    def judge(self, folder: Path) -> list[float]:
        """Return figures of a student on held-out data; they are taken before the training and after it."""
        ...

    def report(self, target: str, loss: float, before: list[float], after: list[float]) -> Report:
        """Return what was done, and what it brought."""
        ...

    def describe(self, report: Report) -> str:
        """Return the report in Markdown, for the card."""
        ...


DIGEST = "made_from"  # of everything that decides what is made, in the record of a student


def teach(lesson: Lesson[Report], places: Places, options: StudentOptions) -> Report:
    """Make a student, unless the same call has made it; an interrupted training resumes from `TARGET.partial`.

    Raises:
        ValueError: the target may not be written, or a training was begun otherwise.
    """
    target, teacher = places.target, places.teacher
    refuse_link(target)
    facts = {"teacher": str(teacher.resolve()), **lesson.facts()}
    if not places.overwrite and (done := _report_of(lesson, places, options, facts)):
        sweep(place_to_work(target))  # a kill may have left it
        return done
    check_target(target, inputs=places.inputs, overwrite=places.overwrite)
    read_whole_recipe(teacher)
    with unfinished(target, overwrite=places.overwrite) as work:
        check_begun(work, options, facts)
        start = work / START
        lesson.begin(work)
        before = lesson.judge(start)
        student = open_student(start)
        loss = train_student(
            student, lesson.columns(), lesson.loss(student), work, options, phases=places.phases, facts=facts
        )
        model = load_own(start)
        model.base_model.load_state_dict(trained_weights(student), strict=False)
        reports: list[Report] = []

        def describe(stage: Path) -> str:
            reports.append(lesson.report(str(target), loss, before, lesson.judge(stage)))
            _save_report(reports[0], stage, options, facts)
            return lesson.describe(reports[0])

        phrase = f"made from `{display_name(teacher)}` by {lesson.phrase}"
        write_student(
            target, model, companions=start, teacher=teacher, phrase=phrase, describe=describe, inputs=places.inputs,
            overwrite=places.overwrite, finish=places.finish,
        )  # fmt: skip
    return reports[0]


def _digest(options: StudentOptions, facts: Mapping[str, object]) -> str:
    return sha256(what_it_takes(options, facts).encode()).hexdigest()


def _save_report(report: JsonRecord, folder: Path, options: StudentOptions, facts: Mapping[str, object]) -> None:
    """Save a report beside the student."""
    values = report.to_dict() | {DIGEST: _digest(options, facts)}
    del values["target"]  # a path here
    replace_text(folder / DISTILLATION, json_text(values, indent=2) + "\n")


def _report_of(
    lesson: Lesson[Report], places: Places, options: StudentOptions, facts: Mapping[str, object]
) -> Report | None:
    """Return the report of the student at the target, if the same call has made it."""
    path = places.target / DISTILLATION
    values = read_object(path) if path.is_file() else {}
    if values.get(DIGEST) != _digest(options, facts):
        return None
    return lesson.record.from_dict({**values, "target": str(places.target)})
