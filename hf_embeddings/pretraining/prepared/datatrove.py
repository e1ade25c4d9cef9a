"""`hf-embeddings prepare` as blocks of datatrove pipelines, whose executors run them on one machine or on many.

    from datatrove.executor import LocalPipelineExecutor
    from hf_embeddings.pretraining.prepared.datatrove import EncodeShards, FinishShards
    from hf_embeddings.pretraining.options_file import load_options
    from hf_embeddings.pretraining.prepared.writer import plan_corpus

    if __name__ == "__main__":
        options, target = load_options("configs/pretraining/demo.yaml"), Path("corpora/demo")
        units = len(plan_corpus(options, target).units)  # plans the work, and trains the tokenizer
        encode = LocalPipelineExecutor([EncodeShards(target)], tasks=units, workers=8, logging_dir="logs/encode")
        LocalPipelineExecutor([FinishShards(target)], depends=encode, logging_dir="logs/finish").run()

On Slurm or Ray the executor is another class, and nothing else changes (seen to give the same bytes with Slurm 22.05
and Ray 2.60 on one machine); the target lies where all machines see it:

    SlurmPipelineExecutor([EncodeShards(target)], tasks=units, time="4:00:00", partition="cpu", logging_dir=...)
    RayPipelineExecutor([EncodeShards(target)], tasks=units, workers=64, logging_dir=...)

Readers and filters of datatrove may stand before `EncodeShards`: `plan_corpus(options, target, streams=TASKS)` then
plans one unit for each task, and the documents are those that the blocks before it yield. The shards are those of
`prepare`, byte by byte, as long as the documents of a unit are; what a task had finished when it was killed is kept.
"""

from collections.abc import Iterable
from pathlib import Path

from hf_embeddings.files.ownership import remove_claimed
from hf_embeddings.pip_extras import cure
from hf_embeddings.pretraining.prepared.assembly import assemble
from hf_embeddings.pretraining.prepared.plan import PreparationPlan
from hf_embeddings.pretraining.prepared.writer import encode_unit
from hf_embeddings.worker_pool import WorkerPool

try:
    from datatrove.data import Document
    from datatrove.pipeline.base import PipelineStep
except ImportError as error:
    raise ImportError(f"datatrove: not installed; {cure('prep')}") from error


class EncodeShards(PipelineStep):  # type: ignore[misc]  # without types
    """Write the shards of the units `rank`, `rank + world_size`, ...; or of the documents that come in, unit `rank`."""

    name = "Encode shards"
    type = "Tokenizer"

    def __init__(self, target: str | Path) -> None:
        """Take the target of a preparation that has begun."""
        super().__init__()
        self.target = str(target)

    def run(self, data: Iterable[Document] | None, rank: int = 0, world_size: int = 1) -> None:
        """Encode, in this process.

        Raises:
            ValueError: the preparation cannot be shared out like this.
        """
        preparation = PreparationPlan.load(Path(self.target))
        units = len(preparation.units)
        if preparation.corpus.max_documents is not None and world_size > 1:
            raise ValueError("corpus.max_documents: counts over all units, which tasks do not know; leave it out")
        with WorkerPool(1) as pool, self.track_time():
            if preparation.plan.streams:
                if data is None or world_size != units:
                    raise ValueError(
                        f"EncodeShards: got {world_size} tasks, expected documents in {units}, as planned; change tasks"
                    )
                texts = (document.text.strip() for document in data)
                encode_unit(preparation, rank, pool=pool, documents=(text for text in texts if text))
                return
            if data is not None:
                raise ValueError(
                    "EncodeShards: got documents, expected none; plan_corpus(..., streams=TASKS) plans for them"
                )
            for number in range(rank, units, world_size):
                encode_unit(preparation, number, pool=pool)
                self.stat_update("units")


class FinishShards(PipelineStep):  # type: ignore[misc]
    """Select and cut what all tasks have encoded, in one task, and give the target its name."""

    name = "Finish shards"
    type = "Tokenizer"

    def __init__(self, target: str | Path, processes: int = 1) -> None:
        """Take the target of a preparation, and the number of processes that cut."""
        super().__init__()
        self.target, self.processes = str(target), processes

    def run(self, data: Iterable[Document] | None, rank: int = 0, world_size: int = 1) -> None:
        """Finish, in the first task."""
        if rank == 0:
            preparation = PreparationPlan.load(Path(self.target))
            with WorkerPool(self.processes, preload=assemble.__module__) as pool, self.track_time():
                assemble(preparation, pool=pool, advance=lambda steps: None)
            remove_claimed(preparation.work)
