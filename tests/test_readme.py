"""README from top to bottom, as a user's day: every command and every snippet runs, in one directory, in their order.

What takes minutes is made small by further arguments, and what a user brings along (texts, checkpoints) lies there
small; the commands themselves are those of the README.
"""

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import BertConfig, BertModel, BertTokenizer

from hf_embeddings.cli.main import app
from tests.hub.server import Hub

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
# Further arguments that make a command small, by its first words; the longest that fits counts.
SMALLER = {
    "pretrain": "corpus.source=pydoc:accelerate tokenizer.vocab_size=600 training.max_steps=20 training.max_hours=null "
    "training.evaluation_examples=100 training.tokens_per_step=512 model.hidden_size=64 model.num_attention_heads=2 "
    "model.intermediate_size=128",
    "index": "--max-documents 60",
    "positions": "--config configs/model/tiny.json",
    "positions runs/demo": "",
    "reposition runs/demo runs/rope": "--corpus pydoc:accelerate --healing-steps 2 --healing-length 32",
    "vocabulary replace": "--corpus pydoc:accelerate --vocab-size 300",
    "vocabulary trim": "--corpus pydoc:accelerate",
    "vocabulary factorise": "--rank 16",
}
MADE = {
    "make demo": "hf-embeddings pretrain configs/pretraining/demo.yaml"
}  # the Makefile's recipe, a test holds it so
SERVES = ("hf-embeddings serve",)  # until Ctrl-C; tests/search/test_server.py does
PREPARES = (
    "make ",
    "pip install ",
    "python examples/reviews.py ",
    "git clone ",
    "cd ",
)  # a clean machine; other tests, and CI itself, do that
