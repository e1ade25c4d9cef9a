"""The readers of what people give: for each a good file, and the function of the package that reads it."""

import gzip
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import torch
import yaml
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch.utils.tensorboard import SummaryWriter
from transformers import PreTrainedTokenizerFast

from hf_embeddings.cli.vocabulary import _vectors, _words
from hf_embeddings.conversion.checkpoints import open_checkpoint
from hf_embeddings.conversion.checkpoints import read_json_object as read_json_of_a_checkpoint
from hf_embeddings.corpora.sources import read_described_documents
from hf_embeddings.corpora.tokenizer import load_tokenizer
from hf_embeddings.corpora.word_pairs import read_word_pairs
from hf_embeddings.evaluation import test_sets, word_lists
from hf_embeddings.evaluation.beir_folder import read_beir
from hf_embeddings.evaluation.inspection import inspect_model
from hf_embeddings.files import manifest
from hf_embeddings.files.reading import read_bytes
from hf_embeddings.files.shards import Shard, write_shard
from hf_embeddings.loading.saved_model import read_config, read_tokenizer
from hf_embeddings.loading.sentence_models import sentence_class, sentence_files
from hf_embeddings.loading.stored_weights import stored_shapes
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedModel
from hf_embeddings.pretraining.checkpoints.facts import CheckpointFacts
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.pretraining.prepared.facts import CorpusFacts
from hf_embeddings.publishing.card import make_card, write_card
from hf_embeddings.publishing.checkpoint import Checkpoint
from hf_embeddings.records.embedding import EmbeddingFigures
from hf_embeddings.records.evaluation import EvaluationReport
from hf_embeddings.records.lab import LabRecord
from hf_embeddings.records.run import RunFigures
from hf_embeddings.search.fingerprint import model_fingerprint
from hf_embeddings.search.index import Index
from hf_embeddings.search.recipe_files import read_recipe
from hf_embeddings.search.records import Condition, Record
from hf_embeddings.search.settings import IndexSettings
from hf_embeddings.search.source_records import read_records
from hf_embeddings.uploads.listing import list_uploads
from tests.embedding.sample import EMBEDDING
from tests.evaluation.test_beir_folder import beir
from tests.publishing.test_card import FIGURES, REPORT, checkpoint
from tests.test_records import CHECKPOINT, CORPUS, LAB
from tests.uploads.test_listing import NODE, PIECE, SVG, png, protocol_buffer

SCALARS = {"text": "a b c", "id": "one", "year": 2020, "weights": [0.5, {"of": "what"}], "title": "A"}
SIZES = {"vocab_size": 32, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
SIZES |= {"num_hidden_layers": 1, "max_position_embeddings": 32}
ROTARY = SIZES | {"position_embedding_type": "rope", "rope_parameters": {"rope_theta": 9.0}}
ORIGIN = {"made": "converted", "base_model": "a/b", "language": "en", "license": "mit"}
CELLS = b'text,id,year,weights\n"a ""b"",\nc",1,2020,what\nd e,2,2021,what\n'
VECTORS = np.eye(4, dtype="f4")


@dataclass
class Reader:
    """A file of a user, and what reads it."""

    path: Path
    read: Callable[[], object]
    mutated: Any = None  # the value whose JSON is mutated; None: the bytes of the file are
    optional: bool = False  # whether nothing need stand there
    named: bool = True  # whether a refusal names the file


def written(path: Path, content: bytes | str | dict | list) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = content if isinstance(content, bytes | str) else json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def documents(path: Path) -> list[object]:
    """Read a file of documents as `index` does, with a condition on each."""
    conditions = [Condition.parse("year>=2000"), Condition.parse("weights~what"), Condition.parse("year=2020")]
    read = read_described_documents(str(path))
    kept = (document for document in read if all(one.holds(document.metadata) for one in conditions))
    return list(read_records(kept, "id", Counter()))


def corpus(name: str, content: bytes) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        path = written(folder / name, content)
        return Reader(path, lambda: documents(path))

    return make


def parquet(folder: Path) -> Reader:
    rows = [SCALARS | {"weights": [0.5], "text": f"{number} words"} for number in range(3)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "documents.parquet")
    return Reader(folder / "documents.parquet", lambda: documents(folder / "documents.parquet"))


def saved_dataset(name: str) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        datasets.Dataset.from_dict({"text": ["a b", "c d"]}).save_to_disk(folder / "saved")
        return Reader(folder / "saved" / name, lambda: documents(folder / "saved"), named=False)

    return make


def options(mutated: bool) -> Callable[[Path], Reader]:
    value = {"output_dir": "~/run", "model": {"base": "tiny.json", "layer_types": ["full_attention"]}}
    value |= {"corpus": {"source": "a.txt", "evaluation_fraction": 0.1}, "training": {"max_steps": 10, "stages": []}}

    def make(folder: Path) -> Reader:
        path = written(folder / "options.yaml", yaml.safe_dump(value))
        return Reader(path, lambda: load_options(path), value if mutated else None)

    return make


def model(folder: Path) -> Path:
    """A small model of random weights, with a tokenizer, as sentence-transformers has it."""
    torch.manual_seed(0)
    TriEmbedModel(TriEmbedConfig(**SIZES, position_embedding_type="rope")).save_pretrained(folder)
    pieces = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##a"]
    backend = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.pre_tokenizer, backend.normalizer = pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer()
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(folder)
    written(folder / "model.safetensors.index.json", {"weight_map": {"a": "model.safetensors"}})
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate((("Transformer", ""), ("Pooling", "1_Pooling")))
    ]
    written(folder / "modules.json", modules)
    written(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True})
    written(folder / "sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": False})
    settings = {"prompts": {"query": "q: "}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    written(folder / "config_sentence_transformers.json", settings)
    return folder


def of_model(name: str, read: Callable[[Path], object], **facts: Any) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        path = model(folder) / name
        mutated = json.loads(path.read_bytes()) if name.endswith(".json") else None
        return Reader(path, lambda: read(folder), mutated, **facts)

    return make


def recipe(folder: Path) -> None:
    sentence_class(folder)
    sentence_files(folder)
    read_recipe(folder)


def of_card(name: str, content: bytes | str | dict) -> Callable[[Path], Reader]:
    """A file beside a checkpoint, of which the model card is made."""

    def make(folder: Path) -> Reader:
        checkpoint(folder, "TriEmbedModel")
        if name not in ("pretraining.yaml", "pretraining.json"):
            (folder / "pretraining.yaml").unlink()  # the slowest to read
        if name == "README.md":
            write_card(folder)
        path = folder / name
        if content:
            written(path, content)

        def read() -> object:
            text = path.read_text(errors="replace") if name == "README.md" and path.is_file() else None
            return write_card(folder) if text is None else make_card(Checkpoint(folder), text)

        return Reader(path, read, content if isinstance(content, dict) else None, optional=True, named=False)

    return make


def events(folder: Path) -> Reader:
    checkpoint(folder, "TriEmbedModel")
    with SummaryWriter(folder / "tensorboard") as writer:
        writer.add_scalar("training/mlm_loss", 1.0, 1)
    (path,) = (folder / "tensorboard").iterdir()
    return Reader(path, lambda: Checkpoint(folder).curves(), optional=True, named=False)


def record(kind: type, value: dict) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        path = written(folder / "record.json", value)
        return Reader(path, lambda: kind.load(path), value)

    return make


def sealed(kind: Any, value: dict) -> Callable[[Path], Reader]:
    """A manifest, whose mutations are sealed anew where they are JSON, as by a later version or another program."""

    def make(folder: Path) -> Reader:
        written(folder / "data", b"data")
        manifest.seal_directory(folder, value)

        def read() -> None:
            path = folder / manifest.MANIFEST
            facts = None if not path.is_file() else _object(path.read_bytes())
            if facts is not None and "sha256" not in facts:
                path.unlink()
                manifest.seal_directory(folder, facts)
            kind.from_dict(manifest.check_manifest(folder).facts)

        return Reader(folder / manifest.MANIFEST, read, value)

    return make


def _object(data: bytes) -> dict | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return {str(key): inner for key, inner in value.items() if key != "files"} if isinstance(value, dict) else None


def shard(folder: Path) -> Reader:
    write_shard(folder / "a.safetensors", {"tokens": np.arange(6, dtype="u2"), "starts": np.eye(3, dtype="i8")})

    def read() -> None:
        opened = Shard(folder / "a.safetensors")
        opened.rows("starts", 0, 2)
        opened["tokens"].sum()

    return Reader(folder / "a.safetensors", read)


def index(name: str) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        place = folder / "index"
        with Index.create(place, 4, IndexSettings(model="none", recipe={}, precision="fp32")) as created:
            created.add([Record(f"d{number}", "text", SCALARS) for number in range(4)], VECTORS)

        def read() -> None:
            with Index(place) as opened:
                opened.search(VECTORS[0], 2, [Condition.parse("year>=2000")])
                list(opened.iterate())
                opened.verify()

        return Reader(place / name, read, named=False)

    return make


def index_value(table: str) -> Callable[[Path], Reader]:
    """JSON in the database of an index: its settings, or the metadata of a record."""

    def make(folder: Path) -> Reader:
        made = index("records.sqlite")(folder)
        value = {"format": 2, "rows": 4} if table == "settings" else SCALARS

        def read() -> None:
            text = read_bytes(folder / "value").decode("utf-8", "replace")
            with sqlite3.connect(made.path) as connection:
                if table == "settings":
                    parts = _object(text.encode("utf-8", "replace")) or {"rows": text}
                    pairs = [(json.dumps(inner), key) for key, inner in parts.items()]
                    connection.executemany("UPDATE settings SET value = ? WHERE key = ?", pairs)
                else:
                    connection.execute("UPDATE records SET metadata = ? WHERE row = 1", (text,))
            connection.close()
            made.read()

        return Reader(written(folder / "value", value), read, value, named=False)

    return make


def leaving(name: str, content: bytes | str | dict) -> Callable[[Path], Reader]:
    """A file of a folder that is to be published."""

    def make(folder: Path) -> Reader:
        path = written(folder / name, content)

        def read() -> None:
            listed = list_uploads(folder)
            if listed.refused or listed.unknown:
                raise ValueError("refused")

        return Reader(path, read, content if isinstance(content, dict) else None, optional=True, named=False)

    return make


def pickled(folder: Path) -> Reader:
    torch.save({"weight": torch.zeros(2, 3)}, folder / "pytorch_model.bin")
    return Reader(folder / "pytorch_model.bin", lambda: open_checkpoint(folder, allow_pickle=True), named=False)


def at(name: str, content: bytes | str | dict | list, read: Callable[[Path], object]) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        path = written(folder / name, content)
        return Reader(path, lambda: read(path), None if isinstance(content, bytes | str) else content)

    return make


def of_beir(name: str) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        return Reader(beir(folder) / name, lambda: read_beir(folder))

    return make


GROUPS = dict(zip(test_sets.GROUPS, (["a", "b"], ["c", "d"], ["e"], ["f"]), strict=True))
READERS: dict[str, Callable[[Path], Reader]] = {
    "options of YAML": options(False),
    "options of wrong types": options(True),
    "a corpus of text": corpus("a.txt", "Eins zwei.\n\ndrei 文字\r\nvier\n".encode()),
    "a corpus of JSON lines": corpus("a.jsonl", json.dumps(SCALARS).encode() + b'\n{"text": "b", "id": "two"}\n'),
    "a compressed corpus": corpus("a.jsonl.gz", gzip.compress(json.dumps(SCALARS).encode(), mtime=0)),
    "a corpus of CSV": corpus("a.csv", CELLS),
    "a corpus of Parquet": parquet,
    "the state of a saved dataset": saved_dataset("state.json"),
    "the rows of a saved dataset": saved_dataset("data-00000-of-00001.arrow"),
    "an architecture": at("a.json", ROTARY, inspect_model),
    "config.json": of_model("config.json", read_config),
    "config.json to convert": of_model("config.json", lambda folder: read_json_of_a_checkpoint(folder / "config.json")),
    "config.json of an index": of_model("config.json", lambda f: model_fingerprint(str(f)), optional=True),
    "tokenizer.json": of_model("tokenizer.json", lambda f: read_tokenizer(f).backend_tokenizer.encode("a b")),
    "tokenizer_config.json": of_model("tokenizer_config.json", read_tokenizer, optional=True, named=False),
    "tokenizer.json of a run": of_model("tokenizer.json", load_tokenizer, named=False),
    "tokenizer_config.json of a run": of_model("tokenizer_config.json", load_tokenizer, optional=True, named=False),
    "modules.json": of_model("modules.json", recipe, optional=True),
    "the settings of the pooling": of_model("1_Pooling/config.json", recipe, optional=True, named=False),
    "the settings of the encoder": of_model("sentence_bert_config.json", recipe, optional=True, named=False),
    "the settings of a sentence model": of_model(
        "config_sentence_transformers.json", recipe, optional=True, named=False
    ),
    "the header of safetensors": of_model("model.safetensors", stored_shapes, optional=True),
    "an index of weights": of_model("model.safetensors.index.json", stored_shapes, optional=True),
    "weights to convert": of_model("model.safetensors", open_checkpoint),
    "weights of torch": pickled,
    "a shard": shard,
    "the manifest of a checkpoint": sealed(CheckpointFacts, CHECKPOINT),
    "the manifest of a corpus": sealed(CorpusFacts, CORPUS),
    "the figures of a run": record(RunFigures, FIGURES),
    "the report of an evaluation": record(EvaluationReport, REPORT),
    "the figures of a run of embed": record(EmbeddingFigures, EMBEDDING),
    "the record of a lab": record(LabRecord, LAB),
    "the database of an index": index("records.sqlite"),
    "the vectors of an index": index("vectors-1.f32"),
    "the settings of an index": index_value("settings"),
    "the metadata of an index": index_value("records"),
    "a model card": of_card("README.md", ""),
    "the figures beside a card": of_card("pretraining.json", FIGURES),
    "the options beside a card": of_card("pretraining.yaml", ""),
    "the origin beside a card": of_card("origin.json", ORIGIN),
    "the metrics beside a card": of_card("all_results.json", {"eval_accuracy": 0.5, "eval_loss": 1}),
    "the evaluation beside a card": of_card("embedding_evaluation.json", REPORT),
    "the tokenizer beside a card": of_card("tokenizer_config.json", {"mask_token": {"content": "[MASK]"}}),
    "the events of a run": events,
    "scored pairs": at("a.tsv", b"sentence1\tsentence2\tscore\na b\tc d\t0.5\ne\tf\t3\n", test_sets.read_scored_pairs),
    "scored pairs of CSV": at("a.csv", b'a,b,0.5\n"c ""d""",e,3\n', test_sets.read_scored_pairs),
    "scored pairs of JSON lines": at("a.jsonl", {"text1": "a", "text2": "b", "score": 1}, test_sets.read_scored_pairs),
    "analogies": at("questions.txt", b": capitals\na b c d\n# x\n", test_sets.read_analogies),
    "retrieval pairs": at("a.tsv", b"query\tpassage\na\tb c\n", test_sets.read_retrieval),
    "word lists": at("lists.json", {"one": GROUPS}, lambda path: test_sets.read_association_tests(str(path))),
    "words": at("words.txt", b"group: a b\nc\td\ne\n", word_lists.read_words),
    "pairs of words": at("pairs.txt", b"he she\nher his him\n# no\n", lambda path: read_word_pairs([str(path)])),
    "a table of words": at("words.csv", b'word,group,year\na,b,1\n"c d",,2\n', word_lists.read_words),
    "new words": at("words.txt", b"one\ntwo\n", lambda path: _words(str(path))),
    "vectors of words": at("vectors.txt", b"2 2\none 0.5 1\ntwo 1 2e3\n", lambda path: _vectors(str(path))),
    "the corpus of BEIR": of_beir("corpus.jsonl"),
    "the queries of BEIR": of_beir("queries.jsonl"),
    "the judgements of BEIR": of_beir("qrels/test.tsv"),
    "a published picture": leaving("a.png", png((b"tEXt", b"Title\0a picture"))),
    "a published drawing": leaving("a.svg", SVG.format("<g id='a'/>")),
    "a published ONNX model": leaving("model.onnx", NODE.replace(b"/work", b"work.")),
    "a published SentencePiece model": leaving("a.model", protocol_buffer((1, PIECE), (2, PIECE))),
    "a published citation": leaving("CITATION.cff", "title: a\nauthors: [{name: b}]\n"),
    "a published config": leaving("config.json", {"a": [1, {"b": "c"}]}),
    "published code": leaving("layers.py", "def a(b):\n    return [b, 'c']\n"),
    "published merges": leaving("merges.txt", "#version: 0.2\na b\nc d\n"),
}
