"""transformers' own tests of every model, on all our classes with every position type.

The tests come with the source distribution of transformers. `make common-tests` downloads it into the virtual
environment and runs this file; nothing of it is kept in the repository. What is here is what each model in transformers
has, too: the config to test, and a batch.
"""

import importlib
import os
import sys
import types
import unittest

import pytest
import torch
from transformers.testing_utils import torch_device

import hf_embeddings
from hf_embeddings import POSITION_TYPES, TriEmbedConfig

FOLDER = os.environ.get("TRANSFORMERS_TESTS", "")
pytestmark = [pytest.mark.common, pytest.mark.filterwarnings("default")]
CLASSES = [
    "Model", "ForPreTraining", "ForMaskedLM", "ForNextSentencePrediction", "ForSequenceClassification",
    "ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice",
]  # fmt: skip
# Tests that our models do not pass, with the position types, and why. Three at most.
EXCEPTIONS = {
    "test_model_weights_reload_no_missing_tied_weights": (
        tuple(POSITION_TYPES),
        "loads a file of one weight that belongs to nothing: refused, for it would be left out and all be random",
    ),
    "test_training_gradient_checkpointing_use_reentrant_true": (
        ("disentangled",),
        "refused in words: layers share the table, and a reentrant recomputation sees only arguments that are tensors",
    ),
}
# The tests make labels by lists of class names, which know transformers' own classes only.
TABLES = {
    "MODEL_MAPPING_NAMES": "TriEmbedModel",
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES": "TriEmbedForMaskedLM",
    "MODEL_FOR_NEXT_SENTENCE_PREDICTION_MAPPING_NAMES": "TriEmbedForNextSentencePrediction",
    "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES": "TriEmbedForSequenceClassification",
    "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES": "TriEmbedForTokenClassification",
    "MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES": "TriEmbedForQuestionAnswering",
    "MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES": "TriEmbedForMultipleChoice",
}


def import_tests() -> types.ModuleType:
    """Import the tests as a package whose other rooms, which the distribution lacks, are empty."""
    package = types.ModuleType("transformers_tests")
    package.__path__ = [FOLDER]
    sys.modules["transformers_tests"] = package
    mixins = {"exporters.test_export": "ExportTesterMixin", "generation.test_utils": "GenerationTesterMixin"}
    for room, mixin in mixins.items():
        sys.modules[f"transformers_tests.{room}"] = module = types.ModuleType(f"transformers_tests.{room}")
        setattr(module, mixin, type(mixin, (), {}))
    tests = importlib.import_module("transformers_tests.test_modeling_common")
    for table, name in TABLES.items():
        setattr(tests, table, {**getattr(tests, table), "triembed": name})
    return tests


class TinyModel:
    """A tiny model of a position type, and a batch for it."""

    batch_size, seq_length, num_choices = 3, 7, 4
    hidden_size, num_hidden_layers, num_attention_heads = 32, 2, 4
    is_training = True

    def __init__(self, parent: unittest.TestCase, position: str) -> None:
        self.parent, self.position = parent, position

    def get_config(self) -> TriEmbedConfig:
        return TriEmbedConfig(
            vocab_size=99, hidden_size=self.hidden_size, num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads, intermediate_size=37, max_position_embeddings=64,
            hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, position_embedding_type=self.position,
        )  # fmt: skip

    def prepare_config_and_inputs_for_common(self) -> tuple[TriEmbedConfig, dict[str, torch.Tensor]]:
        shape = (self.batch_size, self.seq_length)
        mask = torch.ones(shape, dtype=torch.long, device=torch_device)
        mask[:, -1] = 0
        inputs = {
            "input_ids": torch.randint(1, 99, shape, device=torch_device),
            "token_type_ids": torch.randint(0, 2, shape, device=torch_device),
            "attention_mask": mask,
        }
        return self.get_config(), inputs


def make_test(tests: types.ModuleType, position: str) -> type:
    """Return the test case of a position type."""

    class CommonTest(tests.ModelTesterMixin, unittest.TestCase):
        test_can_init_all_missing_weights_before_2023 = True
        all_model_classes = tuple(getattr(hf_embeddings, f"TriEmbed{name}") for name in CLASSES)

        def setUp(self) -> None:
            self.model_tester = TinyModel(self, position)
            positions, reason = EXCEPTIONS.get(self._testMethodName, ((), ""))
            if position in positions:
                self.skipTest(reason)

        def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
            inputs = super()._prepare_for_class(inputs_dict, model_class, return_labels=return_labels)
            if return_labels and model_class.__name__ == "TriEmbedForPreTraining":
                shape = (self.model_tester.batch_size, self.model_tester.seq_length)
                inputs["labels"] = torch.zeros(shape, dtype=torch.long, device=torch_device)
                inputs["next_sentence_label"] = torch.zeros(shape[0], dtype=torch.long, device=torch_device)
            return inputs

    name = "Test" + "".join(word.title() for word in position.replace("+", "_").split("_"))
    return type(name, (CommonTest,), {"__module__": __name__, "__qualname__": name})


if FOLDER:
    _tests = import_tests()
    for _position in POSITION_TYPES:
        _case = make_test(_tests, _position)
        globals()[_case.__name__] = _case
