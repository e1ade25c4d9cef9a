"""Whatever reads a user's value, under damage: it is read, or refused in one line, in bounded memory and time.

About 100 mutations of each in `make test`, 10,000 in `make faults`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil
import pyarrow
import pyarrow.parquet
import pytest
import torch
import yaml
from safetensors.torch import save
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_embeddings.cli.main import main
from hf_embeddings.corpora.sources import read_described_documents
from hf_embeddings.evaluation import test_sets, word_lists
from hf_embeddings.loading.saved_model import read_config, read_tokenizer
from hf_embeddings.loading.stored_weights import stored_shapes
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedModel
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.search.records import Condition
from hf_embeddings.search.source_records import read_records
from tests.conversion.mutations import json_mutations, mutations, read_mutations, write_anew

FEW, FULL = 100, 10_000
SLOWEST = 2.0  # seconds for one input
MOST_BYTES = 512 << 20  # that reading may add to the memory of the process
OURS = (ValueError, OSError)
SCALARS = {"text": "a b c", "id": "one", "year": 2020, "weights": [0.5, {"of": "what"}], "title": "A"}


@pytest.fixture
def survives(times, figures) -> Callable[..., None]:
    """Return a check of a reader, which also writes the figures."""

    def check(what: str, inputs: Callable[[int], Iterable[bytes]], read: Callable[[bytes], object]) -> None:
        memory, count = psutil.Process().memory_info().rss, times(FEW, FULL)
        outcomes, longest = read_mutations(inputs(count), read, OURS, slowest=SLOWEST)
        assert outcomes["refused"] > count / 100, outcomes
        grown = psutil.Process().memory_info().rss - memory
        assert grown < MOST_BYTES
        figures(
            f"F40 mutations of {what}", mutations=count, **outcomes, other_errors=0, slowest_ms=round(1000 * longest)
        )

    return check


def of_json(value: object) -> Callable[[int], Iterable[bytes]]:
    """Return what makes mutations of a value as JSON."""
    return lambda count: json_mutations(value, count)


def of_bytes(data: bytes) -> Callable[[int], Iterable[bytes]]:
    """Return what makes mutations of bytes."""
    return lambda count: mutations(data, count)


def records(path: Path) -> list[object]:
    """Read a file of documents as `index` does, with a condition on each."""
    conditions = [Condition.parse("year>=2000"), Condition.parse("weights~what"), Condition.parse("year=2020")]
    read = read_described_documents(str(path))
    kept = (document for document in read if all(one.holds(document.metadata) for one in conditions))
    return list(read_records(kept, "id", Counter()))


def test_f40_conditions(survives) -> None:
    def read(data: bytes) -> None:
        condition = Condition.parse(data.decode("utf-8", "surrogateescape"))
        for value in (None, 2020, 2**70, 1.5, "text", [1, {"a": None}], True):
            condition.holds({condition.field: value})

    survives("a condition", of_bytes(b"year>=2020.5"), read)


def test_f40_arguments(tmp_path: Path, monkeypatch, survives) -> None:
    words = ["search", str(tmp_path / "index"), "a query", "-k", "3", "--where", "year>=2000", "--precision", "fp32"]

    def read(data: bytes) -> None:
        monkeypatch.setattr("sys.argv", ["hf-embeddings", *data.decode("utf-8", "surrogateescape").split("\0")])
        try:
            main()  # the index is not there
        except SystemExit as left:
            assert left.code in (0, 2)  # of --help, and of a mistake
            if left.code:
                raise ValueError("refused") from None

    survives("arguments", of_bytes("\0".join(words).encode()), read)


def test_f40_options(tmp_path: Path, survives) -> None:
    path = tmp_path / "options.yaml"
    options = {"output_dir": "~/run", "model": {"base": "tiny.json", "layer_types": ["full_attention"]}}
    options |= {"corpus": {"source": "a.txt", "evaluation_fraction": 0.1}, "training": {"max_steps": 10, "stages": []}}

    def read(data: bytes) -> None:
        write_anew(path, data)
        load_options(path)

    survives("YAML options", of_bytes(yaml.safe_dump(options).encode()), read)
    survives("options of wrong types", of_json(options), read)


def test_f40_json_lines(tmp_path: Path, survives) -> None:
    path = tmp_path / "documents.jsonl"

    def read(data: bytes) -> None:
        write_anew(path, data + b"\n" + json.dumps(SCALARS | {"id": "two"}).encode())
        records(path)

    survives("JSON lines", of_json(SCALARS), read)


def test_f40_csv(tmp_path: Path, survives) -> None:
    path = tmp_path / "documents.csv"

    def read(data: bytes) -> None:
        write_anew(path, data)
        records(path)

    survives("CSV", of_bytes(b'text,id,year,weights\n"a ""b"",\nc",1,2020,what\nd e,2,2021,what\n'), read)


def test_f40_parquet(tmp_path: Path, survives) -> None:
    path = tmp_path / "documents.parquet"
    rows = [SCALARS | {"weights": [0.5], "text": f"{number} words"} for number in range(3)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)

    def read(data: bytes) -> None:
        write_anew(path, data)
        list(read_described_documents(str(path)))

    survives("Parquet", of_bytes(path.read_bytes()), read)


def test_f40_config(tmp_path: Path, survives) -> None:
    sizes = {"vocab_size": 32, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    TriEmbedModel(TriEmbedConfig(num_hidden_layers=1, **sizes)).save_pretrained(tmp_path)
    path = tmp_path / "config.json"

    def read(data: bytes) -> None:
        write_anew(path, data)
        read_config(tmp_path)

    survives("config.json", of_json(json.loads(path.read_bytes())), read)


def test_f40_tokenizer(tmp_path: Path, survives) -> None:
    pieces = ["[UNK]", "[PAD]", "a", "b", "c", "##a"]
    model = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    model.pre_tokenizer, model.normalizer = pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer()
    PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"

    def read(data: bytes) -> None:
        write_anew(path, data)
        read_tokenizer(tmp_path).backend_tokenizer.encode("a b c")

    survives("tokenizer.json", of_json(json.loads(path.read_bytes())), read)


def test_f40_safetensors(tmp_path: Path, survives) -> None:
    whole = save({"weight": torch.zeros(2, 3), "bias": torch.zeros(3)})

    def read(data: bytes) -> None:
        write_anew(tmp_path / "model.safetensors", data)
        stored_shapes(tmp_path)

    survives("a safetensors header", of_bytes(whole), read)


EVALUATION = {
    "pairs.tsv": (b"sentence1\tsentence2\tscore\na b\tc d\t0.5\ne\tf\t3\n", test_sets.read_scored_pairs),
    "pairs.csv": (b'a,b,0.5\n"c ""d""",e,3\n', test_sets.read_scored_pairs),
    "pairs.jsonl": (b'{"text1": "a", "text2": "b", "score": 0.5}\n', test_sets.read_scored_pairs),
    "questions.txt": (b": capitals\na b c d\n# x\n", test_sets.read_analogies),
    "retrieval.tsv": (b"query\tpassage\na\tb c\n", test_sets.read_retrieval),
    "words.txt": (b"group: a b\nc\td\ne\n", word_lists.read_words),
}


@pytest.mark.parametrize("name", EVALUATION)
def test_f40_evaluation_files(name: str, tmp_path: Path, survives) -> None:
    data, reader = EVALUATION[name]

    def read(damaged: bytes) -> None:
        write_anew(tmp_path / name, damaged)
        reader(tmp_path / name)

    survives(f"the evaluation file {name}", of_bytes(data), read)


def test_f40_association_tests(tmp_path: Path, survives) -> None:
    groups = dict(zip(test_sets.GROUPS, (["a", "b"], ["c", "d"], ["e"], ["f"]), strict=True))

    def read(damaged: bytes) -> None:
        write_anew(tmp_path / "words.json", damaged)
        test_sets.read_association_tests(str(tmp_path / "words.json"))

    survives("word lists", of_json({"one": groups}), read)
