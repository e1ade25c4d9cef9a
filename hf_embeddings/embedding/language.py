"""`distil --translations`: a student that reads another language, and gives a translation the vector of its text.

The teacher's vector of a text is the target for the student's vectors of the text and of its translation
(https://arxiv.org/abs/2004.09813). Characters that the teacher cannot read become tokens first.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer
from torch import nn

from hf_embeddings.analysis.geometry import unit_rows
from hf_embeddings.analysis.similarity import pair_cosines
from hf_embeddings.conversion.origin import display_name, table
from hf_embeddings.conversion.surgery.own_checkpoint import load_own
from hf_embeddings.conversion.surgery.vocabulary import add_tokens
from hf_embeddings.conversion.surgery.whole_words import spelled
from hf_embeddings.embedding.student_directory import save_student
from hf_embeddings.embedding.student_training import StudentOptions, identified, loss_of_vectors
from hf_embeddings.embedding.teaching import Places, teach
from hf_embeddings.embedding.unfinished import START
from hf_embeddings.json_record import JsonRecord
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
    places: Places, pairs: Sequence[TranslatedPair], options: StudentOptions | None = None
) -> LanguageReport:
    """Write a student that reads another language, too; an interrupted training resumes from `TARGET.partial`.

    Args:
        places: the teacher, and the directory to write.
        pairs: texts in the teacher's language with their translations; the last are held out and judge the result.
        options: how long and how fast it learns.

    Raises:
        ValueError: there are too few pairs, the target may not be written, or a training was begun otherwise.
    """
    options = options or StudentOptions()
    if len(pairs) < 2 * HELD_OUT:
        raise ValueError(f"--translations: {len(pairs)} pairs, expected {2 * HELD_OUT} or more; give more")
    return teach(_Translations(places, pairs, options), places, options)


class _Translations:
    phrase = "distillation into another language"
    record = LanguageReport

    def __init__(self, places: Places, pairs: Sequence[TranslatedPair], options: StudentOptions) -> None:
        self.places, self.options = places, options
        self.learned, self.held_out = pairs[:-HELD_OUT], pairs[-HELD_OUT:]
        self.encoder = Encoder.load(places.teacher, precision="fp32")
        self.new = unknown_characters(self.encoder, [translation for _, translation in self.learned])

    def facts(self) -> Mapping[str, object]:
        return {"pairs": identified(text for pair in self.learned for text in pair)}

    def begin(self, work: Path) -> None:
        teacher = self.places.teacher
        if self.new:
            add_tokens(teacher, work / START, self.new, overwrite=True)
        else:
            save_student(load_own(teacher), work / START, teacher)

    def loss(self, student: SentenceTransformer) -> nn.Module:
        return loss_of_vectors(student)

    def columns(self) -> Mapping[str, Sequence[Any]]:
        texts = [text for text, _ in self.learned]
        with self.places.phases("texts through the teacher", len(texts), unit="texts") as phase:
            wanted = self.encoder.encode(texts, progress=phase.advance)
        return {"text": texts, "translation": [other for _, other in self.learned], "label": wanted.tolist()}

    def judge(self, folder: Path) -> list[float]:
        """Return how often a text's translation is nearest to it, and the mean cosine of texts with the teacher's."""
        student = Encoder.load(folder, precision="fp32")
        texts, translations = (student.encode(side) for side in zip(*self.held_out, strict=True))
        wanted = self.encoder.encode([text for text, _ in self.held_out])
        nearest = (unit_rows(texts) @ unit_rows(translations).T).argmax(axis=1)
        recall = float((nearest == np.arange(len(self.held_out))).mean())
        return [recall, float(pair_cosines(texts, wanted).mean())]

    def report(self, target: str, loss: float, before: list[float], after: list[float]) -> LanguageReport:
        return LanguageReport(
            teacher=display_name(self.places.teacher),
            target=target,
            pairs=len(self.learned),
            added=len(self.new),
            loss=loss,
            held_out=len(self.held_out),
            recall=[before[0], after[0]],
            kept=after[1],
        )

    def describe(self, report: LanguageReport) -> str:
        return table(
            {
                "teacher": f"`{report.teacher}`",
                "trained on": f"{report.pairs:,} texts with translations, {self.options.in_words}",
                "tokens added": f"{report.added:,} characters that the teacher could not read",
                f"translation found first among {report.held_out} held-out ones": f"{report.recall[0]:.1%} before, "
                f"{report.recall[1]:.1%} after",
                "cosine to the teacher in its own language, held out": f"{report.kept:.4f}",
            }
        )


def unknown_characters(encoder: Encoder, texts: Sequence[str]) -> list[str]:
    """Return the characters of texts that the vocabulary cannot spell, but for rare ones; the most frequent first."""
    counts = Counter(character for text in texts for character in text if not character.isspace())
    candidates = [character for character, count in counts.most_common() if count >= FEWEST]
    candidates = [character for character in candidates if spelled(encoder.tokenizer, character).strip()]
    return encoder.unknown(candidates)
