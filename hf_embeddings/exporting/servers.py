"""A directory that embedding servers load: ONNX graphs with sentence vectors, and what engines read beside them."""

import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import Lowercase, Normalizer
from tokenizers.normalizers import Sequence as Normalizers
from transformers import PreTrainedTokenizerBase

from hf_embeddings.exporting.card import write_card
from hf_embeddings.exporting.engine_files import engine_config, write_json, write_sentence_files, write_tokenizer
from hf_embeddings.exporting.exportable import VECTORS, Exportable, open_encoder, open_task_model
from hf_embeddings.exporting.graph import DATA, OPSET, Inputs, files_of
from hf_embeddings.exporting.precision import (
    LOW_COSINE,
    WeightPrecision,
    allowed,
    as_numbers,
    compare_with_model,
    quantize_graph,
    write_precision,
)
from hf_embeddings.exporting.report import ServerDirectory, ServerFile
from hf_embeddings.exporting.sentence_modules import SentenceModules, read_modules
from hf_embeddings.files.staging import staged_directory
from hf_embeddings.loading.model_names import check_model
from hf_embeddings.loading.saved_model import read_config, read_tokenizer
from hf_embeddings.loading.sentence_models import CLASSES, encoder_folder, sentence_class
from hf_embeddings.pip_extras import require
from hf_embeddings.search.text_model import check_ids, longest_input

NAMES: dict[WeightPrecision, str] = {"fp32": "model.onnx", "int8": "model_quantized.onnx", "fp16": "model_fp16.onnx"}
HEADS = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
REFUSED = ("ForMultipleChoice", "ForNextSentencePrediction", "ForMultiTask")
TEXTS_PER_BATCH = 8


def export_for_servers(folder: Path, target: Path, *, fp16: bool = False, overwrite: bool = False) -> ServerDirectory:
    """Write a directory that text-embeddings-inference, fastembed, transformers.js and others load.

    It appears once the fp32 graph gives what the model gives. An encoder gets the output `sentence_embedding`, pooled,
    mapped and normalised as the modules of the directory say; a model with a head gets the outputs of that head.

    Args:
        folder: a directory that `from_pretrained` loads, with a tokenizer.
        target: the directory to write.
        fp16: write a graph with fp16 weights, too.
        overwrite: replace a directory that is not empty.

    Raises:
        ValueError: the target may not be written, a package is missing, a module or head is not known, or outputs
            differ.
    """
    require("onnx", "onnx", "onnxruntime", "onnxscript")
    check_model(encoder_folder(folder))
    with staged_directory(target, inputs={"DIR": folder}, overwrite=overwrite) as stage:
        return _write(folder, stage, target, fp16=fp16)


def _write(folder: Path, stage: Path, target: Path, *, fp16: bool) -> ServerDirectory:
    encoder, notes = encoder_folder(folder), []
    ending = _head(folder, encoder)
    tokenizer = read_tokenizer(encoder)
    if ending:
        modules, exportable = None, open_task_model(encoder)
    else:
        modules = read_modules(folder)
        if not modules.pools_all:
            notes.append(
                f"no {VECTORS}: the directory leaves the tokens of prompts out of the pooling (include_prompt), which "
                "a graph cannot; pool last_hidden_state as 1_Pooling says"
            )
        exportable = open_encoder(encoder, modules.vectors() if modules.pools_all else None)
    max_length = _prepare_tokenizer(encoder, tokenizer, exportable, modules)
    texts = _batches(exportable, tokenizer)
    (stage / "onnx").mkdir()
    files = _write_graphs(folder, stage / "onnx", exportable, texts, fp16=fp16)
    notes += [
        f"onnx/{file.name}: its vectors are far from the model's on some texts; serve onnx/{NAMES['fp32']}"
        for file in files
        if file.worst_cosine is not None and not file.worst_cosine >= LOW_COSINE
    ]
    external = {file.name: 1 for file in files if (stage / "onnx" / f"{file.name}{DATA}").exists()}
    write_json(stage / "config.json", engine_config(encoder, exportable.model.config, ending, external=external))
    segments = "token_type_ids" in exportable.inputs
    write_tokenizer(stage, tokenizer, max_length=max_length, segments=segments, source=encoder)
    width = int(exportable.model.config.hidden_size)
    if modules is not None:
        write_sentence_files(stage, modules, width=width, max_length=max_length)
    done = ServerDirectory(
        path=str(target),
        opset=OPSET,
        inputs=exportable.inputs,
        outputs=_shapes(stage / "onnx" / NAMES["fp32"]),
        pooling=modules.describe() if modules and modules.pools_all else None,
        max_length=max_length,
        texts=sum(len(batch["input_ids"]) for batch in texts),
        files=files,
        notes=notes,
    )
    write_card(stage, folder, done, modules)
    return done


def _head(folder: Path, encoder: Path) -> str:
    """Return the end of the name of the class whose head is exported; nothing for an encoder.

    Raises:
        ValueError: no server takes the inputs or the outputs of the class.
    """
    kind = sentence_class(folder)
    if kind == CLASSES[2]:
        raise ValueError(
            f"{folder}: a {kind}, whose sparse vectors no graph here returns; expected {', '.join(CLASSES[:2])}"
        )
    name = next(iter(read_config(encoder).architectures or []), "")
    if kind != CLASSES[0] and name.endswith(REFUSED):
        raise ValueError(
            f"{folder}: {name}, whose inputs or outputs no server knows; expected an encoder or one of "
            f"{', '.join(HEADS)}; without --for it is written as one ONNX file"
        )
    return next((end for end in HEADS if kind != CLASSES[0] and name.endswith(end)), "")


def _prepare_tokenizer(
    folder: Path, tokenizer: PreTrainedTokenizerBase, exportable: Exportable, modules: SentenceModules | None
) -> int:
    """Let a tokenizer cut, pad and lower as the directory says, and return how many tokens a text may have."""
    if not tokenizer.is_fast:
        raise ValueError(f"{folder}: {type(tokenizer).__name__} is no fast tokenizer; save it as tokenizer.json first")
    if tokenizer.pad_token is None:
        raise ValueError(f"{folder}: the tokenizer has no padding token, which servers need for batches; give it one")
    backend: Any = tokenizer.backend_tokenizer
    one = backend.encode("a b c")
    check_ids(exportable.model, tokenizer, as_numbers({"ids": [one.ids]})["ids"])
    if "token_type_ids" in exportable.inputs and any(one.type_ids):
        raise ValueError(
            f"{folder}: the tokenizer puts one text into the segments {sorted(set(one.type_ids))}, expected segment 0 "
            "only, which is what servers send"
        )
    if modules and modules.lowercase:
        _lower(backend)
    longest = longest_input(exportable.model, tokenizer)
    max_length = min(modules.max_length or longest, longest) if modules else longest
    backend.enable_truncation(max_length, direction=tokenizer.truncation_side)
    backend.enable_padding(
        direction=tokenizer.padding_side, pad_id=tokenizer.pad_token_id, pad_token=str(tokenizer.pad_token)
    )
    return max_length


def _lower(backend: Any) -> None:  # noqa: ANN401  its normalizer is one, or a sequence that is not typed as iterable
    normalizer = backend.normalizer
    several = isinstance(normalizer, Normalizers)
    steps: list[Normalizer] = [normalizer[place] for place in range(len(normalizer))] if several else [normalizer]
    backend.normalizer = Normalizers([Lowercase(), *(step for step in steps if step is not None)])


def sample_texts() -> list[str]:
    """Return the texts that precisions are compared on: short and long ones, in ten languages, and code."""
    return resources.files("hf_embeddings.exporting").joinpath("texts.txt").read_text(encoding="utf-8").splitlines()


def _batches(exportable: Exportable, tokenizer: PreTrainedTokenizerBase) -> list[Inputs]:
    """Return the sample texts as the tokenizer of the directory writes them, padded in batches."""
    backend: Tokenizer = tokenizer.backend_tokenizer
    texts, batches = sample_texts(), []
    for start in range(0, len(texts), TEXTS_PER_BATCH):
        rows: Sequence[Any] = backend.encode_batch(texts[start : start + TEXTS_PER_BATCH])
        columns = {
            "input_ids": [row.ids for row in rows],
            "attention_mask": [row.attention_mask for row in rows],
            "token_type_ids": [row.type_ids for row in rows],
        }
        batches.append(exportable.select(as_numbers(columns)))
    return batches


def _write_graphs(
    folder: Path, stage: Path, exportable: Exportable, texts: list[Inputs], *, fp16: bool
) -> list[ServerFile]:
    examples = [exportable.example(2, 16), exportable.example(3, 9, left=True), exportable.example(1, 5)]
    whole = stage / NAMES["fp32"]
    files = []
    precisions: list[WeightPrecision] = ["fp32", "int8", "fp16"]
    for precision in precisions if fp16 else precisions[:2]:
        path = stage / NAMES[precision]
        if precision == "int8":
            quantize_graph(whole, path)
        else:
            write_precision(exportable, path, precision, example=examples[0], fixed=False)
        found = compare_with_model(exportable, path, examples, texts)
        limit = allowed(exportable, examples[0])
        if math.isnan(found.largest_difference) or (path == whole and not found.largest_difference <= limit):
            raise ValueError(
                f"{folder}: the {precision} outputs differ by {found.largest_difference:.2g}, expected at most "
                f"{limit:.2g}"
            )
        size = sum(file.stat().st_size for file in files_of(path))
        files.append(
            ServerFile(
                path.name,
                precision,
                size,
                found.largest_difference,
                found.text_difference or 0.0,
                found.worst_cosine,
                found.mean_cosine,
            )
        )
    return files


def _shapes(path: Path) -> dict[str, list[str | int]]:
    """Return the shape of each output of a graph."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    return {
        output.name: [axis.dim_param or axis.dim_value for axis in output.type.tensor_type.shape.dim]
        for output in graph.output
    }
