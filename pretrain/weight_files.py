"""Reading tensors: safetensors, and PyTorch's own files with the restricted unpickler. Nothing else is ever run.

Limits: a regular file; no compressed archive; as many bytes as its header promises; at most `MAX_TENSORS` tensors. A
file that is something else (a Git-LFS pointer, a web page) is called that. Weights are finite numbers.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from pretrain.errors import UserError
from pretrain.reading import Unreadable, open_regular, require_regular

MAX_TENSORS = 100_000
"""In one file; the largest networks of timm have 2,000."""
HEADER_BYTES = 64 << 20
"""Largest header of a safetensors file."""
_LFS = b"version https://git-lfs.github.com/spec/"
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")


def read_safetensors(path: Path, what: str = "weights") -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a safetensors file; UserError where it is damaged, or is something else.

    `what` it should hold, for the message. Whether the numbers are finite is not looked at: see `refuse_not_finite`.
    """
    try:
        check_safetensors(path)
        with safe_open(str(path), framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except UserError:
        raise
    except Exception as error:  # the library's own, and those of Python for types that it does not know
        refuse_other_content(path, what)
        raise UserError(
            f"{path} is no readable safetensors file ({_in_a_line(error)}); copy it again, it may have been cut short"
        ) from error


def check_safetensors(path: Path) -> None:
    """Unreadable where a file is not regular, its header is larger than stated, or has too many entries.

    Before the library looks at it: it waits for pipes, and makes many objects of a header of any size.
    """
    size = require_regular(path)
    with open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            raise Unreadable(f"its header should have {length:,} bytes, and the file has {size:,}")
        if length > HEADER_BYTES:
            raise Unreadable(f"its header has {length:,} bytes, and at most {HEADER_BYTES:,} are read")
        if file.read(length).count(b'"dtype"') > MAX_TENSORS:
            raise Unreadable(f"it names more than {MAX_TENSORS:,} tensors")


def stored_shapes(path: Path, what: str) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a safetensors file, from its header alone; UserError as `read_safetensors`."""
    try:
        check_safetensors(path)
        with safe_open(str(path), framework="pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except Exception as error:
        refuse_other_content(path, what)
        raise UserError(f"{path} is no readable safetensors file ({_in_a_line(error)}); copy it again") from error


ASK_FOR_WEIGHTS = "Ask whoever made it for the weights alone, as a .safetensors file or a state dict"


def read_torch(path: Path, what: str = "weights", mend: str = ASK_FOR_WEIGHTS) -> Any:
    """What a PyTorch file (.pth) holds, by the restricted unpickler; UserError where it is damaged, or another thing.

    Files that hold more than tensors are refused, whoever made them. `what` it should hold, and the `mend` where it
    holds more, for the message.
    """
    try:
        _refuse_bomb(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        refuse_other_content(path, what)
        if not _is_pickle(path):
            raise UserError(f"{path} is no readable PyTorch file (it begins like none); copy it again") from error
        raise UserError(
            f"{path} holds more than tensors, and unpickling it could run anything; it is not opened. {mend}"
        ) from error
    except Exception as error:  # damaged bytes lead the restricted unpickler into errors of any kind
        refuse_other_content(path, what)
        raise UserError(f"{path} is no readable PyTorch file ({_first_line(error)}); copy it again") from error


def _refuse_bomb(path: Path) -> None:
    """PyTorch stores without compression: whatever unpacks to more than the file has bytes is no file of its own."""
    size = require_regular(path)
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if len(entries) > MAX_TENSORS:
        raise Unreadable(f"an archive of {len(entries):,} entries; at most {MAX_TENSORS:,} are read")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise Unreadable("a compressed archive; PyTorch's own files are not compressed")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > size:
        raise Unreadable(f"an archive that says it unpacks to {unpacked:,} bytes, and has {size:,}")


def refuse_other_content(path: Path, what: str) -> None:
    """UserError naming what a file is instead of `what` it should hold, where its first bytes say it."""
    try:
        with open_regular(path) as file:
            start = file.read(1024)
    except (Unreadable, OSError):
        return
    lowered = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if lowered.startswith(_LFS):
        raise UserError(
            f"{path} is a Git-LFS pointer, a note of where the {what} lie, not these themselves; fetch them with "
            "`git lfs pull`, or download the file itself"
        )
    if lowered.startswith(_PAGES):
        raise UserError(
            f"{path} is a web page, not {what}: the address that it was saved from showed one (a log-in, an error, or "
            "a preview); download the file itself"
        )


def refuse_not_finite(tensors: Mapping[str, Tensor], source: str) -> None:
    """UserError naming the first tensor with NaN, or infinite numbers; masks may be infinite.

    `source` they were read from. Networks with such weights give NaN for every video, far from here.
    """
    for name, tensor in tensors.items():
        if not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        if tensor.layout != torch.strided:
            raise UserError(f"{source}: the tensor '{name}' is stored as {tensor.layout}; store it as a plain one")
        values = tensor.float() if tensor.element_size() == 1 else tensor  # PyTorch does not look at float8 itself
        wrong = torch.isnan(values) if name.endswith("mask") else ~torch.isfinite(values)
        if bool(wrong.any()):
            raise UserError(
                f"{source}: {int(wrong.sum())} of {tensor.numel()} numbers of the tensor '{name}' are not finite (NaN "
                "or infinite); the file is damaged, or its training failed: give other weights"
            )


def _is_pickle(path: Path) -> bool:
    with open_regular(path) as file:
        return zipfile.is_zipfile(path) or file.read(1) == b"\x80"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def state_sha256(state: Iterable[tuple[str, Tensor]]) -> str:
    """Hex SHA-256 of weights by name: keys in order, each with its type, shape and bytes.

    The counters of batch normalisation, which take no part in the output, are left out.
    """
    digest = hashlib.sha256()
    for key, value in sorted(state, key=lambda item: item[0]):
        if key.endswith("num_batches_tracked"):
            continue
        plain = value.detach().cpu().contiguous()
        digest.update(f"{key} {plain.dtype} {tuple(plain.shape)}\n".encode())
        digest.update(plain.view(torch.uint8).numpy().tobytes() if plain.ndim else plain.numpy().tobytes())
    return digest.hexdigest()
