"""What loads an export for servers gives the vectors and scores of the model in torch: run by `make servers`.

Each engine runs in a process of its own, with its own releases of what it needs; what is not there is skipped.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import PreTrainedTokenizerFast

from hf_embeddings import TriEmbedConfig, TriEmbedForSequenceClassification
from hf_embeddings.exporting.servers import export_for_servers
from tests.exporting.test_servers import PAIRS, TEXTS, sentence_model
from tests.publishing.test_card import checkpoint

pytestmark = pytest.mark.servers
PLACE = Path(os.environ.get("SERVERS", ".venv/servers")).absolute()
ENGINES = Path(__file__).parent / "engines"
LONG = ["the answer is on the next page . " * 4, "today", ""]  # cut, short and empty
# Of the models that are exported, the position type, the pooling and the tokenizer.
CASES = {
    "rope": ("rope", "mean", "words"),
    "alibi": ("alibi", "cls", "words"),
    "relative_key": ("relative_key", "lasttoken", "words"),
    "unigram": ("fourier", "weightedmean", "unigram"),
    "byte-bpe": ("sinusoidal", "max", "bpe"),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Sentence models and their exports by case, made when they are asked for."""
    made = {}

    def of(case: str) -> tuple[SentenceTransformer, Path]:
        if case not in made:
            folder = tmp_path_factory.mktemp(case)
            position, pooling, tokenizer = CASES[case]
            sentence_model(folder, position=position, pooling=pooling)
            if tokenizer != "words":
                trained_tokenizer(folder / "model", tokenizer)
            export_for_servers(folder / "model", folder / "out", fp16=case == "rope")
            made[case] = SentenceTransformer(str(folder / "model"), device="cpu"), folder / "out"
        return made[case]

    return of


def trained_tokenizer(folder: Path, algorithm: str) -> None:
    """Replace a tokenizer by one of another kind that fits into 16 rows, or refuse the case."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if algorithm == "unigram":
        rest = ["▁", *"aeinsthro."]
        tokenizer = Tokenizer(models.Unigram([(piece, -2.0) for piece in [*pieces, *rest]], unk_id=1))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        rest = ["Ġ", *"aeinsthrow"]
        vocabulary = {piece: number for number, piece in enumerate([*pieces, *rest])}
        tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    for path in (*folder.glob("tokenizer*"), *folder.glob("vocab*"), *folder.glob("special_tokens*")):
        path.unlink()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=8, **special).save_pretrained(folder)


def ask(command: list[str], given: object, *, packages: str | None = None, cwd: Path | None = None) -> np.ndarray:
    """Run an engine on texts or pairs, and return what it prints last; nothing may be printed as a warning."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if packages:
        if not (PLACE / packages).is_dir():
            pytest.skip(f"{PLACE / packages} is missing; run `make servers`")
        environment["PYTHONPATH"] = str(PLACE / packages)
    done = subprocess.run(
        command, input=json.dumps(given), env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return np.array(json.loads(done.stdout.strip().splitlines()[-1]))


def node(folder: Path, *arguments: str, given: object) -> np.ndarray:
    """Run transformers.js."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (PLACE / "node/node_modules/@huggingface/transformers").is_dir():
        pytest.skip("the npm package @huggingface/transformers is missing; run `make servers`")
    script = shutil.copy(ENGINES / "run_transformers_js.mjs", PLACE / "node/run.mjs")  # it looks for packages beside it
    return ask(["node", str(script), str(folder), *arguments], given, cwd=PLACE / "node")


@pytest.mark.parametrize("case", CASES)
def test_fastembed(case: str, exported) -> None:
    model, folder = exported(case)
    script = str(ENGINES / "run_fastembed.py")
    for texts in (TEXTS, LONG):
        command = [sys.executable, script, str(folder), "6", "sentence_embedding", "onnx/model.onnx"]
        np.testing.assert_allclose(ask(command, texts, packages="fastembed"), model.encode(texts), atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_sentence_transformers_onnx_backend(case: str, exported) -> None:
    model, folder = exported(case)
    command = [sys.executable, str(ENGINES / "run_sentence_transformers.py"), str(folder), "SentenceTransformer"]
    for texts in (TEXTS, LONG):
        found = ask([*command, "onnx/model.onnx"], texts, packages="optimum")
        np.testing.assert_allclose(found, model.encode(texts), atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_transformers_js(case: str, exported) -> None:
    model, folder = exported(case)
    for texts in (TEXTS, LONG):
        found = node(folder, "fp32", "sentence_embedding", given=texts)
        np.testing.assert_allclose(found, model.encode(texts), atol=1e-5)


def test_transformers_js_pools_hidden_states_and_reads_each_precision(exported) -> None:
    model, folder = exported("rope")
    hidden = node(folder, "fp32", "mean", given=TEXTS)
    encoded = model.tokenize(TEXTS)
    with torch.no_grad():
        states = model[0](encoded)["token_embeddings"]
    mask = encoded["attention_mask"][..., None]
    expected = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
    np.testing.assert_allclose(hidden, expected.numpy(), atol=1e-5)
    for precision, least in (("q8", 0.9), ("fp16", 0.9999)):
        found = node(folder, precision, "sentence_embedding", given=TEXTS)
        assert ((found * model.encode(TEXTS)).sum(axis=1) > least).all(), precision


def test_rerankers(tmp_path) -> None:
    folder = checkpoint(tmp_path / "made", "TriEmbedModel", "rope")
    torch.manual_seed(0)
    TriEmbedForSequenceClassification(TriEmbedConfig.from_pretrained(folder, num_labels=1)).save_pretrained(folder)
    reranker = CrossEncoder(str(folder), device="cpu", activation_fn=torch.nn.Identity())
    reranker.save(str(tmp_path / "model"))
    export_for_servers(tmp_path / "model", tmp_path / "out")
    expected = reranker.predict(PAIRS)
    command = [sys.executable, str(ENGINES / "run_fastembed_reranker.py"), str(tmp_path / "out"), "onnx/model.onnx"]
    np.testing.assert_allclose(ask(command, PAIRS, packages="fastembed"), expected, atol=1e-5)
    np.testing.assert_allclose(node(tmp_path / "out", "fp32", "score", given=PAIRS)[:, 0], expected, atol=1e-5)
