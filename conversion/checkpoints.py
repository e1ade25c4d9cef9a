"""Read checkpoints without trusting them: every defect is one error that names the file, and nothing is executed."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from safetensors import SafetensorError, safe_open

from hf_embeddings.conversion.rules import Config, ConversionError
from hf_embeddings.files.reading import open_file, read_bytes
from hf_embeddings.json_text import without_twins

FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
LARGEST_JSON = 64 << 20  # bytes; an index of a thousand shards takes less
LFS = b"version https://git-lfs"


class TensorHeader(NamedTuple):
    """What a header says of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype | None  # None where it is no floating point type
    stored: str  # the type in the file's own words


class TensorReader(Protocol):
    """Named tensors on disk, read one at a time."""

    @property
    def tensors(self) -> Mapping[str, TensorHeader]:
        """What is there."""
        ...

    def read(self, name: str) -> torch.Tensor:
        """Return one tensor."""
        ...


def read_json_object(path: Path) -> Config:
    """Read a JSON object as the standard defines it: no NaN, no key twice.

    Raises:
        ConversionError: the file is missing, too large, or not a JSON object.
    """
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise ConversionError(f"{path}: {path.stat().st_size:,} bytes, expected at most {LARGEST_JSON:,}")
        data = read_bytes(path)
        if data.startswith(LFS):
            raise _pointer(path)
        value = json.loads(data, parse_constant=_no_constant, object_pairs_hook=without_twins)
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        raise ConversionError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, ConversionError):
            raise
        raise ConversionError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise ConversionError(f"{path}: holds a JSON {type(value).__name__}, expected an object")
    return value


def open_checkpoint(folder: Path, *, allow_pickle: bool = False) -> TensorReader:
    """Open the weights in a directory: `model.safetensors`, its shards or, if allowed, `pytorch_model.bin`.

    Raises:
        ConversionError: there are none, they are damaged, or they are pickles and those are not allowed.
    """
    for name, opener in (("model.safetensors", Safetensors), ("pytorch_model.bin", Pickles)):
        index = folder / f"{name}.index.json"
        if (folder / name).exists():
            files, where = [folder / name], None
        elif index.exists():
            where = _weight_map(index)
            files = [folder / part for part in sorted(set(where.values()))]
        else:
            continue
        if opener is Pickles and not allow_pickle:
            raise ConversionError(
                f"{files[0]}: a pickle, which can run code when it is read; convert it to safetensors where it comes "
                "from, or give --allow-pickle to read it with torch's weights_only reader"
            )
        checkpoint = opener(files)
        _check_index(index, where, checkpoint)
        return checkpoint
    raise ConversionError(
        f"{folder}: no weights; expected model.safetensors, model.safetensors.index.json or pytorch_model.bin"
    )


class Safetensors:
    """Safetensors files; only headers are read until a tensor is asked for."""

    def __init__(self, files: list[Path]) -> None:
        self.tensors: dict[str, TensorHeader] = {}
        self.file: dict[str, Path] = {}
        for path in files:
            refuse_pointer(path)
            for name, header in self._header(path):
                if name in self.file:
                    raise ConversionError(
                        f"{path}: {name} is also in {self.file[name].name}; expected each tensor once"
                    )
                self.tensors[name], self.file[name] = header, path

    @staticmethod
    def _header(path: Path) -> Iterator[tuple[str, TensorHeader]]:
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():
                    part = file.get_slice(name)
                    dtype_name = part.get_dtype()
                    yield name, TensorHeader(tuple(part.get_shape()), FLOATS.get(dtype_name), dtype_name)
        except (SafetensorError, OSError, ValueError, OverflowError) as error:
            raise ConversionError(f"{path}: not a readable safetensors file ({error})") from None

    def read(self, name: str) -> torch.Tensor:
        """Return one tensor."""
        try:
            with safe_open(self.file[name], framework="pt") as file:
                return file.get_tensor(name)
        except (SafetensorError, OSError, ValueError) as error:
            raise ConversionError(f"{self.file[name]}: {name} cannot be read ({error})") from None


class Pickles:
    """Files of torch.save, read by torch's weights_only reader, which builds tensors and calls nothing."""

    def __init__(self, files: list[Path]) -> None:
        if tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2]) < (2, 10):
            raise ConversionError(
                f"{files[0]}: reading pickles needs torch 2.10 or later (CVE-2025-32434, CVE-2026-24747), found "
                f"{torch.__version__}"
            )
        self.values: dict[str, torch.Tensor] = {}
        for path in files:
            refuse_pointer(path)
            try:
                self.values |= torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except Exception as error:  # torch raises whatever the bytes provoke
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise ConversionError(f"{path}: refused by torch's weights_only reader ({reason})") from None
        bad = [name for name, value in self.values.items() if not isinstance(value, torch.Tensor)]
        if bad:
            raise ConversionError(f"{files[0]}: {bad[0]} is no tensor; expected a dictionary of tensors only")
        self.tensors = {
            name: TensorHeader(tuple(value.shape), value.dtype if value.is_floating_point() else None, str(value.dtype))
            for name, value in self.values.items()
        }

    def read(self, name: str) -> torch.Tensor:
        """Return one tensor."""
        return self.values[name]


def _missing(path: Path) -> ConversionError:
    """Return the error of a file that is not there."""
    if not (path.parent / "adapter_config.json").is_file():
        return ConversionError(f"{path}: no such file")
    cure = "merge it into its model (merge_and_unload) and save that with save_pretrained"
    return ConversionError(f"{path.parent}: an adapter of PEFT, expected a model; {cure}")


def refuse_pointer(path: Path) -> None:
    """Raise where a file is missing, empty, or only points to weights that git-lfs would fetch."""
    if not path.is_file():
        raise ConversionError(f"{path}: no such file")
    with open_file(path) as file:
        start = file.read(len(LFS))
    if not start:
        raise ConversionError(f"{path}: empty, expected weights")
    if start == LFS:
        raise _pointer(path)


def _pointer(path: Path) -> ConversionError:
    return ConversionError(f"{path}: a git-lfs pointer, not the file itself; run `git lfs pull` in its directory")


def _weight_map(index: Path) -> dict[str, str]:
    where = read_json_object(index).get("weight_map")
    if not isinstance(where, dict) or not where or not all(isinstance(part, str) for part in where.values()):
        raise ConversionError(f"{index}: 'weight_map' must be an object of tensor name to file name")
    for part in where.values():
        if Path(part).name != part or part in ("", ".", ".."):
            raise ConversionError(f"{index}: weight_map names {part!r}, which is not a file of this directory")
    return where


def _check_index(index: Path, where: dict[str, str] | None, checkpoint: TensorReader) -> None:
    if where is None:
        return
    for problem, names in (
        ("names a tensor that no shard holds", set(where) - set(checkpoint.tensors)),
        ("does not name a tensor that a shard holds", set(checkpoint.tensors) - set(where)),
    ):
        if names:
            raise ConversionError(f"{index}: {problem}: {sorted(names)[0]} ({len(names)} in all)")


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")
