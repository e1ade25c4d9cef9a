"""The machine-written parts of a model card: each a function from a checkpoint to Markdown."""

import inspect
import math

from hf_embeddings.file_names import EMBEDDING_FIGURES, EMBEDDING_OPTIONS, FIGURES, GENERATOR, OPTIONS
from hf_embeddings.hardware import number_format
from hf_embeddings.model.positions import POSITION_TYPES
from hf_embeddings.publishing.checkpoint import Checkpoint
from hf_embeddings.publishing.figures import NOT_RECORDED, corpus_name, evaluation, limits, phases, source_name, table
from hf_embeddings.publishing.recorded_options import (
    RecordedEmbedding,
    RecordedExamples,
    RecordedGenerator,
    RecordedTraining,
)
from hf_embeddings.publishing.tasks import EMBED, TASKS, snippet
from hf_embeddings.records.embedding import EmbeddingFigures
from hf_embeddings.records.run import DEFAULT_WEIGHTS, BaseCheckpoint

LOSSES = {  # names of the options -> those of sentence-transformers
    "multiple_negatives": "MultipleNegativesRankingLoss",
    "cached_multiple_negatives": "CachedMultipleNegativesRankingLoss",
    "cosent": "CoSENTLoss",
    "simcse": "MultipleNegativesRankingLoss on each text twice, with other dropout (SimCSE)",
    "tsdae": "DenoisingAutoEncoderLoss, decoder untied (TSDAE)",
}
CURVE_FILE = "training_loss.svg"


def summary(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Title and one sentence."""
    config = checkpoint.config
    phrase = (checkpoint.origin and checkpoint.origin.made) or ("pretrained" if checkpoint.pretraining else "saved")
    if checkpoint.embedding:
        phrase = f"trained for embeddings of texts from `{checkpoint.embedding.base}`"
    elif checkpoint.beginning and not checkpoint.origin:
        phrase = f"pretrained further from `{checkpoint.beginning.name}`"
    return (
        f"# {title(checkpoint, model_id)}\n\n"
        f"A TriEmbed encoder ({config.num_hidden_layers} layers, width {config.hidden_size}, "
        f"`{config.position_embedding_type}` positions), {phrase}, with hf-embeddings, as `{checkpoint.architecture}`. "
        "Its input is the sum *token + position + segment*." + _verdict(checkpoint)
    )


def _verdict(checkpoint: Checkpoint) -> str:
    """Say that a model is worth nothing, or little, where its run found so."""
    if not checkpoint.failings:
        return ""
    figures = checkpoint.embedding or checkpoint.pretraining
    little = figures and figures.worth and figures.worth.verdict == "learned in part"
    worth = "little" if little else "nothing"
    reasons = "\n".join(f"> - {reason}" for reason in checkpoint.failings)
    return f"\n\n> **This model is worth {worth}: it has not learned what it was trained for.**\n{reasons}"


def use(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Snippets that run as they stand; none for a model that has not learned what it was trained for."""
    if checkpoint.failings:
        verb = "embed" if checkpoint.embedding else "pretrain"
        return (
            "None is recommended, for the reasons above: what it answers is no better than chance or word counts. "
            f"`hf-embeddings {verb}` with more steps, or with what the warnings of its run ask for, replaces it."
        )
    tasks = [checkpoint.task, *([TASKS["TriEmbedModel"]] if checkpoint.task.snippet != EMBED else [])]
    language, model = (checkpoint.language or ["en"])[0], model_id or "PATH_OR_ID"
    code = [snippet(task, model=model, language=language, mask_token=checkpoint.mask_token) for task in tasks]
    blocks = "\n\n".join(f"```python\n{block}\n```" for block in code)
    return (
        f"{blocks}\n\n`trust_remote_code=True` loads the code that lies beside the weights. Where the "
        "package hf-embeddings is installed, `import hf_embeddings` makes it unnecessary."
    )


def architecture(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Switches of the config and a table of parameters by part."""
    config = checkpoint.config
    sliding = (config.layer_types or []).count("sliding_attention")
    rows = {
        "layers, width, heads": f"{config.num_hidden_layers}, {config.hidden_size}, {config.num_attention_heads}",
        "feed-forward": f"{config.feed_forward_type}, {config.intermediate_size} wide, {config.hidden_act}",
        "normalisation": f"{config.norm_position}-norm",
        "attention": f"{sliding} of {config.num_hidden_layers} layers see {config.sliding_window} tokens to either side"
        if sliding
        else "full",
        "longest input": f"{config.max_position_embeddings:,} tokens",
        "vocabulary": f"{config.vocab_size:,} entries",
        "segments": str(config.type_vocab_size),
    }
    counts: dict[str, int] = {}
    for name, shape in checkpoint.shapes.items():
        counts[_part(name)] = counts.get(_part(name), 0) + math.prod(shape)
    total = sum(counts.values())
    parts = "\n".join(f"| {part} | {count:,} | {count / total:.1%} |" for part, count in counts.items())
    return (
        f"{table(rows)}\n\n| part | parameters | share |\n|---|---:|---:|\n{parts}\n"
        f"| **all** | **{total:,}** | 100% |\n\nA weight that is shared, such as a prediction head's with the token "
        "table, is counted once."
    )


def positions(checkpoint: Checkpoint, model_id: str | None) -> str:
    """What the position type does, in the words of the class that does it."""
    lines = [f"`position_embedding_type = {checkpoint.config.position_embedding_type!r}`"]
    for part in checkpoint.config.position_parts:
        text = inspect.getdoc(POSITION_TYPES[part]) or ""
        lines.append(f"- `{part}`: {' '.join(text.split(chr(10) * 2)[0].split())}")
    return "\n\n".join([lines[0], "\n".join(lines[1:])])


def data(checkpoint: Checkpoint, model_id: str | None) -> str:
    """The corpus and what was left out of it."""
    if checkpoint.embedding and checkpoint.embedding_options:
        rows = {name.replace("_", " "): f"{value:,}" for name, value in checkpoint.embedding.rows.items()}
        columns = ", ".join(f"`{column}`" for column in checkpoint.embedding_options.data.columns)
        return (
            f"Rows of `{source_name(checkpoint.embedding_options.data.source)}`, columns {columns}, after the training "
            f"of `{checkpoint.embedding.base}`:\n\n{table(rows)}"
        )
    counts = checkpoint.pretraining.corpus if checkpoint.pretraining else None
    if not counts:
        return "That of its source." if checkpoint.origin else NOT_RECORDED.format(FIGURES)
    rows = {name.replace("_", " "): f"{value:,}" for name, value in counts.items() if value}
    return f"Corpus: `{corpus_name(checkpoint)}`\n\n{table(rows)}"


def recipe(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Options and length of the run, and its loss curve."""
    options, figures = checkpoint.options, checkpoint.pretraining
    if checkpoint.embedding and checkpoint.embedding_options:
        return _embedding_recipe(checkpoint.embedding, checkpoint.embedding_options)
    if checkpoint.origin:
        return checkpoint.origin.description
    if not options or not figures:
        return NOT_RECORDED.format(OPTIONS)
    examples, training = options.examples, options.training
    rows = _began(checkpoint.beginning) | {
        "objectives": _objectives(examples),
        **_generator(checkpoint, options.generator if "rtd" in examples.objectives else None),
        "masking": f"{_masked(examples)}; {examples.mask_token_fraction:.0%} of those "
        f"{checkpoint.mask_token}, {examples.random_token_fraction:.0%} random",
        "examples": f"at most {examples.max_length} tokens",
        "batch": "that of the phase" if figures.phases else f"{training.tokens_per_step:,} tokens per optimizer step",
        "optimizer": f"{_peaks(training)}, betas {training.adam_beta1:g} and "
        f"{training.adam_beta2:g}, weight decay {training.weight_decay:g}",
        "schedule": _schedule(training),
        # Earlier versions recorded no `precision`, and had no `auto`.
        "number format": figures.precision or number_format(training.mixed_precision),
        "length": f"{figures.training_steps:,} steps, {figures.training_tokens:,} tokens, "
        f"{figures.training_seconds:,.0f} s",
        "seed": str(options.seed),
    }
    text = f"{table(rows)}{phases(figures)}\n\nAll options are in `{OPTIONS}`, all figures in `{FIGURES}`."
    if (checkpoint.folder / CURVE_FILE).exists():
        text += f"\n\n![Training loss]({CURVE_FILE})"
    return text


def _schedule(training: RecordedTraining) -> str:
    if any(phase.schedule for phase in training.phases):
        return "that of the phase"
    return f"{training.schedule}, after a warmup over {training.warmup_fraction:.0%} of the training"


def _embedding_recipe(figures: EmbeddingFigures, options: RecordedEmbedding) -> str:
    """Return what a run of `embed` did."""
    loss, training = options.loss, options.training
    rows = {
        "begins with": f"`{figures.base}`",
        "loss": f"{LOSSES.get(loss.name, loss.name)}, scale {loss.scale:g}",
        "batch": f"{training.batch_size} rows per optimizer step",
        "optimizer": f"AdamW, peak learning rate {training.learning_rate:g}, weight decay {training.weight_decay:g}",
        "schedule": f"{training.schedule}, after a warmup over {training.warmup_fraction:.0%} of the training",
        "number format": figures.precision,
        "length": f"{figures.training_steps:,} steps",
        "seed": str(options.seed),
    }
    if loss.hard_negatives:
        rows["hard negatives"] = f"{loss.hard_negatives} for each row, mined by exact search"
    if loss.matryoshka:
        rows["also trained at the widths"] = ", ".join(map(str, loss.matryoshka))
    return f"{table(rows)}\n\nAll options are in `{EMBEDDING_OPTIONS}`, all figures in `{EMBEDDING_FIGURES}`."


def _began(beginning: BaseCheckpoint | None) -> dict[str, str]:
    """Return what the run began with, what of it was new, and what stays beside the weights."""
    if beginning is None:
        return {}
    rows = {"begins with": f"`{beginning.name}`"}
    for what, names in (
        ("random at first", beginning.new_modules),
        ("carried over", beginning.carried),
        ("not carried over", beginning.left),
    ):
        if names:
            rows[what] = ", ".join(f"`{name}`" for name in names)
    return rows


def _objectives(examples: RecordedExamples) -> str:
    weights = DEFAULT_WEIGHTS | (examples.objective_weights or {})
    if "rtd" in examples.objectives:
        return f"mlm of a generator + {weights['rtd']:g} rtd of the discriminator, which is this model"
    return " + ".join(f"{weights[name]:g} {name}" if name in weights else name for name in examples.objectives)


def _generator(checkpoint: Checkpoint, options: RecordedGenerator | None) -> dict[str, str]:
    """Return what replaced the tokens, where something did."""
    if options is None:
        return {}
    tables = {
        "disentangled": "the token table of the discriminator is that of the generator, without gradient to it, plus a "
        "difference of its own (GDES)",
        "shared": "both have one token table",
        "separate": "each has a token table of its own",
    }[options.embeddings]
    place = f", kept in `{GENERATOR}/`" if (checkpoint.folder / GENERATOR).is_dir() else ""
    size = f"{options.width:.0%} of the width and {options.layers:.0%} of the layers"
    return {"generator": f"a masked language model of {size}{place}; {tables}"}


def _masked(examples: RecordedExamples) -> str:
    """Return which share of the tokens is predicted, and what is hidden together."""
    share, final = f"{examples.masking_probability:.0%}", examples.final_masking_probability
    unit = {"word": ", whole words", "span": ", spans"}.get(examples.masking_unit, "")
    return f"{share} of tokens{f' at first, {final:.0%} at the end' if final else ''}{unit}"


def _peaks(training: RecordedTraining) -> str:
    """Return which optimizer has which peak learning rate."""
    peak = training.learning_rate
    if training.optimizer == "adamw":
        return f"AdamW, peak learning rate {peak:g}"
    rest = training.adamw_learning_rate or peak
    return f"Muon on the encoder's matrices, peak learning rate {peak:g}; AdamW on all else, peak {rest:g}"


def title(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Return the name of the model: the one it has on the Hub, if it is there."""
    return model_id.split("/")[-1] if model_id else checkpoint.name


def _part(name: str) -> str:
    words = name.removeprefix("triembed.").split(".")
    if words[0] == "embeddings":
        return f"{words[1]} table" if words[1] in ("token", "segment", "position") else "embedding norm"
    return {"layers": "encoder layers", "final_norm": "encoder layers"}.get(words[0], f"head: {words[0]}")


SECTIONS = {
    "summary": summary,
    "use": use,
    "architecture": architecture,
    "positions": positions,
    "data": data,
    "recipe": recipe,
    "evaluation": evaluation,
    "limits": limits,
}
