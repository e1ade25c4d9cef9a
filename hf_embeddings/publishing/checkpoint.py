"""What a checkpoint directory says of itself: config, weights, tokenizer, and the records of the runs that made it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hf_embeddings.file_names import (
    EMBEDDING_EVALUATION,
    EMBEDDING_FIGURES,
    EMBEDDING_OPTIONS,
    FIGURES,
    FINE_TUNING,
    OPTIONS,
    ORIGIN,
)
from hf_embeddings.files.reading import check_file, parse_yaml, read_object, read_text
from hf_embeddings.loading.model_names import check_model
from hf_embeddings.loading.saved_model import one_line_errors
from hf_embeddings.loading.sentence_models import RERANKER, sentence_class
from hf_embeddings.loading.static_model import MODEL_TYPE
from hf_embeddings.loading.stored_weights import open_weights
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.discriminators import is_discriminator
from hf_embeddings.publishing.recorded_options import Names, Origin, RecordedCard, RecordedEmbedding, RecordedOptions
from hf_embeddings.publishing.tasks import CLASSES_OF_PAIRS, DISCRIMINATOR, SENTENCE_TASKS, TASKS, Task
from hf_embeddings.records.embedding import EmbeddingFigures
from hf_embeddings.records.evaluation import EvaluationReport
from hf_embeddings.records.run import BaseCheckpoint, RunFigures


@dataclass(frozen=True)
class Checkpoint:
    """A directory that `from_pretrained` loads; every property is read from a file in it, or empty without the file."""

    folder: Path

    def __post_init__(self) -> None:
        check_model(self.folder, "the directory of a TriEmbed checkpoint")

    @cached_property
    def config(self) -> TriEmbedConfig:
        """The architecture."""
        with one_line_errors(self.folder / "config.json"):
            return TriEmbedConfig.from_pretrained(self.folder)

    @cached_property
    def is_static(self) -> bool:
        """Whether it is a table of rows for tokens, in the format of model2vec, and no TriEmbed."""
        return bool(read_object(self.folder / "config.json").get("model_type") == MODEL_TYPE)

    @cached_property
    def architecture(self) -> str:
        """Name of the class that was saved."""
        return (self.config.architectures or ["TriEmbedModel"])[0]

    @cached_property
    def detects(self) -> bool:
        """Whether it is a discriminator, which tells replaced tokens."""
        return is_discriminator(self.config.to_dict())

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each weight as stored, shared ones once; read from the headers of the files."""
        shapes: dict[str, tuple[int, ...]] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            with open_weights(path) as weights:
                shapes |= {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
        return shapes

    @cached_property
    def pretraining(self) -> RunFigures | None:
        """The figures of the pretraining run."""
        path = self.folder / FIGURES
        return RunFigures.load(path) if path.exists() else None

    @property
    def failings(self) -> list[str]:
        """Sentences on why the pretraining run judged its model to be worth nothing, or little; mostly none."""
        if self.embedding and self.embedding.worth:
            return self.embedding.worth.reasons
        return self.pretraining.failings if self.pretraining else []

    @cached_property
    def embedding(self) -> EmbeddingFigures | None:
        """The figures of the run of `embed`."""
        path = self.folder / EMBEDDING_FIGURES
        return EmbeddingFigures.load(path) if path.exists() else None

    @cached_property
    def embedding_options(self) -> RecordedEmbedding | None:
        """The options of the run of `embed`."""
        path = self.folder / EMBEDDING_OPTIONS
        if not path.exists():
            return None
        with one_line_errors(path):
            return RecordedEmbedding.from_dict(parse_yaml(read_text(path), path))

    @cached_property
    def options(self) -> RecordedOptions | None:
        """The options of the pretraining run."""
        path = self.folder / OPTIONS
        if not path.exists():
            return None
        with one_line_errors(path):
            return RecordedOptions.from_dict(parse_yaml(read_text(path), path))

    @cached_property
    def origin(self) -> Origin | None:
        """What the checkpoint was made from: the record that `convert`, `reposition` and `vocabulary` leave."""
        path = self.folder / ORIGIN
        return Origin.load(path) if path.exists() else None

    @cached_property
    def sentence_class(self) -> str | None:
        """The class of sentence-transformers that the directory is made for."""
        return sentence_class(self.folder)

    @cached_property
    def task(self) -> Task:
        """What the saved class is for."""
        if self.sentence_class == RERANKER and self.config.num_labels != 1:
            return CLASSES_OF_PAIRS
        if not self.sentence_class and self.detects:
            return DISCRIMINATOR
        return SENTENCE_TASKS[self.sentence_class] if self.sentence_class else TASKS[self.architecture]

    @cached_property
    def fine_tuning(self) -> dict[str, float]:
        """The metrics that `Trainer.save_metrics` left."""
        path = self.folder / FINE_TUNING
        values = read_object(path) if path.exists() else {}
        return {name: value for name, value in values.items() if type(value) in (int, float) and abs(value) < 2**63}

    @cached_property
    def embedding_evaluation(self) -> EvaluationReport | None:
        """The report that `hf-embeddings evaluate --card` left."""
        path = self.folder / EMBEDDING_EVALUATION
        return EvaluationReport.load(path) if path.exists() else None

    @cached_property
    def mask_token(self) -> str:
        """The token that stands for what is to be predicted."""
        path = self.folder / "tokenizer_config.json"
        token = (read_object(path) if path.exists() else {}).get("mask_token")
        return str((token.get("content") if isinstance(token, dict) else token) or "[MASK]")

    @cached_property
    def name(self) -> str:
        """Title of the model."""
        options = self.embedding_options or self.options
        place = options.output_dir if options else None
        return self._card.name or Path(place or self.folder.resolve()).name

    @cached_property
    def language(self) -> list[str]:
        """ISO 639 codes of the training text, as far as known."""
        codes = self._card.language or next((source.language for source in self.sources if source.language), None) or []
        return [codes] if isinstance(codes, str) else codes

    @cached_property
    def license(self) -> Names:
        """The Hub's identifier of the license of the weights, or several."""
        return self._card.license or next((source.license for source in self.sources if source.license), None)

    @property
    def beginning(self) -> BaseCheckpoint | None:
        """The checkpoint that the pretraining run began with."""
        return self.pretraining.beginning if self.pretraining else None

    @cached_property
    def sources(self) -> list[Origin]:
        """What is known of the model that this one was made from: its own record, then what its run inherited."""
        own = [Origin.from_dict(self.embedding.base_card)] if self.embedding else []
        own += [self.origin] if self.origin else []
        return [*own, *([Origin.from_dict(self.beginning.card)] if self.beginning else [])]

    @property
    def _card(self) -> RecordedCard:
        options = self.embedding_options or self.options
        return (options.card if options else None) or RecordedCard()

    @property
    def baseline(self) -> tuple[str, float] | None:
        """Name and MLM loss, in nats, of what token frequencies alone reach; None where no run is recorded."""
        unigram = self.pretraining.unigram_loss if self.pretraining else None
        return ("token frequencies alone", float(unigram)) if unigram else None

    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """Return (step, value) of each training loss, from the TensorBoard events of the run."""
        folder = self.folder / "tensorboard"
        if not folder.is_dir():
            return {}
        for path in folder.rglob("*"):
            if not path.is_dir():
                check_file(path)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        return {
            tag.removeprefix("training/").removesuffix("_loss"): [(e.step, e.value) for e in events.Scalars(tag)]
            for tag in sorted(events.Tags()["scalars"])
            if tag.startswith("training/") and tag.endswith("_loss")
        }
