"""Every recipe in configs/pretraining starts and trains; made small, it stays what it says it is."""

import json
import math
import random
import re
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from huggingface_hub import ModelCard
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertTokenizer

from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.modeling_triembed import (
    TriEmbedForPreTraining,
    TriEmbedForSequenceClassification,
    TriEmbedModel,
)
from hf_embeddings.pretraining.options import PositionLabOptions, PretrainingOptions
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.pretraining.run import pretrain
from hf_embeddings.publishing.card import write_card
from hf_embeddings.records.run import RunFigures
from hf_embeddings.typed_yaml.options_file import read_options

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "configs/pretraining").glob("*.yaml"))
SMALL = (
    "tokenizer.vocab_size=300 training.max_steps=4 training.tokens_per_step=512 training.evaluation_examples=20 "
    "training.tensorboard=false training.max_hours=null corpus.evaluation_fraction=0.25"
).split()
SHORT_PHASES = {
    "long": [
        "training.phases=[{steps: 2, max_length: 32, schedule: constant}, {steps: 2, schedule: sqrt, rope_theta: 4e4}]",
        "examples.max_length=64",
    ]
}
SMALLER_MODEL = "model.hidden_size=32 model.num_attention_heads=2 model.intermediate_size=32".split()
ENGLISH = "Text {n} is here. It has a number, {m}. Is it red or blue? The end of {n}."
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
CHINESE = [
    "第{n}回开始了。",
    "这里有一个数字，{m}。",
    "是红的还是蓝的？",
    "第{n}回完。",
    "他说：好！",
    "天下大势，分久必合。",
]


@pytest.fixture(autouse=True)
def no_accelerator() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)  # recipes differ in their precision


def needs(recipe: str) -> None:
    """Skip a recipe whose extra is not installed."""
    if recipe == "chinese":
        pytest.importorskip("icu4py", reason="no ICU here: pip install 'hf-embeddings[words]'")


def train(recipe: str, folder: Path, *overrides: str) -> tuple[PretrainingOptions, RunFigures]:
    needs(recipe)
    # Sentences in any order: were it the same everywhere, their surface would tell it, and it would not be asked for.
    orders = [random.Random(n).sample(CHINESE, len(CHINESE)) for n in range(80)]
    texts = ["".join(order) if recipe == "chinese" else ENGLISH for order in orders]
    texts = "\n\n".join(text.format(n=n, m=n * n) for n, text in enumerate(texts))
    (folder / "texts.txt").write_text(texts, encoding="utf-8")
    kind = PositionLabOptions if recipe == "position-lab" else PretrainingOptions
    file = ROOT / f"configs/pretraining/{recipe}.yaml"
    name = "sequences.faa" if recipe == "protein" else "texts.txt"
    if recipe == "protein":
        sequences = (f">p{n}\n{''.join(random.Random(n).choices(AMINO_ACIDS, k=40))}" for n in range(80))
        (folder / name).write_text("\n".join(sequences), encoding="utf-8")
    places = [f"corpus.source={folder}/{name}", f"output_dir={folder}/{recipe}"]
    if recipe == "multilingual":
        (folder / "other.txt").write_text(texts.replace("Text", "Texte").replace("number", "Zahl"), encoding="utf-8")
        places[0] = f"corpus.sources=[{{source: {folder}/texts.txt}}, {{source: {folder}/other.txt}}]"
    options = read_options(kind, file, [*SMALL, *places, *SHORT_PHASES.get(recipe, []), *overrides])
    outcome = pretrain(options, base_config=ROOT / options.model.base)
    assert outcome.state == "done" and outcome.figures is not None
    return options, outcome.figures


@pytest.mark.parametrize("recipe", [path.stem for path in RECIPES if path.stem != "continue"])
def test_a_recipe_trains(recipe: str, tmp_path: Path) -> None:
    _, figures = train(recipe, tmp_path, *SMALLER_MODEL)
    assert figures.training_steps == 4
    predictor = tmp_path / recipe / "generator" if recipe == "rtd" else tmp_path / recipe
    name = "generator" if recipe == "rtd" else "mlm"
    assert 0 < figures.held_out[name].loss < 2 * math.log(300)
    assert AutoModelForMaskedLM.from_pretrained(predictor).get_input_embeddings().embedding_dim == 32


@pytest.mark.parametrize(
    "recipe, optimizer, objectives, language",
    [
        ("bert-classic", "AdamW, peak learning rate 0.001", "mlm + nsp", "en"),
        ("demo", "AdamW, peak learning rate 0.001", "mlm + 3 nsp", "en"),
        ("modern", "Muon on the encoder's matrices, peak learning rate 0.005; AdamW on all else", "mlm + 4 nsp", "en"),
    ],
)
def test_the_card_of_a_recipe_is_true(
    recipe: str, optimizer: str, objectives: str, language: str, tmp_path: Path
) -> None:
    options, figures = train(recipe, tmp_path, *SMALLER_MODEL)
    folder = tmp_path / recipe
    write_card(folder)
    card = ModelCard.load(folder / "README.md")
    order = options.examples.objectives[-1]
    assert card.data.language == [language]
    assert {"mlm", order} <= set(card.data.tags) and card.data.datasets is None
    results = {result.metric_name: result.metric_value for result in card.data.eval_results}
    words = {"nsp": "Next sentence prediction accuracy", "sop": "Sentence order prediction accuracy"}[order]
    assert results[words] == round(figures.held_out[order].accuracy, 4) and len(results) == 3
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in card.text.splitlines() if line.startswith("|")
    ]
    rows = {cell[0]: cell[1] for cell in cells if len(cell) == 2}
    assert rows["optimizer"].startswith(optimizer) and rows["objectives"] == objectives
    assert rows["number format"] == figures.precision
    assert rows["training documents"] == str(
        json.loads((folder / "pretraining.json").read_text())["corpus"]["training_documents"]
    )
    assert "Corpus: `texts.txt`" in card.text
    assert rows["batch"] == "512 tokens per optimizer step"


def test_a_corpus_of_several_sources_is_named_in_full(tmp_path: Path) -> None:
    """And a language that nobody has named is not English."""
    for name in "ab":
        texts = "\n\n".join(ENGLISH.format(n=n, m=f"{name}{n}") for n in range(60))
        (tmp_path / f"{name}.txt").write_text(texts, encoding="utf-8")
    sources = "".join(f"\n  - source: {tmp_path}/{name}.txt" for name in "ab")
    recipe = (ROOT / "configs/pretraining/demo.yaml").read_text(encoding="utf-8")
    recipe = recipe.replace("  source: pydoc:torch,transformers,numpy", f"  sources:{sources}").split("card:")[0]
    (tmp_path / "run.yaml").write_text(recipe, encoding="utf-8")
    options = load_options(tmp_path / "run.yaml", [*SMALL, *SMALLER_MODEL, f"output_dir={tmp_path}/run"])
    pretrain(options, base_config=ROOT / options.model.base)
    write_card(tmp_path / "run")
    card = ModelCard.load(tmp_path / "run/README.md")
    assert card.data.language is None and "Corpus: `a.txt, b.txt`" in card.text
    assert "It knows what `a.txt, b.txt` holds and little else" in card.text


def test_every_recipe_says_what_it_does_how_to_start_it_and_what_to_expect() -> None:
    for path in RECIPES:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# What: ") and any(line.startswith("# Start: hf-embeddings ") for line in lines)
        assert any(line.startswith("# Expect: ") for line in lines), path


def test_pretraining_goes_on_from_a_checkpoint(tmp_path: Path, capfd) -> None:
    """Its weights and tokenizer are taken over: at a learning rate of nearly 0 the held-out loss is what it was."""
    _, before = train("demo", tmp_path, *SMALLER_MODEL, "training.max_steps=30")
    first = tmp_path / "demo"
    _, after = train("continue", tmp_path, f"model.base={first}", "training.learning_rate=1e-30")
    loss = after.held_out["mlm"].loss
    assert loss == pytest.approx(before.held_out["mlm"].loss, abs=2e-2)  # bf16
    told = re.search(r"held-out before: mlm loss ([0-9.]+)", capfd.readouterr().err)
    assert told and float(told[1]) == pytest.approx(loss, abs=2e-2)
    tokenizers = [AutoTokenizer.from_pretrained(folder).get_vocab() for folder in (first, tmp_path / "continue")]
    assert tokenizers[0] == tokenizers[1]


@pytest.mark.parametrize(
    "override, message",
    [
        ("model.hidden_size=64", r"has shape .* in .*, and .* with the fields of `model`; remove"),
        ("model.position_embedding_type=rope+kerple", "missing weights"),
        ("tokenizer.path=elsewhere", "beside the checkpoint"),
        ("examples.max_length=256", "max_position_embeddings"),
    ],
)
def test_what_does_not_fit_the_checkpoint_is_refused(override: str, message: str, tmp_path: Path) -> None:
    train("demo", tmp_path, *SMALLER_MODEL)
    with pytest.raises(ValueError, match=message):
        train("continue", tmp_path, f"model.base={tmp_path}/demo", override)
    assert not (tmp_path / "continue").exists()


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    train("demo", tmp_path, *SMALLER_MODEL)
    model = TriEmbedForPreTraining.from_pretrained(tmp_path / "demo")
    with torch.no_grad():
        next(iter(model.parameters()))[0] = torch.nan
    model.save_pretrained(tmp_path / "demo")
    with pytest.raises(ValueError, match="model.base: .*/demo: the weight .* NaN"):
        train("continue", tmp_path, f"model.base={tmp_path}/demo")
    assert not (tmp_path / "continue").exists()


def test_the_tokenizer_is_compared_with_the_rows_of_the_model(tmp_path: Path, capfd) -> None:
    train("demo", tmp_path, *SMALLER_MODEL)

    def with_rows(rows: int) -> None:
        config = TriEmbedConfig.from_pretrained(tmp_path / "demo", vocab_size=rows)
        TriEmbedForPreTraining(config).save_pretrained(tmp_path / "demo")
        train("continue", tmp_path, f"model.base={tmp_path}/demo")

    with pytest.raises(ValueError, match=r"tokenizer of .*/demo needs \d+ rows, its model has 64"):
        with_rows(64)
    assert not (tmp_path / "continue").exists()
    with_rows(1024)
    assert "/demo has 1,024 rows (vocab_size), its tokenizer" in capfd.readouterr().err


def test_other_models_are_converted_first(tmp_path: Path) -> None:
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert/config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="expected 'triembed'; convert it first: hf-embeddings convert"):
        train("continue", tmp_path, f"model.base={tmp_path}/bert")


def base_of_sentence_transformers(folder: Path, class_name: str) -> Path:
    """Write an encoder with a tokenizer, modules of sentence-transformers and a card, and no head."""
    texts = "\n\n".join(ENGLISH.format(n=n, m=n * n) for n in range(80))
    (folder / "texts.txt").write_text(texts, encoding="utf-8")
    base, words = folder / "minilm", sorted({*"[PAD] [UNK] [CLS] [SEP] [MASK]".split(), *texts.lower().split(), "."})
    config = TriEmbedConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        pad_token_id=words.index("[PAD]"),
    )  # fmt: skip
    model = {"SentenceTransformer": TriEmbedModel, "CrossEncoder": TriEmbedForSequenceClassification}[class_name](
        config
    )
    model.save_pretrained(base)
    BertTokenizer(vocab={word: n for n, word in enumerate(words)}, model_max_length=256).save_pretrained(base)
    transformer = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    pooling = {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
    normalize = {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
    (base / "1_Pooling").mkdir()
    files = {
        "modules.json": [transformer, pooling, normalize],
        "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True},
        "sentence_bert_config.json": {"max_seq_length": 256},
        "config_sentence_transformers.json": {"model_type": class_name},
    }
    for name, told in files.items():
        (base / name).write_text(json.dumps(told))
    front = "license: other\nlicense_name: theirs\nlanguage: en\nbase_model: user/minilm"
    (base / "README.md").write_text(f"---\n{front}\n---\n\n# MiniLM\n")
    return base


def test_what_lies_beside_a_checkpoint_is_carried_over_or_named(tmp_path: Path, capfd) -> None:
    base = base_of_sentence_transformers(tmp_path, "SentenceTransformer")
    train("continue", tmp_path, f"model.base={base}", "examples.max_length=32")
    said, folder = capfd.readouterr().err, tmp_path / "continue"
    assert "carried over from minilm: modules.json" in said and "minilm has no predictions" in said
    assert "(through predictions, new and random: no measure of minilm)" in said
    model = SentenceTransformer(str(folder))
    assert [type(module).__name__ for module in model] == ["Transformer", "Pooling", "Normalize"]
    assert model.max_seq_length == 256
    write_card(folder)
    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.base_model, card.data.language) == ("other", "user/minilm", None)
    assert card.data.license_name == "theirs" and card.data.library_name == "sentence-transformers"
    assert "pretrained further from `minilm`" in card.text and "| random at first | `predictions`" in card.text


def test_a_head_that_is_not_kept_is_named(tmp_path: Path, capfd) -> None:
    base = base_of_sentence_transformers(tmp_path, "CrossEncoder")
    told = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(told | {"sentence_transformers": {"version": "5"}}))
    train("continue", tmp_path, f"model.base={base}", "examples.max_length=32")
    assert "not carried over from minilm: classifier, modules.json" in capfd.readouterr().err
    assert not (tmp_path / "continue/modules.json").exists()
    assert "sentence_transformers" not in json.loads((tmp_path / "continue/config.json").read_text())


def test_a_card_without_a_license_names_none(tmp_path: Path) -> None:
    train("demo", tmp_path, *SMALLER_MODEL)
    write_card(tmp_path / "demo")
    assert ModelCard.load(tmp_path / "demo/README.md").data.license is None


@pytest.mark.parametrize("unit", ["token", "word"])
def test_ids_with_gaps_have_rows(unit: str, tmp_path: Path) -> None:
    """A vocabulary that was edited by hand: its highest id is above the number of its tokens."""
    train("demo", tmp_path, *SMALLER_MODEL)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "demo")
    content = json.loads((tmp_path / "demo/tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    content["model"]["vocab"] = {p: n if n < 20 else n + 1000 for p, n in vocabulary.items()}
    folder = tmp_path / "gaps"
    tokenizer.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    _, figures = train(
        "bert-classic", tmp_path, *SMALLER_MODEL, f"tokenizer.path={folder}", f"examples.masking_unit={unit}"
    )
    rows = TriEmbedConfig.from_pretrained(tmp_path / "bert-classic").vocab_size
    assert rows > max(content["model"]["vocab"].values()) > 1000 and math.isfinite(figures.held_out["mlm"].loss)
