"""Checkpoints exported here, loaded by another transformers that has never heard of this package.

`make compat` makes an environment for each version in TRANSFORMERS and runs this file; each loads every head and
position type with `trust_remote_code`, compares weights bit by bit and outputs with those computed here.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

import hf_embeddings
from hf_embeddings import POSITION_TYPES, TriEmbedConfig
from hf_embeddings.model.configuration_triembed import AUTO_MAP

ENVIRONMENTS = [path for path in os.environ.get("COMPAT_PYTHONS", "").split(":") if path]
POSITIONS = [*POSITION_TYPES, "learned+relative_bias"]

LOAD = """
import json, sys
import torch, transformers
from safetensors.torch import load_file
try:
    import hf_embeddings
except ImportError:
    pass
else:
    sys.exit("the package is installed here; this would prove nothing")
folder, cases = sys.argv[1], json.loads(sys.argv[2])
for name, auto_class in cases:
    path = f"{folder}/{name}"
    model, info = getattr(transformers, auto_class).from_pretrained(
        path, trust_remote_code=True, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), (name, info)
    state, stored = model.state_dict(), load_file(f"{path}/model.safetensors")
    assert stored and set(stored) <= set(state), name
    for key, weight in stored.items():
        assert torch.equal(state[key], weight), (name, key)
    given = torch.load(f"{path}/expected.pt")
    with torch.no_grad():
        outputs = [v for v in model.eval()(**given["inputs"]).to_tuple() if isinstance(v, torch.Tensor)]
    assert len(outputs) == len(given["outputs"]), name
    for found, expected in zip(outputs, given["outputs"]):
        assert (found - expected).abs().max() <= 1e-5, (name, (found - expected).abs().max())
    model.save_pretrained(f"{path}/again")
    again = getattr(transformers, auto_class).from_pretrained(f"{path}/again", trust_remote_code=True).state_dict()
    assert all(torch.equal(again[key], weight) for key, weight in stored.items()), name
path = f"{folder}/{cases[0][0]}"
config = transformers.AutoConfig.from_pretrained(path, trust_remote_code=True)
config.num_hidden_layers += 1  # weights for it do not exist: an error, never random ones
try:
    transformers.AutoModel.from_pretrained(path, config=config, trust_remote_code=True)
except ValueError as error:
    assert "missing weights" in str(error), error
else:
    sys.exit("random weights were loaded without a word")
print(transformers.__version__, len(cases))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Path, list[tuple[str, str]]]:
    """Every head with every position type, with inputs and the outputs computed here."""
    folder, cases = tmp_path_factory.mktemp("exported"), []
    for auto_class, path in AUTO_MAP.items():
        if auto_class == "AutoConfig":
            continue
        for position in POSITIONS:
            name = f"{auto_class}_{position.replace('+', '_')}"
            torch.manual_seed(0)
            config = TriEmbedConfig(
                vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
                max_position_embeddings=16, position_embedding_type=position,
            )  # fmt: skip
            model = getattr(hf_embeddings, path.split(".")[1])(config).eval()
            model.save_pretrained(folder / name)
            ids = torch.randint(1, 50, (2, 2, 7) if auto_class == "AutoModelForMultipleChoice" else (2, 7))
            mask = torch.ones_like(ids)
            mask[1, ..., 5:] = 0
            inputs = {"input_ids": ids, "attention_mask": mask}
            with torch.no_grad():
                outputs = [v for v in model(**inputs).to_tuple() if isinstance(v, torch.Tensor)]
            torch.save({"inputs": inputs, "outputs": outputs}, folder / name / "expected.pt")
            cases.append((name, auto_class))
    return folder, cases


@pytest.mark.compat
@pytest.mark.parametrize("python", ENVIRONMENTS or ["none"])
def test_another_environment_loads_the_same_weights(python: str, exported, tmp_path) -> None:
    assert ENVIRONMENTS, "COMPAT_PYTHONS names no environment; run `make compat`"
    folder, cases = exported
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [python, "-c", LOAD, str(folder), json.dumps(cases)], capture_output=True, text=True, cwd=tmp_path,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == str(len(cases))
