"""Load checkpoints where this package is not installed, and say what came of it: one JSON record on standard output.

Run by `test_environments.py` with the Python of each environment: `python loading.py FOLDER`.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

KERNELS = ("eager", "sdpa", "flex_attention")
ORDINARY = ("missing_keys", "unexpected_keys", "mismatched_keys")


def load(case: dict[str, object], path: Path, **options):
    """Return the model of a case, with its code from the checkpoint."""
    auto = getattr(transformers, case["auto_class"])
    return auto.from_pretrained(path, trust_remote_code=True, **options)


def check_weights(case: dict[str, object], path: Path, again: Path) -> None:
    """Assert that all weights are those of the file, bit by bit, that a head is tied, and that saving keeps both."""
    stored = load_file(path / "model.safetensors")
    for place in (path, again):
        model, info = load(case, place, output_loading_info=True)
        assert not any(info[key] for key in ORDINARY), info
        state = model.state_dict()
        assert stored and set(stored) <= set(state), sorted(set(stored) - set(state))
        for key, weight in stored.items():
            assert torch.equal(state[key], weight), key
        if hasattr(model, "predictions"):
            assert model.predictions.decoder.weight is model.get_input_embeddings().weight, "the head is not tied"
        if place is path:
            model.save_pretrained(again)


def check_outputs(case: dict[str, object], path: Path) -> tuple[int, list[list[str]]]:
    """Return how many outputs equal those given, and what was refused in words, by kernel and position type."""
    given, equal, refused = torch.load(path / "expected.pt"), 0, []
    for kernel in KERNELS if case["every_kernel"] else ("sdpa",):
        model = load(case, path, attn_implementation=kernel).eval()
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
    cases = json.loads((folder / "cases.json").read_text())
    record = {"loaded": 0, "equal": 0, "refused": [], "failed": {}}
    for case in cases:
        path = folder / case["name"] / "checkpoint"  # one name for all: their code is the same, and imported once
        try:
            check_weights(case, path, Path("again") / case["name"] / "checkpoint")
            record["loaded"] += 1
            equal, refused = check_outputs(case, path)
            record["equal"] += equal
            record["refused"] += refused
            if case["every_kernel"] and case["biased"]:
                expect_error(case, path, "flash attention cannot add", attn_implementation="flash_attention_2")
        except Exception as error:  # every case is tried, and all that failed are shown
            record["failed"][case["name"]] = f"{type(error).__name__}: {error}"[:300]
    return record | wrong_checkpoints(folder, cases)


def wrong_checkpoints(folder: Path, cases: list[dict[str, object]]) -> dict[str, object]:
    """Assert that weights that are missing, and a head that is not tied, are errors."""
    head = next(case for case in cases if case["auto_class"] == "AutoModelForMaskedLM")
    path = folder / head["name"] / "checkpoint"
    config = transformers.AutoConfig.from_pretrained(path, trust_remote_code=True)
    config.num_hidden_layers += 1
    expect_error(head, path, "missing weights", config=config)
    expect_error(head, folder / "untied" / "checkpoint", "tie_word_embeddings")
    return {"errors": 2}


if __name__ == "__main__":
    try:
        import hf_embeddings  # noqa: F401
    except ImportError:
        print(json.dumps({"version": transformers.__version__} | main(Path(sys.argv[1]))))
    else:
        sys.exit("the package is installed here; this would prove nothing")
