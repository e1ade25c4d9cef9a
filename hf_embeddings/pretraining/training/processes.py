"""The processes of a run: how many there are, how they share the model, and how they agree."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, PartialState
from accelerate.utils import broadcast_object_list, gather_object
from torch import nn
from torch.distributed.fsdp import fully_shard

from hf_embeddings.hardware import Precision, number_format, training_precision
from hf_embeddings.model.layers import Layer
from hf_embeddings.pretraining.options import TrainingOptions

Result = TypeVar("Result")
ASKED = ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")  # what launchers say they start
_LEFT: list[object] = []  # process groups that runs have ended with


def join_processes(training: TrainingOptions) -> PartialState:
    """Join the other processes.

    Raises:
        ValueError: the processes are not those that were asked for.
    """
    if not torch.cuda.is_available():
        os.environ.setdefault("ACCELERATE_USE_CPU", "true")
    if training.strict_determinism and training.sharding != "none":
        raise ValueError("training.strict_determinism: needs whole models; set training.sharding none")
    training_precision(training.mixed_precision, "cuda" if torch.cuda.is_available() else "cpu")  # if it can be at all
    processes = PartialState(cpu=not torch.cuda.is_available())
    check_processes(processes.num_processes, training)
    return processes


@contextmanager
def computing_threads(training: TrainingOptions) -> Iterator[None]:
    """Compute on one thread where the bits must not depend on how many processes share the cores of a machine."""
    before = torch.get_num_threads()
    if training.strict_determinism:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_precision(choice: str, processes: PartialState, old_format: str | None = None) -> Precision:
    """Return the number format of a run, the same in all processes.

    Args:
        choice: `training.mixed_precision`.
        processes: of the run.
        old_format: the format of the checkpoint that the run goes on from: what `auto` means then, so that it goes on
            exactly.

    Raises:
        ValueError: the device cannot train in it, or the processes run on machines that differ.
    """
    if choice == "auto" and old_format:
        if old_format == "fp16" and processes.device.type == "cpu":
            raise ValueError(
                "training.mixed_precision: auto keeps the checkpoint's fp16, which needs a GPU; resume on a GPU, or in "
                "fp32 with training.mixed_precision=no --allow-changes"
            )
        return Precision(old_format, "as the checkpoint")
    precision = training_precision(choice, processes.device)
    everywhere = gather_object([precision.name]) if processes.num_processes > 1 else [precision.name]
    if len(set(everywhere)) > 1:
        formats = " and ".join(sorted({number_format(name) for name in everywhere}))
        raise ValueError(
            f"training.mixed_precision: got auto, which means {formats} on the machines of "
            "this run, expected one for all; write training.mixed_precision=no, which all can"
        )
    return precision


def build_accelerator(precision: str, *, objectives: Sequence[str], curves: str | None) -> Accelerator:
    """Return the accelerator of the processes that `join_processes` has joined.

    Args:
        precision: the number format to train in.
        objectives: that are trained.
        curves: the directory that takes TensorBoard's events; None writes none.
    """
    return Accelerator(
        mixed_precision=precision,
        log_with="tensorboard" if curves else None,
        project_dir=curves,
        # A head that no objective trains gets no gradient, which DDP has to be told.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=len(objectives) < 2)],
    )


def share(model: nn.Module, accelerator: Accelerator, training: TrainingOptions) -> nn.Module:
    """Place a model on this process's device, as `training.sharding` says, before its optimizer is built."""
    alone = accelerator.num_processes == 1
    if not alone and not training.strict_determinism and training.sharding == "none":
        return accelerator.prepare_model(model)  # DDP
    model = accelerator.prepare_model(model, evaluation_mode=True)  # device and autocast, no wrapper
    if not alone and training.sharding == "fsdp2":
        for module in model.modules():
            if isinstance(module, Layer):
                fully_shard(module)
        fully_shard(model)
    return model


def leave(accelerator: Accelerator) -> None:
    """Close the trackers and part from the other processes.

    The group itself is kept until the process ends: what frees it waits, holding Python's lock, for gloo's own thread,
    and that may be waiting for the lock to free its last exchange. A run that was over has hung there (torch 2.13).
    """
    if accelerator.num_processes > 1:
        _LEFT.append(torch.distributed.group.WORLD)
    accelerator.end_training()


def check_processes(count: int, training: TrainingOptions) -> None:
    """Compare the number of processes with what the options and the launcher asked for.

    Raises:
        ValueError: they differ, as under `accelerate launch --cpu`, which starts one process whatever it is asked for.
    """
    requests = {
        f"the environment's {name}": int(os.environ[name]) for name in ASKED if os.environ.get(name, "").isdigit()
    }
    if training.num_processes:
        requests["training.num_processes"] = training.num_processes
    cure = "start them with `torchrun --nproc_per_node N --no-python hf-embeddings pretrain ...`"
    for name, number in requests.items():
        if number != count:
            raise ValueError(f"{name}: asked for {number} processes, got {count}; {cure}")
    if "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ and not training.num_processes:
        raise ValueError(
            "the launcher set MASTER_ADDR for several processes and started one (as `accelerate launch --cpu` does); "
            f"{cure}, or set training.num_processes=1"
        )


def restart_warning() -> str:
    """Return what to say where torchrun may start processes again that then do not find each other, else nothing.

    Its agent keeps one store for all starts, in which fast processes read the addresses of those before (seen with
    torch 2.13 and gloo); with the variable, each start has a store of its own.
    """
    is_shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if is_shared and os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0":
        return "warning: restarts by torchrun may fail; start it with the variable TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"
    return ""


def from_main(processes: PartialState | Accelerator, function: Callable[[], Result]) -> Result:
    """Run a function in the main process, and return its result or raise its error in every process."""
    outcome: list[Any] = [None, None]
    if processes.is_main_process:
        try:
            outcome[0] = function()
        except (ValueError, OSError) as error:
            outcome[1] = error
    if processes.num_processes > 1:
        broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def agreed(values: list[float], accelerator: Accelerator) -> list[float]:
    """Return the largest that any process has of each value, so that all decide the same."""
    if accelerator.num_processes == 1:
        return values
    mine = torch.tensor([values], device=accelerator.device, dtype=torch.float64)
    return accelerator.gather(mine).amax(dim=0).tolist()
