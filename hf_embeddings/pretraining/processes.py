"""The processes of a run: how many there are, how they share the model, and how they agree."""

import os
from collections.abc import Callable
from typing import TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import broadcast_object_list
from torch import nn
from torch.distributed.fsdp import fully_shard

from hf_embeddings.model.layers import Layer
from hf_embeddings.pretraining.options import PretrainingOptions, TrainingOptions

Result = TypeVar("Result")
ASKED = ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")  # what launchers say they start
_LEFT: list[object] = []  # process groups that runs have ended with


def build_accelerator(options: PretrainingOptions) -> Accelerator:
    """Join the other processes and return the accelerator.

    Raises:
        ValueError: the processes are not those that were asked for.
    """
    training = options.training
    if not torch.cuda.is_available():
        os.environ.setdefault("ACCELERATE_USE_CPU", "true")
        if training.mixed_precision == "fp16":
            raise ValueError("training.mixed_precision: got 'fp16', which needs a GPU; use 'bf16' or 'no' on a CPU")
    if training.strict_determinism and training.sharding != "none":
        raise ValueError("training.strict_determinism: needs whole models; set training.sharding none")
    accelerator = Accelerator(
        mixed_precision=training.mixed_precision,
        log_with="tensorboard" if training.tensorboard else None,
        project_dir=options.output_dir,
        # A head that no objective trains gets no gradient, which DDP has to be told.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=len(options.examples.objectives) < 2)],
    )
    check_processes(accelerator.num_processes, training)
    return accelerator


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


def check_processes(got: int, training: TrainingOptions) -> None:
    """Compare the number of processes with what the options and the launcher asked for.

    Raises:
        ValueError: they differ, as under `accelerate launch --cpu`, which starts one process whatever it is asked for.
    """
    asked = {f"the environment's {name}": int(os.environ[name]) for name in ASKED if os.environ.get(name, "").isdigit()}
    if training.num_processes:
        asked["training.num_processes"] = training.num_processes
    cure = "start them with `torchrun --nproc_per_node N --no-python hf-embeddings pretrain ...` (README, Pretrain)"
    for name, number in asked.items():
        if number != got:
            raise ValueError(f"{name}: asked for {number} processes, got {got}; {cure}")
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
    shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if shared and os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0":
        return "warning: restarts by torchrun may fail; start it with the variable TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"
    return ""


def from_main(accelerator: Accelerator, function: Callable[[], Result]) -> Result:
    """Run a function in the main process, and return its result or raise its error in every process."""
    outcome: list = [None, None]
    if accelerator.is_main_process:
        try:
            outcome[0] = function()
        except (ValueError, OSError) as error:
            outcome[1] = error
    if accelerator.num_processes > 1:
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
