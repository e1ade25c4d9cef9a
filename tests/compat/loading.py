"""Load checkpoints where this package is not installed, and say what came of it: one JSON record on standard output.

Run by `test_environments.py` with the Python of each environment: `python loading.py FOLDER`.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

ORDINARY = ("missing_keys", "unexpected_keys", "mismatched_keys")


def load(case: dict[str, object], path: Path, **options):
    """Return the model of a case, with its code from the checkpoint."""
    auto = getattr(transformers, case["auto_class"])
    return auto.from_pretrained(path, trust_remote_code=True, **options)


def check_weights(case: dict[str, object], path: Path, stored: Path):
    """Return the model of a checkpoint, whose weights are those of a file, bit by bit, and whose head is tied."""
    model, info = load(case, path, output_loading_info=True)
    assert not any(info[key] for key in ORDINARY), info
    state, weights = model.state_dict(), load_file(stored)
    assert weights and set(weights) <= set(state), sorted(set(weights) - set(state))
    for key, weight in weights.items():
        assert torch.equal(state[key], weight), key
    if hasattr(model, "predictions"):
        assert model.predictions.decoder.weight is model.get_input_embeddings().weight, "the head is not tied"
    return model.eval()


def check_outputs(case: dict[str, object], path: Path, kernel: str, model) -> tuple[int, list[list[str]]]:
    """Return how many outputs equal those given, and what was refused in words: kernel, position type, batch."""
    given, equal, refused = torch.load(path / "expected.pt"), 0, []
    for name, inputs in given["inputs"].items():
        try:
            with torch.no_grad():
                outputs = [v for v in model(**inputs).to_tuple() if isinstance(v, torch.Tensor)]
        except ValueError as error:
            assert transformers.__version__ in str(error) and "pip install" in str(error), error
            refused.append([kernel, case["position"], name])
            continue
        for found, expected in zip(outputs, given["outputs"][name], strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        equal += 1
    return equal, refused


def check(case: dict[str, object], path: Path, again: Path, record: dict[str, object]) -> None:
    """Assert all of a case, and enter it into the record."""
    models = {"sdpa": check_weights(case, path, path / "model.safetensors")}
    record["loaded"] += 1
    if case["position"] == "learned" or case["every_kernel"]:  # each head, and each position type
        models["sdpa"].save_pretrained(again)
        check_weights(case, again, path / "model.safetensors")
    if case["every_kernel"]:
        for kernel in ("eager", "flex_attention"):
            models[kernel] = load(case, path, attn_implementation=kernel).eval()
        if case["biased"]:
            expect_error(case, path, "flash attention cannot add", attn_implementation="flash_attention_2")
    for kernel, model in models.items():
        equal, refused = check_outputs(case, path, kernel, model)
        record["equal"] += equal
        record["refused"] += refused


def expect_error(case: dict[str, object], path: Path, words: str, **options) -> None:
    """Assert that loading fails, and says why."""
    try:
        load(case, path, **options)
    except ValueError as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"loaded without a word; expected an error with {words!r}")


def main(folder: Path) -> dict[str, object]:
    """Return the record of this environment."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    cases = json.loads((folder / "cases.json").read_text())
    record = {"loaded": 0, "equal": 0, "refused": [], "failed": {}}
    for case in cases:
        path = folder / case["name"] / "checkpoint"  # one name for all: their code is the same, and imported once
        try:
            check(case, path, Path("again") / case["name"] / "checkpoint", record)
        except Exception as error:  # every case is tried, and all that failed are shown
            record["failed"][case["name"]] = f"{type(error).__name__}: {error}"[:300]
    return record | wrong_checkpoints(folder, cases)


def wrong_checkpoints(folder: Path, cases: list[dict[str, object]]) -> dict[str, object]:
    """Assert that weights that are missing, and a head that is not tied, are errors."""
    head = next(case for case in cases if case["auto_class"] == "AutoModelForMaskedLM")
    path = folder / head["name"] / "checkpoint"
    config = transformers.AutoConfig.from_pretrained(path, trust_remote_code=True)
    config.num_hidden_layers, config.layer_types = 3, [*config.layer_types, "full_attention"]
    expect_error(head, path, "missing weights", config=config)
    if transformers.__version__ < "5":  # ties before it loads, so that nothing shows what the file holds
        return {"errors": 1}
    expect_error(head, folder / "untied" / "checkpoint", "tie_word_embeddings")
    return {"errors": 2}


if __name__ == "__main__":
    try:
        import hf_embeddings  # noqa: F401
    except ImportError:
        print(json.dumps({"version": transformers.__version__} | main(Path(sys.argv[1]))))
    else:
        sys.exit("the package is installed here; this would prove nothing")
