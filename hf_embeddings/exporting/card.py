"""The README.md of a directory for servers: its files, how near each is to the model, and a snippet for each engine."""

from pathlib import Path
from typing import Any

import yaml

from hf_embeddings.exporting.exportable import VECTORS
from hf_embeddings.exporting.report import ServerDirectory
from hf_embeddings.exporting.sentence_modules import SentenceModules
from hf_embeddings.files.reading import parse_yaml, read_text
from hf_embeddings.loading.card_metadata import front_matter

CARRIED = ("language", "license", "license_name", "license_link", "base_model", "datasets", "pipeline_tag")
PLAIN = """```python
import numpy, onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("DIR/tokenizer.json")  # it cuts and pads by itself
session = onnxruntime.InferenceSession("DIR/onnx/model.onnx")
rows = tokenizer.encode_batch(["A text.", "Another one."])
columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
names = [node.name for node in session.get_inputs()]
inputs = {name: numpy.array([getattr(row, columns[name]) for row in rows]) for name in names}
print(session.run(["OUTPUT"], inputs)[0].shape)
```"""
FASTEMBED = """```python
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

TextEmbedding.add_custom_model(
    model="NAME", pooling=PoolingType.DISABLED, normalization=False, output_name="sentence_embedding",
    sources=ModelSource(hf="NAME"), dim=WIDTH, model_file="onnx/model.onnx",
)
model = TextEmbedding("NAME", specific_model_path="DIR")
print(len(next(iter(model.embed(["A text."])))))
```"""
SENTENCE_TRANSFORMERS = """```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("DIR", backend="onnx")
print(model.encode(["A text."]).shape)
```"""
TRANSFORMERS_JS = """```javascript
import { AutoModel, AutoTokenizer } from "@huggingface/transformers";

const tokenizer = await AutoTokenizer.from_pretrained("DIR");
const model = await AutoModel.from_pretrained("DIR", { dtype: "fp32" }); // "q8" is onnx/model_quantized.onnx
const { sentence_embedding } = await model(await tokenizer(["A text."], { padding: true, truncation: true }));
console.log(sentence_embedding.dims);
```"""


def write_card(stage: Path, source: Path, done: ServerDirectory, modules: SentenceModules | None) -> None:
    """Write the card of a directory, with the metadata that the card of the model has."""
    name = Path(done.path).name
    metadata = yaml.safe_dump({**_metadata(source), "library_name": "onnx", "tags": ["onnx"]}, allow_unicode=True)
    parts = [f"---\n{metadata}---\n\n# {name}", _summary(done), _files(done), _encoding(done, modules), *_use(done)]
    parts += [f"Note: {note}." for note in done.notes]
    text = "\n\n".join(part for part in parts if part) + "\n"
    (stage / "README.md").write_text(text, encoding="utf-8", newline="\n")


def _metadata(source: Path) -> dict[str, Any]:
    path = source / "README.md"
    if not path.is_file():
        return {}
    present = parse_yaml(front_matter(read_text(path)) or "", path)
    return {key: present[key] for key in CARRIED if key in present} if isinstance(present, dict) else {}


def _summary(done: ServerDirectory) -> str:
    inputs = ", ".join(f"`{name}`" for name in done.inputs)
    return (
        f"ONNX for embedding servers, exported with hf-embeddings. Opset {done.opset}; inputs {inputs} of int64 "
        f"(batch_size, sequence_length), any sizes; outputs of fp32: {done.shapes}."
    )


def _files(done: ServerDirectory) -> str:
    rows = [
        f"| `onnx/{file.name}` | {file.precision} | {file.size / 1e6:,.1f} MB "
        f"| {_cosines(file.worst_cosine, file.mean_cosine)} | {file.text_difference:.2g} |"
        for file in done.files
    ]
    head = "| file | weights | size | cosine, worst and mean | largest difference |\n|---|---|---:|---|---:|"
    return (
        "\n".join([head, *rows]) + f"\n\nBeside the model in fp32, on {done.texts} texts in ten languages, of which a "
        "model may know only some: measure 8-bit weights on your own task before you serve them."
    )


def _cosines(worst: float | None, mean: float | None) -> str:
    return "" if worst is None or mean is None else f"{worst:.5f}, {mean:.5f}"


def _encoding(done: ServerDirectory, modules: SentenceModules | None) -> str:
    lines = [f"At most {done.max_length:,} tokens; `tokenizer.json` cuts and pads."]
    if done.pooling:
        lines.append(f"`{VECTORS}` is the last hidden state -> {done.pooling}.")
    if modules and any(modules.prompts.values()):
        prompts = ", ".join(f"`{name}` is `{text}`" for name, text in modules.prompts.items() if text)
        lines.append(f"Prompts are put before a text by the caller: {prompts}.")
    return " ".join(lines)


def _use(done: ServerDirectory) -> list[str]:
    output = VECTORS if VECTORS in done.outputs else next(iter(done.outputs))
    snippets = [PLAIN]
    if VECTORS in done.outputs:
        snippets += [FASTEMBED, SENTENCE_TRANSFORMERS, TRANSFORMERS_JS]
    width = done.outputs[output][-1]
    values = {"DIR": "PATH", "OUTPUT": output, "NAME": Path(done.path).name, "WIDTH": str(width)}
    return [_filled(snippet, values) for snippet in snippets]


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text
