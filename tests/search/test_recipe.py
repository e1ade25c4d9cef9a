"""A directory's recipe gives the vectors of sentence-transformers, key by key, or is refused by name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.fingerprint import model_fingerprint
from hf_embeddings.search.recipe import Recipe
from hf_embeddings.search.recipe_files import (
    MODULE_KEYS,
    NORMALIZE_KEYS,
    POOLING_KEYS,
    SETTINGS_KEYS,
    TRANSFORMER_FILES,
    TRANSFORMER_KEYS,
    read_recipe,
    recipe_folder,
)

BERT, POOLING, NORMALIZE = "sentence_bert_config.json", "1_Pooling/config.json", "2_Normalize/config.json"
SETTINGS, TOKENIZER, MODULES = "config_sentence_transformers.json", "tokenizer_config.json", "modules.json"
TEXTS = ["the cat runs", "The King Eats a Big Fish", " ".join(["red house", "small dog"] * 20), ""]
PLAIN = {"max_seq_length": 48}
PROMPTS = {"prompts": {"query": "the old house ", "document": "", "passage": "a river "}}
CASED = {"normalizer": {"type": "NFC"}}
TEXT = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}


def pooled(mode: str) -> dict:
    flags = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    return {"word_embedding_dimension": 32} | {f"pooling_mode_{flag}": flag == mode for flag in flags}


# What each file of a directory states, one key or form in each case; others stay as the fixture writes them.
HONOURED = [
    {BERT: PLAIN | {"do_lower_case": True}, TOKENIZER: {"do_lower_case": False}, "tokenizer.json": CASED},
    {BERT: {"do_lower_case": False}},
    {BERT: {"max_seq_length": None}},
    {BERT: {"max_seq_length": 7}},
    *({BERT: {}, name: {"max_seq_length": 9}} for name in TRANSFORMER_FILES[1:]),
    {BERT: {"max_seq_length": 9}, "sentence_roberta_config.json": {"max_seq_length": 20}},
    {
        BERT: {
            "transformer_task": "feature-extraction",
            "modality_config": TEXT,
            "module_output_name": "token_embeddings",
        }
    },
    {BERT: PLAIN | {"unpad_inputs": False}},
    {BERT: PLAIN | {"model_args": {"attn_implementation": "eager"}, "tokenizer_args": {}, "config_args": {}}},
    {BERT: PLAIN | {"model_kwargs": {"add_pooling_layer": False}, "processor_kwargs": {}, "config_kwargs": {}}},
    {BERT: PLAIN | {"query_length": None, "document_length": None, "query_expansion": None, "processing_kwargs": {}}},
    *({POOLING: pooled(mode)} for mode in ("cls_token", "mean_tokens", "max_tokens", "none of them")),
    *({POOLING: {"embedding_dimension": 32, "pooling_mode": mode}} for mode in ("cls", "mean", "max", ["max"])),
    {POOLING: {"embedding_dimension": 32}},
    *({POOLING: pooled(mode) | {"include_prompt": False}, SETTINGS: PROMPTS} for mode in ("cls_token", "mean_tokens")),
    {POOLING: pooled("max_tokens") | {"include_prompt": False}, SETTINGS: PROMPTS | {"default_prompt_name": "passage"}},
    {NORMALIZE: {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}},
    {SETTINGS: PROMPTS},
    {SETTINGS: PROMPTS | {"default_prompt_name": "passage"}},
    {
        SETTINGS: PROMPTS
        | {"default_prompt_name": None, "similarity_fn_name": "dot", "model_type": "SentenceTransformer"}
    },
    {SETTINGS: {"truncate_dim": 5, "__version__": {"sentence_transformers": "5.1.0"}}},
    {SETTINGS: {"truncate_dim": 99, "prompts": {"query": None}, "requirements": {}}},
    {TOKENIZER: {"truncation_side": "left"}},
    {TOKENIZER: {"model_max_length": 11}, BERT: {"do_lower_case": False}},
    {TOKENIZER: {"padding_side": "left"}},
]

REFUSED = [
    ({BERT: PLAIN | {"max_seq_lenght": 7}}, "unknown key 'max_seq_lenght', expected max_seq_length"),
    (
        {BERT: PLAIN | {"transformer_task": "fill-mask"}},
        'transformer_task is "fill-mask", expected "feature-extraction"',
    ),
    ({BERT: {"modality_config": TEXT | {"message": TEXT["text"]}}}, "modality_config is .*message"),
    ({BERT: {"module_output_name": "sentence_embedding"}}, "module_output_name"),
    ({BERT: {"processing_kwargs": {"text": {"max_length": 8}}}}, "processing_kwargs is .*max_length"),
    *(({BERT: PLAIN | {key: 8}}, f"{key} is 8, expected null") for key in ("query_length", "document_length")),
    ({BERT: PLAIN | {"query_expansion": {"strategy": "fixed"}}}, "query_expansion"),
    ({BERT: PLAIN | {"tokenizer_name_or_path": "bert-base"}}, "tokenizer_name_or_path"),
    *(({BERT: PLAIN | {key: {"num_hidden_layers": 2}}}, key) for key in ("model_args", "config_args", "config_kwargs")),
    *(({BERT: PLAIN | {key: {"padding_side": "left"}}}, key) for key in ("tokenizer_args", "processor_kwargs")),
    *(({POOLING: pooled(m)}, f"got pooling {m}") for m in ("mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")),
    ({POOLING: pooled("cls_token") | {"pooling_mode_mean_tokens": True}}, "got pooling cls \\+ mean, expected one of"),
    ({POOLING: {"pooling_mode": ["mean", "max"]}}, "got pooling mean \\+ max"),
    ({POOLING: pooled("cls_token") | {"pooling_mode_first": True}}, "unknown key 'pooling_mode_first'"),
    ({NORMALIZE: {"module_input_name": "token_embeddings"}}, "module_input_name"),
    ({SETTINGS: {"prompt": {}}}, "unknown key 'prompt', expected __version__"),
    ({SETTINGS: {"default_prompt_name": "passage"}}, "default prompt 'passage'"),
    ({SETTINGS: {"similarity_fn_name": "maxsim"}}, "similarity 'maxsim': expected one of cosine, dot"),
    ({SETTINGS: {"model_type": "SparseEncoder"}}, 'model_type is "SparseEncoder"'),
    ({SETTINGS: {"truncate_dim": 0}}, "dimension 0: expected 1 or more"),
    ({SETTINGS: {"truncate_dim": "all"}}, "do not make a recipe"),
    ({SETTINGS: {"requirements": {"transformers": ">=9"}}}, "requirements"),
    ({SETTINGS: {"prompts": {"query": 5}}}, "prompt 'query': got 5, expected a text"),
    ({POOLING: {}}, "1_Pooling.config.json: missing or empty, expected the pooling"),
    ({SETTINGS: []}, "got a list, expected an object"),
    ({MODULES: {}}, "expected a list of objects"),
]


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def state(folder: Path, files: dict) -> None:
    """Write what a case states; the files of the tokenizer have other settings, which stay."""
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        kept = json.loads((folder / name).read_text()) if name.startswith("tokenizer") else {}
        (folder / name).write_text(json.dumps(kept | content if kept else content))


def set_modules(folder: Path, *types: str, **changes: object) -> None:
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{type_.rsplit('.')[-1]}" if i else "", "type": type_}
        for i, type_ in enumerate(types)
    ]
    modules[0] |= changes
    (folder / MODULES).write_text(json.dumps(modules))


@pytest.mark.parametrize("files", HONOURED, ids=json.dumps)
def test_vectors_are_those_of_sentence_transformers(folder: Path, files: dict) -> None:
    state(folder, files)
    theirs, ours = SentenceTransformer(str(folder), device="cpu"), Encoder.load(folder, precision="fp32")
    for prompt, encode in ((None, theirs.encode), ("query", theirs.encode_query), ("document", theirs.encode_document)):
        expected = np.concatenate([encode([text]) for text in TEXTS])
        np.testing.assert_allclose(ours.encode(TEXTS, prompt=prompt), expected, atol=2e-6)


@pytest.mark.parametrize(
    "prefix", ["sentence_transformers.models", "sentence_transformers.sentence_transformer.modules"]
)
@pytest.mark.parametrize("last", [["Normalize"], []])
def test_modules_under_old_and_new_names(folder: Path, prefix: str, last: list[str]) -> None:
    set_modules(folder, *(f"{prefix}.{name}" for name in ("Transformer", "Pooling", *last)))
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS[:2])
    np.testing.assert_allclose(Encoder.load(folder, precision="fp32").encode(TEXTS[:2]), expected, atol=2e-6)


@pytest.mark.parametrize("files, message", REFUSED, ids=lambda case: str(case)[:80])
def test_what_is_not_done_here_is_refused_by_name(folder: Path, files: dict, message: str) -> None:
    state(folder, files)
    with pytest.raises(ValueError, match=message):
        Encoder.load(folder)


@pytest.mark.parametrize(
    "types",
    [
        ("Transformer", "Pooling", "Dense", "Normalize"),
        ("Transformer",),
        ("Transformer", "Normalize", "Pooling"),
        ("Transformer", "Pooling", "Normalize", "Dense"),
        ("Transformer", "Pooling", "Normalize", "Normalize"),
        ("StaticEmbedding", "Pooling"),
    ],
)
def test_other_pipelines_are_refused(folder: Path, types: tuple[str, ...]) -> None:
    set_modules(folder, *(f"sentence_transformers.models.{name}" for name in types))
    with pytest.raises(ValueError, match=f"got the modules .*{types[-1]}, expected Transformer and Pooling"):
        read_recipe(folder)


def test_linear_maps_of_pooled_vectors_are_done(folder: Path) -> None:
    whole = SentenceTransformer(str(folder))
    for place, module in ((2, Dense(32, 24, bias=False, activation_function=torch.nn.Identity())), (3, Dense(24, 12))):
        whole.insert(place, module)
    target = folder.parent / f"{folder.name}-dense"
    whole.save_pretrained(str(target), create_model_card=False)
    encoder = Encoder.load(target, precision="fp32")
    assert (encoder.width, encoder.dimension) == (12, 12)
    np.testing.assert_allclose(encoder.encode(TEXTS), whole.encode(TEXTS), atol=1e-5)
    before = model_fingerprint(str(target))
    place = next(target.glob("3_Dense/*.safetensors"))
    place.write_bytes(place.read_bytes()[:-1] + b"x")
    assert model_fingerprint(str(target)) != before  # an index of other vectors
    with pytest.raises(ValueError, match="got another layer or pooling, expected those that it states"):
        Encoder.load(target, layer=0)
    shutil.copytree(target / "3_Dense", target / "2_Dense", dirs_exist_ok=True)
    with pytest.raises(ValueError, match="2_Dense: takes vectors of 24 features, expected 32"):
        Encoder.load(target)


def test_a_directory_without_its_pooling_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "1_Pooling")
    with pytest.raises(ValueError, match="missing or empty, expected the pooling of the model"):
        read_recipe(folder)


def test_modules_of_others_forward_arguments_and_subfolders_are_refused(folder: Path) -> None:
    set_modules(folder, "custom_st.Transformer", "sentence_transformers.models.Pooling")
    with pytest.raises(ValueError, match=r"got the modules custom_st\.Transformer"):
        read_recipe(folder)
    pair = ("sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling")
    for changes, message in (
        ({"kwargs": ["task"]}, 'kwargs is \\["task"\\]'),
        ({"path": "0_Transformer"}, "got its first module in '0_Transformer', expected it at the top"),
        ({"adapter": 1}, "unknown key 'adapter'"),
    ):
        set_modules(folder, *pair, **changes)
        with pytest.raises(ValueError, match=message):
            read_recipe(folder)
    (folder / MODULES).write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        read_recipe(folder)


def test_every_key_that_sentence_transformers_reads_and_writes_has_a_rule() -> None:
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    assert set(Transformer.config_keys) <= set(TRANSFORMER_KEYS)
    assert {*Pooling.config_keys, *Pooling.config_key_renames} <= set(POOLING_KEYS)
    assert set(Normalize.config_keys) <= set(NORMALIZE_KEYS)
    tried = [case for case in (*HONOURED, *(files for files, _ in REFUSED))]
    for rules, name in ((TRANSFORMER_KEYS, BERT), (POOLING_KEYS, POOLING), (SETTINGS_KEYS, SETTINGS)):
        assert set(rules) <= {key for case in tried for key in case.get(name, ())}, "each is tried above"
    assert set(MODULE_KEYS) == {"idx", "name", "path", "type", "kwargs"}


def test_what_sentence_transformers_saves_is_read(folder: Path, tmp_path: Path) -> None:
    theirs = SentenceTransformer(str(folder), device="cpu", prompts={"query": "the old "}, truncate_dim=9)
    theirs.save(str(tmp_path / "saved"))
    ours = Encoder.load(tmp_path / "saved", precision="fp32")
    np.testing.assert_allclose(ours.encode(TEXTS[:2], prompt="query"), theirs.encode_query(TEXTS[:2]), atol=2e-6)


def test_no_modules_file_means_the_defaults(tmp_path: Path) -> None:
    assert read_recipe(tmp_path) == Recipe()


def test_the_recipe_of_a_hub_id_is_downloaded_or_its_absence_known(folder: Path, monkeypatch) -> None:
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    def failing(error: Exception):
        def download(name: str, file: str) -> None:
            raise error

        return download

    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, allow_patterns: str(folder))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda name, file: str(folder / file))
    assert recipe_folder("someone/model") == folder
    monkeypatch.setattr("huggingface_hub.hf_hub_download", failing(EntryNotFoundError("no such file")))
    assert recipe_folder("someone/model") is None
    monkeypatch.setattr("huggingface_hub.hf_hub_download", failing(LocalEntryNotFoundError("offline")))
    with pytest.raises(ValueError, match="someone/model: the Hub cannot be asked"):
        recipe_folder("someone/model")


def test_impossible_recipes_are_refused() -> None:
    with pytest.raises(ValueError, match="pooling 'sum': expected one of mean, cls, max"):
        Recipe(pooling="sum")
    with pytest.raises(ValueError, match="max_length 2"):
        Recipe(max_length=2)


@pytest.mark.parametrize(
    "settings",
    [
        {"prompts": {"query": "the old ", "passage": "a river "}},
        {"prompts": {"document": "the old ", "passage": "a river "}},
        {"prompts": {"corpus": "the old "}},
        {"prompts": {"task": "a river "}, "default_prompt_name": "task"},
        {"prompts": {"query": "the old ", "task": "a river "}, "default_prompt_name": "task"},
    ],
)
def test_queries_and_documents_get_the_prompts_of_their_roles(settings: dict, folder: Path) -> None:
    (folder / SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
    theirs, ours = SentenceTransformer(str(folder), device="cpu"), Encoder.load(folder, precision="fp32")
    np.testing.assert_allclose(ours.encode(TEXTS[:2], prompt="query"), theirs.encode_query(TEXTS[:2]), atol=2e-6)
    np.testing.assert_allclose(ours.encode(TEXTS[:2], prompt="document"), theirs.encode_document(TEXTS[:2]), atol=2e-6)
