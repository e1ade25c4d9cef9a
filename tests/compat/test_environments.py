"""Checkpoints exported here, loaded by other versions of transformers that have never heard of this package.

`make compat` makes an environment for each version and runs this file. Each loads every head with every position type
with `trust_remote_code`, and every position type on every kernel, padded and packed; weights are compared bit by bit,
outputs with those computed here.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import hf_embeddings
from hf_embeddings import POSITION_TYPES, TriEmbedConfig
from hf_embeddings.model.configuration_triembed import AUTO_MAP

ENVIRONMENTS = [path for path in os.environ.get("COMPAT_PYTHONS", "").split(":") if path]
TOO_OLD = [path for path in os.environ.get("COMPAT_TOO_OLD", "").split(":") if path]
POSITIONS = [*POSITION_TYPES, "learned+relative_bias"]
ROPES = {
    "linear": {"factor": 2.0},
    "dynamic": {"factor": 2.0},
    "yarn": {"factor": 2.0, "original_max_position_embeddings": 8},
    "longrope": {
        "short_factor": [1.0, 1.5, 2.0, 2.5], "long_factor": [2.0, 3.0, 4.0, 5.0], "factor": 4.0,
        "original_max_position_embeddings": 6,
    },
    "llama3": {
        "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8,
    },
}  # fmt: skip
FLEX_BIAS = (5, 14)  # the first transformers whose flex attention adds a bias


def make(head: str, position: str, **changes):
    torch.manual_seed(0)
    config = TriEmbedConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, position_embedding_type=position, sliding_window=2,
        layer_types=["full_attention", "sliding_attention"], **changes,
    )  # fmt: skip
    model = getattr(hf_embeddings, head)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def batches(auto_class: str) -> dict[str, dict[str, torch.Tensor]]:
    """Two rows, the second padded, and for the bare encoder three documents in one row."""
    ids = torch.randint(1, 50, (2, 2, 7) if auto_class == "AutoModelForMultipleChoice" else (2, 7))
    mask = torch.ones_like(ids)
    mask[1, ..., 5:] = 0
    padded = {"input_ids": ids, "attention_mask": mask}
    if auto_class != "AutoModel":
        return {"padded": padded}
    places = torch.cat([torch.arange(length) for length in (5, 7, 2)])
    return {"padded": padded, "packed": {"input_ids": ids.view(1, -1), "position_ids": places[None]}}


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """Every head with every position type, with inputs and the outputs computed here by plain tensor operations."""
    folder, cases = tmp_path_factory.mktemp("exported"), []
    for auto_class, path in AUTO_MAP.items():
        if auto_class == "AutoConfig":
            continue
        ropes = ROPES if auto_class == "AutoModel" else {}
        for position, rope in [*((p, None) for p in POSITIONS), *(("rope", kind) for kind in ropes)]:
            scaled = {} if rope is None else {"rope_parameters": {"rope_type": rope} | ROPES[rope]}
            model = make(path.split(".")[1], position, **scaled)
            name = f"{auto_class}_{position.replace('+', '_')}" + (f"_{rope}" if rope else "")
            model.save_pretrained(folder / name / "checkpoint")
            model.set_attn_implementation("eager")
            inputs = batches(auto_class)
            with torch.no_grad():
                outputs = {
                    kind: [v for v in model(**batch).to_tuple() if isinstance(v, torch.Tensor)]
                    for kind, batch in inputs.items()
                }
            torch.save({"inputs": inputs, "outputs": outputs}, folder / name / "checkpoint" / "expected.pt")
            parts = model.config.position_classes.values()
            cases.append(
                {
                    "name": name,
                    "auto_class": auto_class,
                    "position": position,
                    "every_kernel": auto_class == "AutoModel" and not rope,
                    "biased": any(part.pairwise for part in parts),  # nothing that flash attention could take
                    "flex_bias": any(part.pairwise or part.folds for part in parts),
                }
            )
    untie(folder / "AutoModelForMaskedLM_learned", folder / "untied")
    (folder / "cases.json").write_text(json.dumps(cases))
    return folder


def untie(source: Path, target: Path) -> None:
    """Write a checkpoint with a decoder of its own, though its config says that it has none."""
    shutil.copytree(source, target)
    file = target / "checkpoint" / "model.safetensors"
    weights = load_file(file)
    weights["predictions.decoder.weight"] = weights["triembed.embeddings.token.weight"] + 1
    save_file(weights, file, metadata={"format": "pt"})


def run(python: str, arguments: list[str], folder: Path) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(folder), "HF_HUB_OFFLINE": "1", "TORCHDYNAMO_DISABLE": "1"}  # flex uncompiled
    return subprocess.run([python, *arguments], capture_output=True, text=True, cwd=folder, env=environment)


@pytest.mark.compat
@pytest.mark.parametrize("python", ENVIRONMENTS or ["none"])
def test_another_environment_computes_the_same(python: str, exported, tmp_path, capsys) -> None:
    assert ENVIRONMENTS, "COMPAT_PYTHONS names no environment; run `make compat`"
    began = time.monotonic()
    done = run(python, [str(Path(__file__).with_name("loading.py")), str(exported)], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    record, cases = json.loads(done.stdout.splitlines()[-1]), json.loads((exported / "cases.json").read_text())
    assert not record["failed"], json.dumps(record["failed"], indent=1)
    bias = [case["position"] for case in cases if case["every_kernel"] and case["flex_bias"]]
    version = tuple(map(int, record["version"].split(".")))
    expected = [["flex_attention", p, kind] for p in bias for kind in ("padded", "packed") if version < FLEX_BIAS]
    assert sorted(record["refused"]) == sorted(expected)
    total = sum(len(batches(case["auto_class"])) * (3 if case["every_kernel"] else 1) for case in cases)
    assert record["loaded"] == len(cases) and record["equal"] + len(record["refused"]) == total
    counts = f"{record['loaded']} checkpoints loaded, {record['equal']} outputs equal"
    if expected:
        counts += f", {len(expected)} refused (flex attention with a bias)"
    place = f"{ENVIRONMENTS.index(python) + 1} of {len(ENVIRONMENTS)}, {time.monotonic() - began:.0f} s"
    with capsys.disabled():
        print(f"\ntransformers {record['version']}: {counts} [{place}]", flush=True)


@pytest.mark.compat
@pytest.mark.parametrize("python", TOO_OLD)
def test_a_version_that_is_too_old_is_refused_in_words(python: str, exported, tmp_path) -> None:
    path = exported / "AutoModel_learned" / "checkpoint"
    code = f"import transformers; transformers.AutoModel.from_pretrained({str(path)!r}, trust_remote_code=True)"
    done = run(python, ["-c", code], tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode and "TriEmbed: found transformers 4." in last and "pip install" in last, done.stderr[-2000:]
