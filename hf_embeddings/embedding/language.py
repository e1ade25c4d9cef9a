"""`distil --translations`: a student that reads another language, and gives a translation the vector of its text.

The teacher's vector of a text is the target for the student's vectors of the text and of its translation
(https://arxiv.org/abs/2004.09813). Characters that the teacher cannot read become tokens first.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hf_embeddings.conversion.origin import display_name, table
from hf_embeddings.conversion.surgery.own_checkpoint import load_own
from hf_embeddings.conversion.surgery.vocabulary import add_tokens
from hf_embeddings.embedding.student_training import (
    StudentOptions,
    check_begun,
    loss_of_vectors,
    train_student,
    trained_weights,
)
from hf_embeddings.embedding.student_work import START, Finish, open_student, save_student, unfinished, write_student
from hf_embeddings.files.staging import check_target
from hf_embeddings.json_record import JsonRecord
from hf_embeddings.progress import Phases, silent_phase
from hf_embeddings.search.encoder import Encoder

HELD_OUT = 200  # pairs that the result is judged on
FEWEST = 2  # occurrences of a character that is worth a token
TranslatedPair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class LanguageReport(JsonRecord):
    """What a student of another language was made of, and how well it finds translations that it did not see."""

    teacher: str
    target: str
    pairs: int  # to learn from
    added: int  # tokens
    loss: float  # at the end
    held_out: int  # pairs
    recall: list[float] = field(default_factory=list)  # of the translation as the nearest: before, after
    kept: float  # mean cosine of the student's vectors of the held-out texts with the teacher's


def distil_language(
    teacher: Path,
    target: Path,
    pairs: Sequence[TranslatedPair],
    *,
    options: StudentOptions | None = None,
    overwrite: bool = False,
    phases: Phases = silent_phase,
    finish: Finish = lambda folder: None,
) -> LanguageReport:
    """Write a student that reads another language, too; an interrupted training resumes from `TARGET.partial`.

    Args:
        teacher: directory of a TriEmbed checkpoint.
        target: directory to write.
        pairs: texts in the teacher's language with their translations; the last are held out and judge the result.
        options: how long and how fast it learns.
        overwrite: replace `target` if it is not empty, and begin anew.
        phases: makes the bars of progress.
        finish: called with the directory just before it appears; what it writes there appears with it.

    Raises:
        ValueError: there are too few pairs, or a training was begun otherwise.
    """
    options = options or StudentOptions()
    if len(pairs) < 2 * HELD_OUT:
        raise ValueError(f"--translations: {len(pairs)} pairs, expected {2 * HELD_OUT} or more; give more")
    inputs: dict[str, str | Path | None] = {"TEACHER": teacher}
    check_target(target, inputs=inputs, overwrite=overwrite)
    learned, held_out = pairs[:-HELD_OUT], pairs[-HELD_OUT:]
    encoder = Encoder.load(teacher, precision="fp32")
    new = unknown_characters(encoder, [translation for _, translation in learned])
    facts = {"teacher": str(teacher.resolve()), "pairs": len(learned)}
    with unfinished(target, overwrite=overwrite) as work:
        check_begun(work, options, facts)
        start = work / START
        if new:
            add_tokens(teacher, start, new, overwrite=True)
        else:
            save_student(load_own(teacher), start, teacher)
        with phases("texts through the teacher", len(learned), unit="texts") as phase:
            wanted = encoder.encode([text for text, _ in learned], progress=phase.advance)
        columns = {
            "text": [text for text, _ in learned],
            "translation": [translation for _, translation in learned],
            "label": wanted.tolist(),
        }
        before, _ = _judge(start, encoder, held_out)
        student = open_student(start)
        loss = train_student(student, columns, loss_of_vectors(student), work, options, phases=phases, facts=facts)
        model = load_own(start)
        model.base_model.load_state_dict(trained_weights(student), strict=False)
        reports = []

        def describe(stage: Path) -> str:
            after, kept = _judge(stage, encoder, held_out)
            reports.append(
                LanguageReport(
                    teacher=display_name(teacher),
                    target=str(target),
                    pairs=len(learned),
                    added=len(new),
                    loss=loss,
                    held_out=len(held_out),
                    recall=[before, after],
                    kept=kept,
                )
            )
            return _description(reports[0], options)

        phrase = f"made from `{display_name(teacher)}` by distillation into another language"
        write_student(
            target, model, companions=start, teacher=teacher, phrase=phrase, describe=describe, inputs=inputs,
            overwrite=overwrite, finish=finish,
        )  # fmt: skip
    return reports[0]


def unknown_characters(encoder: Encoder, texts: Sequence[str]) -> list[str]:
    """Return the characters of texts that the vocabulary cannot spell, but for rare ones; the most frequent first."""
    counts = Counter(character for text in texts for character in text if not character.isspace())
    candidates = [character for character, count in counts.most_common() if count >= FEWEST]
    return encoder.unknown(candidates)


def _judge(folder: Path, teacher: Encoder, pairs: Sequence[TranslatedPair]) -> tuple[float, float]:
    """Return how often a text's translation is nearest to it, and the mean cosine of texts with the teacher's."""
    student = Encoder.load(folder, precision="fp32")
    texts, translations = (student.encode(side) for side in zip(*pairs, strict=True))
    texts, translations, wanted = map(_unit, (texts, translations, teacher.encode([text for text, _ in pairs])))
    nearest = (texts @ translations.T).argmax(axis=1)
    return float((nearest == np.arange(len(pairs))).mean()), float((texts * wanted).sum(axis=1).mean())


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def _description(report: LanguageReport, options: StudentOptions) -> str:
    return table(
        {
            "teacher": f"`{report.teacher}`",
            "trained on": f"{report.pairs:,} texts with translations, {options.in_words}",
            "tokens added": f"{report.added:,} characters that the teacher could not read",
            f"translation found first among {report.held_out} held-out ones": f"{report.recall[0]:.1%} before, "
            f"{report.recall[1]:.1%} after",
            "cosine to the teacher in its own language, held out": f"{report.kept:.4f}",
        }
    )
