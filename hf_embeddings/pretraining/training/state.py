"""The state of a training run as files: weights, optimizer, weight average and progress, in safetensors and JSON.

Nothing belongs to a process, so any number of processes can go on from it. A checkpoint is also a model directory:
`from_pretrained` loads it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate.optimizer import AcceleratedOptimizer
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_embeddings.file_names import AVERAGE, OPTIMIZER, STATE, WEIGHTS
from hf_embeddings.loading.messages import no_bars
from hf_embeddings.pretraining.training.progress import Progress
from hf_embeddings.pretraining.training.replaced_tokens import ReplacedTokenDetection
from hf_embeddings.pretraining.training.weight_average import WeightAverage

Tensors = dict[str, torch.Tensor]
TrainedModel = PreTrainedModel | ReplacedTokenDetection


@dataclass(frozen=True)
class TrainingState:
    """Everything of a run that a step changes, on one process or spread over many."""

    model: TrainedModel  # without wrapper, its parameters whole or in shares
    optimizers: list[AcceleratedOptimizer]
    average: WeightAverage | None
    progress: Progress

    def gather(self) -> dict[str, Tensors]:
        """Return all tensors whole, by file; every process has to call this, for shares are sent to all."""
        tied_names = self.model.all_tied_weights_keys  # their shares would arrive as copies
        weights = {name: tensor for name, tensor in self.model.state_dict().items() if name not in tied_names}
        files = {WEIGHTS: weights, OPTIMIZER: {}}
        for name, parameter in self.model.named_parameters():
            for optimizer in self.optimizers:
                for key, value in optimizer.state.get(parameter, {}).items():
                    files[OPTIMIZER][f"{name}.{key}"] = value
        if self.average:
            files[AVERAGE] = files[WEIGHTS] | self.average.averages
            self.progress.averaged = self.average.steps
        scaler = self.optimizers[0].scaler
        self.progress.scaler = scaler.state_dict() if scaler else None
        return {file: {name: _whole(value) for name, value in group.items()} for file, group in files.items()}

    def write(self, folder: Path, files: dict[str, Tensors], tokenizer: PreTrainedTokenizerBase) -> None:
        """Write what `gather` returned, and the rest, into a directory."""
        with no_bars():
            self.model.save_pretrained(folder, state_dict=files[WEIGHTS])
        for name in files.keys() - {WEIGHTS}:
            tensors = {key: tensor.contiguous() for key, tensor in files[name].items()}
            save_file(tensors, folder / name, metadata={"format": "pt"})
        for config in folder.rglob("config.json"):  # of the generator too, where there is one
            tokenizer.save_pretrained(config.parent)
        (folder / STATE).write_text(json.dumps(self.progress.to_dict()), encoding="utf-8", newline="\n")

    def load(self, folder: Path) -> None:
        """Read all but weights and progress; each process keeps its share."""
        parameters = dict(self.model.named_parameters())
        owners = {p: opt for opt in self.optimizers for group in opt.param_groups for p in group["params"]}
        with safe_open(folder / OPTIMIZER, framework="pt") as file:
            for entry in file.keys():  # noqa: SIM118
                name, _, key = entry.rpartition(".")
                parameter = parameters[name]
                tensor = file.get_tensor(entry).clone()  # which would keep the file open through the run
                owners[parameter].state[parameter][key] = _shared(tensor, parameter)
        if self.average and (folder / AVERAGE).exists():
            with safe_open(folder / AVERAGE, framework="pt") as file:
                for name, tensor in self.average.averages.items():
                    tensor.copy_(_shared(file.get_tensor(name), parameters[name]))
            self.average.steps = self.progress.averaged
        if self.progress.scaler and self.optimizers[0].scaler:
            self.optimizers[0].scaler.load_state_dict(self.progress.scaler)


def load_weights(model: TrainedModel, folder: Path) -> None:
    """Read the weights of a checkpoint into a model that is not shared out yet."""
    if isinstance(model, ReplacedTokenDetection):
        weights = model.stored_weights(folder)
    else:
        weights = load_file(folder / WEIGHTS)
    problems = model.load_state_dict(weights, strict=False)
    tied_names = set(model.all_tied_weights_keys)
    if wrong := sorted((set(problems.missing_keys) - tied_names) | set(problems.unexpected_keys)):
        raise ValueError(f"{folder / WEIGHTS}: {wrong[0]} is in the checkpoint or the model, but not in both")


def load_progress(folder: Path) -> Progress:
    """Read how far the run was."""
    return Progress.load(folder / STATE)


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach().cpu()


def _shared(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Put a stored tensor where its parameter is: on its device, in its shares."""
    tensor = tensor.to(parameter.device)
    if isinstance(parameter, DTensor) and tensor.dim():
        return distribute_tensor(tensor, parameter.device_mesh, parameter.placements)
    return tensor
