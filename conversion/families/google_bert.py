"""Google's original BERT checkpoints: `bert_config.json`, `vocab.txt` and a TensorFlow checkpoint.

The table leads to the names of transformers' BERT; from there the table of that family goes on.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import torch

from hf_embeddings.conversion.checkpoints import TensorHeader, TensorReader, read_json_object
from hf_embeddings.conversion.families.bert import BERT
from hf_embeddings.conversion.family import Family
from hf_embeddings.conversion.rules import Config, ConversionError
from hf_embeddings.conversion.tensorflow import Tensorflow
from hf_embeddings.files.reading import read_text

# Names of https://github.com/google-research/bert (modeling.py, run_pretraining.py, run_classifier.py, run_squad.py).
NAMES = {
    "bert/embeddings/word_embeddings": "bert.embeddings.word_embeddings.weight",
    "bert/embeddings/position_embeddings": "bert.embeddings.position_embeddings.weight",
    "bert/embeddings/token_type_embeddings": "bert.embeddings.token_type_embeddings.weight",
    "bert/embeddings/LayerNorm": "bert.embeddings.LayerNorm",
    "bert/encoder/layer_{}/attention/self/query": "bert.encoder.layer.{}.attention.self.query",
    "bert/encoder/layer_{}/attention/self/key": "bert.encoder.layer.{}.attention.self.key",
    "bert/encoder/layer_{}/attention/self/value": "bert.encoder.layer.{}.attention.self.value",
    "bert/encoder/layer_{}/attention/output/dense": "bert.encoder.layer.{}.attention.output.dense",
    "bert/encoder/layer_{}/attention/output/LayerNorm": "bert.encoder.layer.{}.attention.output.LayerNorm",
    "bert/encoder/layer_{}/intermediate/dense": "bert.encoder.layer.{}.intermediate.dense",
    "bert/encoder/layer_{}/output/dense": "bert.encoder.layer.{}.output.dense",
    "bert/encoder/layer_{}/output/LayerNorm": "bert.encoder.layer.{}.output.LayerNorm",
    "bert/pooler/dense": "bert.pooler.dense",
    "cls/predictions/transform/dense": "cls.predictions.transform.dense",
    "cls/predictions/transform/LayerNorm": "cls.predictions.transform.LayerNorm",
    "cls/predictions/output_bias": "cls.predictions.bias",
    "cls/seq_relationship/output_weights": "cls.seq_relationship.weight",
    "cls/seq_relationship/output_bias": "cls.seq_relationship.bias",
    "cls/squad/output_weights": "qa_outputs.weight",
    "cls/squad/output_bias": "qa_outputs.bias",
    "output_weights": "classifier.weight",
    "output_bias": "classifier.bias",
}
LEAVES = {"/kernel": ".weight", "/bias": ".bias", "/gamma": ".weight", "/beta": ".bias", "": ""}
# The models that its scripts make: pretraining, classification and SQuAD.
HEADS = ("BertModel", "BertForPreTraining", "BertForSequenceClassification", "BertForQuestionAnswering")
# What an optimizer keeps beside the weights.
OPTIMIZER = re.compile(r"(^|/)(adam_m|adam_v|Adam(_\d)?|global_step|beta[12]_power|learning_rate)$")


class GoogleCheckpoint:
    """A TensorFlow checkpoint under the names, and in the layout, of transformers' BERT."""

    def __init__(self, variables: Tensorflow) -> None:
        self.variables = variables
        names = [name for name in variables.tensors if not OPTIMIZER.search(name)]
        if objects := [name for name in names if name.endswith(".ATTRIBUTES/VARIABLE_VALUE")]:
            raise ConversionError(
                f"{variables.prefix}: an object checkpoint of TensorFlow 2 ({objects[0]}); expected the variable names "
                "of google-research/bert"
            )
        self.stored = {_name(name): name for name in names}
        self.tensors = {name: self._described(name) for name in self.stored}

    def _described(self, name: str) -> TensorHeader:
        header = self.variables.tensors[self.stored[name]]
        return header._replace(shape=header.shape[::-1]) if self._is_kernel(name) else header

    def _is_kernel(self, name: str) -> bool:
        return self.stored[name].endswith("/kernel")

    def read(self, name: str) -> torch.Tensor:
        """Return one weight; TensorFlow stores the matrix of a linear layer the other way round."""
        value = self.variables.read(self.stored[name])
        return value.T if self._is_kernel(name) else value


def _name(variable: str) -> str:
    for there, here in NAMES.items():
        pattern = re.escape(there).replace(r"\{\}", r"(\d+)") + "(" + "|".join(LEAVES) + ")"
        if match := re.fullmatch(pattern, variable):
            *numbers, leaf = match.groups()
            return here.format(*numbers) + LEAVES[leaf]
    return variable  # the plan will call it extra


def find_prefix(source: Path) -> Path | None:
    """Return the checkpoint prefix that `source` is or holds, None if it is no TensorFlow checkpoint.

    Raises:
        ConversionError: the directory holds several.
    """
    if source.is_dir():
        paths = sorted(path.with_suffix("") for path in source.glob("*.index") if "ckpt" in path.name)
        if len(paths) > 1:
            raise ConversionError(
                f"{source}: several checkpoints ({', '.join(path.name for path in paths)}); name one, as {paths[-1]}"
            )
        return paths[0] if paths else None
    is_prefix = source.with_name(f"{source.name}.index").is_file() or ".ckpt" in source.name
    return source if is_prefix else None


def open_google(prefix: Path) -> tuple[Config, TensorReader, Family]:
    """Read config and weights behind a prefix."""
    config = read_json_object(prefix.with_name("bert_config.json")) | {"model_type": "bert"}
    checkpoint = GoogleCheckpoint(Tensorflow(prefix))
    heads = {name: head for name, head in BERT.heads.items() if name in HEADS}
    return config, checkpoint, replace(BERT, name="google_bert", heads=heads)


def write_tokenizer_settings(vocabulary: Path, folder: Path) -> None:
    """Say whether text is lower-cased, which Google leaves to a flag: an uncased vocabulary has no capitals."""
    tokens = read_text(vocabulary).split("\n")
    is_cased = any(token != token.lower() for token in tokens if not re.fullmatch(r"\[.*\]", token))
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": not is_cased}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8", newline="\n")
