"""Training steps of a sentence encoder: `embed` beside sentence-transformers with a stock BERT of equal size.

    python -m benchmarks.embedding --model runs/demo --rounds 5

The same pairs (names and docstrings of numpy, of natural lengths), loss (MultipleNegativesRankingLoss), optimizer and
batches for all. They take turns in one process, one step each; the figure is CPU time, which other programs on the
machine lengthen little, as the median over rounds of the ratio to the stock BERT in fp32. Set OMP_NUM_THREADS=1.
"""

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import BertConfig, BertModel

from hf_embeddings.embedding.options import DataOptions
from hf_embeddings.embedding.rows import read_rows
from hf_embeddings.embedding.sentence_model import PackedTransformer, build
from hf_embeddings.hardware import bf16_is_fast, describe
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.loading.saved_model import read_config, read_tokenizer
from hf_embeddings.search.recipe import Recipe

Step = Callable[[Sequence[tuple[str, ...]]], None]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a TriEmbed checkpoint")
    parser.add_argument("--max-length", type=int, default=128, help="tokens of a text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64, help="pairs")
    arguments = parser.parse_args()
    recipe = Recipe(max_length=arguments.max_length)
    with quiet_loading():
        bert = stock(arguments.model, arguments.max_length)
        ours = build(arguments.model, recipe, PackedTransformer)
    formats = {"fp32": False, "bf16": True} if bf16_is_fast() else {"fp32": False}
    models = {"stock BERT": bert, "embed": ours}
    rivals = {
        f"{name}, {number_format}": stepper(model, bf16=is_bf16)
        for name, model in models.items()
        for number_format, is_bf16 in formats.items()
    }
    options = DataOptions(source="pydoc:numpy", columns=["title", "text"])
    rows = [row.texts for row in read_rows(options, options.source, options.columns, Counter())]
    tokens = sum(
        len(ids) for ids in ours.tokenizer([text for pair in rows for text in pair], verbose=False)["input_ids"]
    )
    print(f"{len(rows)} pairs, {tokens / len(rows) / 2:.0f} tokens a text before they are cut")  # noqa: T201
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(arguments.rounds + 1):  # the first one also prepares
        batch = [rows[at] for at in order[number * arguments.batch : (number + 1) * arguments.batch]]
        for name, step in rivals.items():
            began = time.process_time()
            step(batch)
            seconds[name].append(time.process_time() - began)
    base = seconds["stock BERT, fp32"][1:]
    print(f"{describe()}, {torch.get_num_threads()} threads, bf16 is fast: {bf16_is_fast()}")  # noqa: T201
    for name, own in seconds.items():
        ratio = statistics.median(b / o for b, o in zip(base, own[1:], strict=True))
        print(f"| {name} | {statistics.median(own[1:]):.3f} | {ratio:.2f} |")  # noqa: T201


def stock(base: Path, max_length: int) -> SentenceTransformer:
    """Return a BERT of the size of a checkpoint, with its tokenizer, as sentence-transformers builds it."""
    config = read_config(base)
    folder = Path(tempfile.mkdtemp())
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    sizes = {name: getattr(config, name) for name in names}
    BertModel(BertConfig(**sizes, max_position_embeddings=512), add_pooling_layer=False).save_pretrained(folder)
    read_tokenizer(base).save_pretrained(folder)
    transformer = Transformer(str(folder), max_seq_length=max_length)
    return SentenceTransformer(modules=[transformer, Pooling(config.hidden_size)], device="cpu")


def stepper(model: SentenceTransformer, *, bf16: bool) -> Step:
    """Return a function that makes one optimizer step."""
    model.train()
    loss, optimizer = MultipleNegativesRankingLoss(model), torch.optim.AdamW(model.parameters(), 1e-5)

    def step(batch: Sequence[tuple[str, ...]]) -> None:
        features = [model.preprocess([texts[side] for texts in batch]) for side in (0, 1)]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            value = loss(features, None)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


if __name__ == "__main__":
    main()
