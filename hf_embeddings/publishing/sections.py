"""The machine-written parts of a model card: each a function from a checkpoint to Markdown."""

import inspect
import math
from pathlib import Path

from hf_embeddings.model.positions import POSITION_TYPES
from hf_embeddings.publishing.checkpoint import Checkpoint
from hf_embeddings.publishing.tasks import EMBED, TASKS, snippet

CURVE_FILE = "training_loss.svg"
NOT_RECORDED = "Not recorded: no `{}` lies beside the weights."


def summary(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Title and one sentence."""
    config = checkpoint.config
    made = "pretrained" if checkpoint.pretraining else "saved"
    return (
        f"# {title(checkpoint, model_id)}\n\n"
        f"A TriEmbed encoder ({config.num_hidden_layers} layers, width {config.hidden_size}, "
        f"`{config.position_embedding_type}` positions), {made} with hf-embeddings as `{checkpoint.architecture}`. Its "
        "input is the sum *token + position + segment*."
    )


def use(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Snippets that run as they stand."""
    code = [_snippet(checkpoint, model_id, checkpoint.architecture)]
    if TASKS[checkpoint.architecture].snippet != EMBED:
        code.append(_snippet(checkpoint, model_id, "TriEmbedModel"))
    blocks = "\n\n".join(f"```python\n{block}\n```" for block in code)
    return (
        f"{blocks}\n\n`trust_remote_code=True` loads the code that lies beside the weights. With `pip install "
        "hf-embeddings` and `import hf_embeddings` it is not needed."
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
    table = "\n".join(f"| {part} | {count:,} | {count / total:.1%} |" for part, count in counts.items())
    return (
        f"{_table(rows)}\n\n| part | parameters | share |\n|---|---:|---:|\n{table}\n"
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
    counts = checkpoint.pretraining.get("corpus")
    if not counts:
        return NOT_RECORDED.format("pretraining.json")
    rows = {name.replace("_", " "): f"{value:,}" for name, value in counts.items() if value}
    return f"Corpus: `{corpus_name(checkpoint)}`\n\n{_table(rows)}"


def recipe(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Options and length of the run, and its loss curve."""
    options, figures = checkpoint.options, checkpoint.pretraining
    if not options or not figures:
        return NOT_RECORDED.format("pretraining.yaml")
    examples, training = options["examples"], options["training"]
    rows = {
        "objectives": " + ".join(examples["objectives"]),
        "masking": f"{examples['masking_probability']:.0%} of tokens; {examples['mask_token_fraction']:.0%} of those "
        f"{checkpoint.mask_token}, {examples['random_token_fraction']:.0%} random",
        "examples": f"at most {examples['max_length']} tokens",
        "batch": f"{training['tokens_per_step']:,} tokens per optimizer step",
        "optimizer": f"AdamW, peak learning rate {training['learning_rate']:g}, "
        f"betas {training['adam_beta1']:g} and {training['adam_beta2']:g}, weight decay {training['weight_decay']:g}",
        "warmup": f"{training['warmup_fraction']:.0%} of the training",
        "number format": {"no": "fp32"}.get(training["mixed_precision"], training["mixed_precision"]),
        "length": f"{figures['training_steps']:,} steps, {figures['training_tokens']:,} tokens, "
        f"{figures['training_seconds']:,.0f} s",
        "seed": str(options["seed"]),
    }
    text = f"{_table(rows)}\n\nAll options are in `pretraining.yaml`, all figures in `pretraining.json`."
    if (checkpoint.folder / CURVE_FILE).exists():
        text += f"\n\n![Training loss]({CURVE_FILE})"
    return text


def evaluation(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Held-out figures with their intervals, beside what knows nothing but frequencies."""
    figures = checkpoint.pretraining
    parts = []
    if "mlm_loss" in figures:
        rows = [_loss_row("mlm", figures, figures["unigram_loss"]), _accuracy_row("mlm", figures, "")]
        if "nsp_loss" in figures:
            rows += [_loss_row("nsp", figures, math.log(2)), _accuracy_row("nsp", figures, "50.0%")]
        parts.append(
            "On documents held out from the corpus:\n\n| figure | this model | 95 % interval | baseline | labels |\n"
            "|---|---:|---:|---:|---:|\n" + "\n".join(rows) + "\n\n"
            f"The baseline of the MLM loss, {figures['unigram_loss']:.3f} nats, is a model that knows only how often "
            "each token occurs; that of NSP is chance. Intervals are Wilson's."
        )
    metrics = {k: v for k, v in checkpoint.fine_tuning.items() if k.startswith("eval_") and isinstance(v, int | float)}
    if metrics:
        rows = {name.removeprefix("eval_").replace("_", " "): f"{value:.4g}" for name, value in metrics.items()}
        parts.append(f"After fine-tuning, on the evaluation set of the run:\n\n{_table(rows)}")
    if checkpoint.embedding_evaluation:
        parts.append(_embeddings(checkpoint.embedding_evaluation))
    return "\n\n".join(parts) or NOT_RECORDED.format("pretraining.json")


def limits(checkpoint: Checkpoint, model_id: str | None) -> str:
    """What not to use the model for, as far as the checkpoint shows it."""
    config = checkpoint.config
    longest = f"{config.max_position_embeddings:,} tokens"
    lines = []
    if config.positions_end:
        lines.append(
            f"- Input ends at {longest}: {config.position_embedding_type} positions have no row beyond. Truncate."
        )
    elif config.position_embedding_type == "none":
        lines.append("- The encoder is blind to word order; it was trained as a control.")
    else:
        lines.append(f"- Input beyond {longest} runs, but was not seen in training; measure first.")
    if checkpoint.pretraining:
        languages = ", ".join(checkpoint.language)
        lines.append(
            f"- It knows what `{corpus_name(checkpoint)}` holds ({languages}) and little else; other languages and "
            "domains need training of their own."
        )
    measured = "are listed above" if checkpoint.embedding_evaluation.get("bias") else "were not measured"
    lines.append(
        "- It repeats the associations of its training text, the unfair ones too; for this checkpoint they "
        f"{measured}. Do not let it decide about people."
    )
    return "\n".join(lines)


def _embeddings(report: dict) -> str:
    """Figures of the embeddings, as `hf-embeddings evaluate` measured them."""
    rows = {
        f"{name}, Spearman ({f['pairs']} pairs)": f"{f['spearman']:.3f}" for name, f in report["similarity"].items()
    }
    rows |= {f"{name}, analogies": f"{f['accuracy']:.1%}" for name, f in report["analogies"].items() if f["questions"]}
    rows |= {f"{name}, retrieval MRR": f"{found['forward']['mrr']:.3f}" for name, found in report["retrieval"].items()}
    rows |= {f"MTEB {name}": f"{score:.4f}" for name, score in report.get("mteb", {}).items()}
    for name, part in (("token table", report["table"]), ("sentences", report["text"])):
        rows[f"{name}: IsoScore, mean cosine"] = (
            f"{part['isotropy']['iso_score']:.3f}, {part['isotropy']['mean_cosine']:.3f}"
        )
    for found in report["bias"]:
        if "skipped" not in found:
            rows[f"{found['test']} ({found['on']})"] = f"effect {found['effect_size']:.2f}, p {found['p_value']:.4f}"
    chosen = report["vectors"]
    return f"Of its {chosen['source']} embeddings ({chosen['pooling']} pooling):\n\n{_table(rows)}"


def title(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Return the name of the model: the one it has on the Hub, if it is there."""
    return model_id.split("/")[-1] if model_id else checkpoint.name


def corpus_name(checkpoint: Checkpoint) -> str:
    """Return the corpus as the run names it; of a local path only the last part, which is all a reader can use."""
    source = str((checkpoint.options.get("corpus") or {}).get("source", "unknown"))
    return source if ":" in source.split("/")[0] else Path(source).name


def _snippet(checkpoint: Checkpoint, model_id: str | None, architecture: str) -> str:
    language = checkpoint.language[0] if checkpoint.language else "en"
    model = model_id or "PATH_OR_ID"
    return snippet(architecture, model=model, language=language, mask_token=checkpoint.mask_token)


def _part(name: str) -> str:
    words = name.removeprefix("triembed.").split(".")
    if words[0] == "embeddings":
        return f"{words[1]} table" if words[1] in ("token", "segment", "position") else "embedding norm"
    return {"layers": "encoder layers", "final_norm": "encoder layers"}.get(words[0], f"head: {words[0]}")


def _table(rows: dict[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def _loss_row(name: str, figures: dict, baseline: float) -> str:
    loss, labels = figures[f"{name}_loss"], figures[f"{name}_labels"]
    return f"| {name.upper()} loss, nats | {loss:.3f} | | {baseline:.3f} | {labels:,} |"


def _accuracy_row(name: str, figures: dict, baseline: str) -> str:
    low, high = figures[f"{name}_accuracy_low"], figures[f"{name}_accuracy_high"]
    accuracy, labels = figures[f"{name}_accuracy"], figures[f"{name}_labels"]
    return f"| {name.upper()} accuracy | {accuracy:.1%} | {low:.1%} to {high:.1%} | {baseline} | {labels:,} |"


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
