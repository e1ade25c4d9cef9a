"""`hf-embeddings prepare`: a corpus as memory-mapped shards of tokens, which `pretrain` takes as a source."""

from pathlib import Path
from typing import Annotated

import typer

from hf_embeddings.cli.output import AsJson, Overrides
from hf_embeddings.cli.shipped_configs import check_run, find_config
from hf_embeddings.json_text import json_text


def prepare(
    options_file: Annotated[str, typer.Argument(help="YAML file of the run, such as configs/pretraining/demo.yaml.")],
    target: Annotated[Path, typer.Argument(help="Directory to make.")],
    overrides: Overrides = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes that encode; all cores by default.")] = None,
    shard_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a shard, at least.")] = 1 << 24,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start over if the directory exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prepare a corpus on the disk: split sentences, encode, remove duplicates. Rerun the command to resume.

    The directory holds tokenizer, shards and a manifest with counts and SHA-256 sums: `hf-embeddings verify` checks it.
    """
    from hf_embeddings.pretraining.options_file import load_options

    options = load_options(find_config(options_file), overrides or [])
    check_run(options)
    from hf_embeddings.pretraining.prepared.writer import prepare_corpus
    from hf_embeddings.progress import Phase, print_to_stderr
    from hf_embeddings.worker_pool import available_cores

    facts = prepare_corpus(
        options,
        target,
        processes=processes or available_cores(),
        say=print_to_stderr,
        phases=Phase,
        overwrite=overwrite,
        shard_tokens=shard_tokens,
    )
    if as_json:
        fields = facts.to_dict()
        summary = {name: fields[name] for name in ("sources", "statistics", "max_length", "tokenizer")}
        print(json_text(summary | {"shards": len(facts.shards)}))
        return
    for source in facts.sources:
        print(
            f"{source.source}: {source.documents:,} documents, {source.tokens:,} tokens, {source.training:,} training "
            f"examples, {source.held_out:,} held out, weight {source.weight:g}"
        )
    print(", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in facts.statistics.items() if value))
    print(f"{target}: {len(facts.shards)} shards; train on it with corpus.source=prepared:{target}")
