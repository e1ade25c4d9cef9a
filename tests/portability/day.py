"""A user's day in one process, small: convert, index, search, remove, prepare, train, and go on. A program of tests."""

import contextlib
import io
import sys
import traceback
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizer

from hf_embeddings.cli.main import app

ROOT = Path(__file__).parents[2]
WORDS = "the a cat dog king queen eats sleeps sees and in of house garden old young man woman . ,".split()
RUN = [
    str(ROOT / "configs/pretraining/demo.yaml"), f"model.base={ROOT / 'configs/model/tiny.json'}",
    "model.hidden_size=16", "model.num_hidden_layers=2", "model.num_attention_heads=2", "model.intermediate_size=32",
    "tokenizer.vocab_size=70", "examples.max_length=32", "training.tokens_per_step=256", "training.max_hours=null",
    "training.evaluation_examples=8", "training.gradient_accumulation_steps=1",
    "checkpoints.save_steps=1",
]  # fmt: skip


def command(*arguments: str) -> str:
    """Run a verb, and return what it prints."""
    print("$", *arguments, file=sys.stderr)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            app(list(arguments), standalone_mode=False)
        except BaseException:
            traceback.print_exc()  # typer would keep it to itself
            sys.exit(1)
    return said.getvalue()


def write_texts(folder: Path) -> None:
    """Write two files with documents of several sentences."""
    for name, start in (("one", 0), ("two", 7)):
        documents = [
            " ".join(f"the {WORDS[(i + start) % 18]} {WORDS[(i * k) % 18]} and a {WORDS[k]} ." for k in range(3, 9))
            for i in range(40)
        ]
        (folder / f"{name}.txt").write_text("\n\n".join(documents), encoding="utf-8", newline="\n")


def write_bert(folder: Path) -> None:
    """Write a small BERT as transformers saves it."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder)


def main(folder: Path) -> None:
    """Do everything in an empty folder."""
    texts = folder / "texts"
    texts.mkdir()
    write_texts(texts)
    write_bert(folder / "bert")
    for flags in ([], ["--overwrite"]):
        command("convert", str(folder / "bert"), str(folder / "encoder"), *flags)
    made = str(folder / "index")
    for _ in range(2):  # the second time, every document is replaced
        command("index", f"{texts / '*.txt'}", made, "--model", str(folder / "encoder"))
    assert "cat" in command("search", made, "a cat in the house")
    command("remove", made, "--where", "offset=0", "--compact")
    assert "dog" in command("search", made, "the old dog")
    prepared = folder / "prepared"
    command("prepare", *RUN[:1], str(prepared), *RUN[1:], f"corpus.source={texts}", "--processes", "1")
    for source, name in ((f"{texts}", "run"), (f"prepared:{prepared}", "run-prepared")):
        run = ["pretrain", *RUN, f"corpus.source={source}", f"output_dir={folder / name}"]
        command(*run, "training.max_steps=4")
        command(*run, "training.max_steps=7", "--allow-changes")  # goes on, and replaces what the first one left
        assert "intact" in command("verify", str(folder / name))
    print("done")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
