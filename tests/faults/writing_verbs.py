"""Every verb that writes, as the matrix of faults calls it: what it reads, what it makes, and how it is run."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
import yaml
from pytest import MonkeyPatch
from safetensors.torch import load_file, save_file
from torch.utils.tensorboard import SummaryWriter
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

from hf_embeddings import TriEmbedConfig, TriEmbedForPreTraining
from hf_embeddings.cli import main as command
from hf_embeddings.cli.plot import PICTURES
from hf_embeddings.files.lock import LOCK_FILES
from hf_embeddings.files.ownership import MARK
from hf_embeddings.pretraining.prepared import encoding
from hf_embeddings.search import build
from hf_embeddings.search.index import Index
from hf_embeddings.search.records import DATABASE
from tests.hub.server import Hub
from tests.structure import ROOT

SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "the", "runs", "sleeps", *"abcdefghij", "."]
EVERYTHING = {*command.VERBS, *(f"plot {name}" for name in PICTURES)}
READERS = {"inspect", "search", "serve", "verify"}  # they write nothing
RUN = {
    "model": {**SIZES, "base": str(ROOT / "configs/model/tiny.json"), "max_position_embeddings": 32},
    "corpus": {"evaluation_fraction": 0.2},
    "tokenizer": {"vocab_size": 64, "min_frequency": 1},
    "examples": {"max_length": 16},
    "training": {"max_steps": 4, "tokens_per_step": 128, "evaluation_examples": 8, "logging_steps": 1},
    "checkpoints": {"save_steps": 2},
}
TIMED = {".json", ".md"}  # files in which seconds stand: their figures are not compared
ITSELF = "it reads nothing but what it changes"
THROUGH = "it adds to what is there, by whatever name that is given: nothing is replaced as a whole"
Result = dict[str, object]  # what counts of what a verb made, by name


def read_all(folder: Path) -> dict[str, bytes]:
    """Return the files below a directory."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_files(folder: Path) -> Result:
    """Return the files below a directory; of records, the words without the figures."""
    return {name: re.sub(rb"\d", b"", text) if Path(name).suffix in TIMED else text for name, text in files_of(folder)}


def read_names(folder: Path) -> Result:
    """Return the names of the files."""
    return dict.fromkeys(name for name, _ in files_of(folder))


def read_run(folder: Path) -> Result:
    """Return the names of what runs made, and all weights; in the rest stand seconds."""
    return {name: text if name.endswith(".safetensors") else None for name, text in files_of(folder)}


def files_of(folder: Path) -> list[tuple[str, bytes]]:
    """Return the files that a verb made; not its locks and its mark, nor what it tells of its course."""
    course = {"status.json", ".status.json.staged", MARK, *LOCK_FILES}
    return [
        (re.sub("tfevents.*", "tfevents", name), text)
        for name, text in read_all(folder).items()
        if Path(name).name not in course
    ]


def read_index(folder: Path) -> Result:
    """Return the documents of an index, with their vectors."""
    documents: Result = {}
    if (folder / DATABASE).is_file():
        with Index(folder) as index:
            index.verify()
            for records, vectors in index.iterate():
                for record, vector in zip(records, vectors.tolist(), strict=True):
                    documents[record.id] = [*documents.get(record.id, []), repr(record), vector]  # type: ignore[misc]
    return documents


def use_hub() -> None:
    """Have a Hub of this process's own for `publish`, in the home directory."""
    home = Path.home() / "hub"
    home.mkdir(parents=True, exist_ok=True)
    hub = Hub(home)
    hub.__enter__()
    hub.redirect(MonkeyPatch(), home, use_xet=False)


def use_small_batches() -> None:
    """Save often."""
    build.DOCUMENTS_PER_COMMIT, encoding.BATCH_DOCUMENTS = 4, 8


@dataclass(frozen=True)
class Verb:
    """How to call a verb; `{out}` is what it makes, `{in}` the directory of what it reads."""

    arguments: str
    # What may be there after a fault: of a "directory", all that was or all that is made; of "files", each the old or
    # the new; of a "run", what is needed to complete it.
    makes: str
    reads: str = ""  # what the columns on source and target are about; none: the first argument from `{in}`
    # What stands at `{out}` before: what the verb makes itself, in other words; or what these commands make.
    before: tuple[str, ...] | None = None
    # How unfinished work beside `{out}` is named; what is `kept` there after a mistake, the next call takes up.
    work: tuple[str, ...] = (".out.staged",)
    kept: bool = False
    read: Callable[[Path], Result] = read_files
    setup: Callable[[], object] = lambda: None  # in the process of the verb
    imports: str = ""  # what is imported once, for all calls
    slow: bool = False  # some seconds a call: for `make faults`
    without: Mapping[str, str] = field(default_factory=dict)  # columns that mean nothing for it, and why

    def line(self, inputs: Path, out: str | Path, *, source: str | Path | None = None) -> list[str]:
        """Return the arguments of a call, which may read another source."""
        text = self.arguments.replace(self.source, str(source)) if source else self.arguments
        return [part.replace("{out}", str(out)).replace("{in}", str(inputs)) for part in text.split(" ")]

    @property
    def source(self) -> str:
        """What it reads, as `{in}/...`."""
        found = re.search(r"\{in\}/[\w-]+", self.reads or self.arguments)
        return found[0] if found else ""


INSIDE = {"others_folder": "its unfinished work lies in the directory of the run"}
NO_SOURCE = dict.fromkeys(("source_in_target", "target_in_source"), ITSELF)
PREPARE = "prepare {in}/run.yaml {out} corpus.source={in}/texts --processes 1 --shard-tokens 100"
PRETRAIN = "pretrain {in}/run.yaml output_dir={out} corpus.source={in}/texts"
LAB = (
    f"{PRETRAIN.replace('pretrain', 'position-lab')} lab.positions=[learned,none] lab.seeds=[0] lab.length_factors=[2] "
    "lab.timing_rounds=1 lab.judge=false"
)
TEXTS = "{in}/texts"
PAIRS = "{in}/pairs"
EMBED = (
    "embed {in}/embed.yaml output_dir={out} encoder.base={in}/ours data.source={in}/pairs/pairs.jsonl "
    "data.evaluation_fraction=0.4 training.max_steps=4 training.batch_size=4 checkpoints.save_steps=2"
)
CONVERSION = "hf_embeddings.conversion.surgery.vocabulary"
PICTURE, MEASURES = "matplotlib.figure matplotlib.backends.backend_agg", "scipy.stats"
STUDENT = f"hf_embeddings.embedding.smaller hf_embeddings.embedding.language {MEASURES}"
ONNX = "onnx onnxscript onnxruntime networkx torch._dynamo torch.export"
UNFINISHED = ("out.partial", "out.work")
INDEX = "index {in}/newer.jsonl {out} --model {in}/ours"
OLD_INDEX = ("index {in}/older.jsonl {out} --model {in}/ours",)

# A verb has a line for each way in which it writes; behind a comma stands which.
VERBS = {
    "convert": Verb("convert {in}/bert {out} --overwrite", "directory", imports=CONVERSION),
    "reposition": Verb("reposition {in}/ours {out} --to rope --overwrite", "directory", imports=CONVERSION),
    "vocabulary": Verb("vocabulary add {in}/ours {out} --token tiger --overwrite", "directory", imports=CONVERSION),
    "debias": Verb(
        "debias {in}/ours {out} --pairs {in}/pairs.txt --overwrite", "directory", slow=True,
        imports=f"hf_embeddings.debiasing.debias {MEASURES}",
    ),
    "distil": Verb(
        "distil {in}/ours {out} --static --dimension 4 --corpus {in}/texts --overwrite", "directory",
        imports=f"hf_embeddings.embedding.static_model {MEASURES}",
    ),
    "distil, smaller": Verb(
        "distil {in}/deep {out} --layers 1 --width 4 --corpus {in}/texts --sentences 320 --batch-size 64", "directory",
        reads=TEXTS, before=(), work=("out.partial",), kept=True, read=read_run, slow=True, imports=STUDENT,
    ),
    "distil, language": Verb(
        "distil {in}/deep {out} --translations {in}/translations.tsv --batch-size 64 --overwrite", "directory",
        reads="{in}/deep", work=("out.partial",), kept=True, read=read_run, slow=True, imports=STUDENT,
    ),
    "export": Verb("export {in}/ours {out}/model.onnx --overwrite", "files", slow=True, imports=ONNX),
    "export, servers": Verb("export {in}/ours {out} --for servers --overwrite", "directory", slow=True, imports=ONNX),
    "example": Verb("example translations {out}", "files", without=dict.fromkeys(NO_SOURCE, "it reads nothing")),
    "evaluate, picture": Verb(
        "evaluate {in}/ours --text {in}/texts --sentences 20 --plot {out}/picture.png", "files", slow=True,
        imports=f"{MEASURES} {PICTURE}",
    ),
    "evaluate, card": Verb(
        "evaluate {out} --text {in}/texts --sentences 20 --card", "files", before=("copy {in}/ours {out}",),
        reads=TEXTS, slow=True, imports=MEASURES, without={"link": THROUGH},
    ),
    "explain": Verb(
        "explain {in}/ours cat dog --out {out}/page.html", "files",
        imports="hf_embeddings.explaining.explain hf_embeddings.explaining.page",
    ),
    "positions": Verb("positions {in}/ours --length 8 --plot {out}", "files", slow=True, imports=PICTURE),
    "plot words": Verb(
        "plot words {in}/ours cat dog the runs --out {out}/w --export parquet", "files", slow=True,
        imports=f"{PICTURE} pandas sklearn.manifold",
    ),
    "plot positions": Verb("plot positions {in}/ours --length 8 --out {out}", "files", slow=True, imports=PICTURE),
    "plot sum": Verb("plot sum {in}/ours cat --out {out}/s", "files", imports=PICTURE),
    "plot attention": Verb("plot attention {in}/ours cat --out {out}/a", "files", slow=True, imports=PICTURE),
    "plot training": Verb("plot training {in}/run cat dog the --out {out}/t", "files", slow=True, imports=PICTURE),
    "prepare": Verb(PREPARE, "directory", reads=TEXTS, before=(), work=UNFINISHED, kept=True, setup=use_small_batches),
    "prepare, again": Verb(
        f"{PREPARE} --overwrite", "directory", reads=TEXTS, work=UNFINISHED, kept=True, setup=use_small_batches
    ),
    "pretrain": Verb(PRETRAIN, "run", reads=TEXTS, before=(), read=read_run, slow=True, without=INSIDE),
    "pretrain, again": Verb(f"{PRETRAIN} --overwrite", "run", reads=TEXTS, read=read_run, slow=True, without=INSIDE),
    "embed": Verb(
        EMBED, "run", reads=PAIRS, before=(), read=read_run, slow=True, imports="hf_embeddings.embedding.run",
        without=INSIDE,
    ),
    "position-lab": Verb(LAB, "run", reads=TEXTS, before=(), read=read_run, slow=True, imports=PICTURE, without=INSIDE),
    "index": Verb(INDEX, "files", reads="{in}/ours", before=(), read=read_index, setup=use_small_batches),
    "index, again": Verb(
        INDEX, "files", reads="{in}/ours", before=OLD_INDEX, read=read_index, setup=use_small_batches,
        without={"link": THROUGH},
    ),
    "remove": Verb(
        "remove {out} --where number>=5 --compact", "directory", before=OLD_INDEX, read=read_index,
        without={**NO_SOURCE, "link": THROUGH},
    ),
    "publish": Verb(
        "publish {out} me/model", "files", before=("copy {in}/plain {out}",), setup=use_hub,
        without={**NO_SOURCE, "link": THROUGH},
    ),
}  # fmt: skip


def write_inputs(folder: Path) -> Path:
    """Write what the verbs read."""
    torch.manual_seed(0)
    tokenizer = BertTokenizer(vocab={word: row for row, word in enumerate(WORDS)})
    sizes = {**SIZES, "vocab_size": len(WORDS), "max_position_embeddings": 16}
    TriEmbedForPreTraining(TriEmbedConfig(**sizes)).save_pretrained(folder / "ours")
    BertForMaskedLM(BertConfig(**sizes)).save_pretrained(folder / "bert")
    TriEmbedForPreTraining(TriEmbedConfig(**{**sizes, "num_hidden_layers": 2})).save_pretrained(folder / "deep")
    for name in ("ours", "bert", "deep"):
        tokenizer.save_pretrained(folder / name)
    _write_texts(folder)
    _write_run(folder)
    _write_plain(folder)
    return folder


def _write_texts(folder: Path) -> None:
    """Write `texts`, a corpus, and what is made of it; `older.jsonl` and `newer.jsonl` share half of their ids."""
    letters = "abcdefghij"
    texts = [" ".join(f"The {a} {letters[n % 10]} {letters[n // 10]}." for a in letters[:8]) for n in range(40)]
    (folder / "texts").mkdir()
    (folder / "pairs").mkdir()
    (folder / "pairs.txt").write_text("cat dog\nruns sleeps", encoding="utf-8")
    pairs = [{"title": f"{letters[n % 10]} cat {letters[n // 10]}", "text": texts[n]} for n in range(40)]
    (folder / "pairs/pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)), encoding="utf-8")
    translations = "\n".join(
        f"the {a} {b} {c}.\t{c} {b} {a} runs" for a in letters[:4] for b in letters for c in letters
    )
    (folder / "translations.tsv").write_text(translations, encoding="utf-8")
    options = {"loss": {"name": "multiple_negatives"}, "data": {"columns": ["title", "text"], "source": "none"}}
    (folder / "embed.yaml").write_text(yaml.safe_dump({**options, "output_dir": "none", "encoder": {"base": "none"}}))
    (folder / "texts/texts.txt").write_text("\n\n".join(texts), encoding="utf-8")
    for name, first in (("older", 0), ("newer", 6)):
        rows = [{"id": n, "text": f"The {name} {letters[n % 10]}.", "number": n} for n in range(first, first + 12)]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def _write_run(folder: Path) -> None:
    """Write `run.yaml`, and `run`: what is left of a run, with a curve."""
    (folder / "run.yaml").write_text(yaml.safe_dump({**RUN, "output_dir": "none", "corpus": {**RUN["corpus"]}}))
    run = shutil.copytree(folder / "ours", folder / "run")
    for step in (1, 2):
        checkpoint = run / f"checkpoints/step-{step:08d}"
        checkpoint.mkdir(parents=True)
        weights = {name: weight + step for name, weight in load_file(run / "model.safetensors").items()}
        save_file(weights, checkpoint / "model.safetensors")
    with SummaryWriter(str(run / "tensorboard")) as curves:
        for step in range(4):
            curves.add_scalar("training/mlm_loss", 4 - step, step)


def _write_plain(folder: Path) -> None:
    """Write `plain`: a model as another tool saved it, without the code."""
    plain = shutil.copytree(folder / "ours", folder / "plain", ignore=shutil.ignore_patterns("*.py"))
    config = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps({name: config[name] for name in config if name != "auto_map"}))
