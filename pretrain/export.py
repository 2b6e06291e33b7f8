"""Exporting a backbone for programs without our code: ONNX and torch.export, each checked before it gets its name."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pretrain.backbones import Backbone, BackboneSpec
from pretrain.backbones.weights import WEIGHTS_FILE
from pretrain.errors import UserError
from pretrain.files import replacing

TOLERANCE = 1e-4
"""Largest absolute difference to PyTorch's features that an exported file may show, for batches of 1 and of 3."""
BATCHES = (1, 3)
LARGEST_ONNX_BYTES = 2_000_000_000
"""A single ONNX file is one protobuf message, which ends at 2 GiB."""

Run = Callable[[list[torch.Tensor]], list[torch.Tensor]]


class ExportError(UserError):
    """The exported program does not give the backbone's features; no file was left."""


class PooledBackbone(nn.Module):
    """Clips (B, 3, T, H, W), normalised -> features (B, D): what is exported."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Clips float32 (B, 3, T, H, W) -> features (B, D)."""
        return self.backbone.pool(self.backbone(clips))


def export_onnx(backbone: Backbone, path: Path) -> float:
    """Write `path` (input `clips`, output `features`, any batch size); return the largest difference to PyTorch.

    Raises UserError without the onnx packages or past 2 GB, ExportError where onnxruntime gives other features.
    """
    require_onnx()
    size = weight_bytes(backbone)
    if size > LARGEST_ONNX_BYTES:
        raise UserError(
            f"'{backbone.spec.name}' has {size / 1e9:.1f} GB of weights; one ONNX file holds 2. Use --torch-export"
        )
    module = PooledBackbone(backbone).eval()
    given, batch = _random_clips(backbone, 2), {0: torch.export.Dim("batch")}
    program = onnx_program(module, given, batch, "clips", ["features"], onnx_metadata(backbone.spec))
    with replacing(path) as temporary:
        program.save(str(temporary), external_data=False)
        return _check("ONNX", module, backbone, lambda clips: _run_onnx(temporary, clips))


def weight_bytes(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers."""
    return sum(tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), *module.buffers()))


def onnx_program(
    module: nn.Module,
    given: torch.Tensor,
    dynamic: Mapping[int, Any],
    input_name: str,
    output_names: Sequence[str],
    metadata: Mapping[str, str],
) -> Any:
    """torch's ONNX program of a module of one input, whose dimensions `dynamic` are open; nothing is checked."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of the exporter about itself
        program = torch.onnx.export(
            module,
            (given,),
            input_names=[input_name],
            output_names=list(output_names),
            dynamic_shapes=(dict(dynamic),),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # source lines with the paths of the exporting machine
    program.model.metadata_props.update(metadata)
    return program


def export_program(backbone: Backbone, path: Path) -> float:
    """Write `path` with torch.export (any batch size), run it in a fresh process; return the largest difference.

    Raises ExportError where that process gives other features.
    """
    module = PooledBackbone(backbone).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = torch.export.Dim("batch")
        program = torch.export.export(module, (_random_clips(backbone, 2),), dynamic_shapes=({0: batch},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # the paths of the exporting machine
    with replacing(path) as temporary:
        torch.export.save(program, temporary)
        return _check("torch.export", module, backbone, lambda clips: _run_program(temporary, clips))


def _check(what: str, module: nn.Module, backbone: Backbone, run: Run) -> float:
    clips = [_random_clips(backbone, batch) for batch in BATCHES]
    differences = []
    for given, found in zip(clips, run(clips), strict=True):
        with torch.no_grad():
            expected = module(given)
        if found.shape != expected.shape:
            raise ExportError(
                f"the {what} file gives shape {tuple(found.shape)} for a batch of {len(given)}, "
                f"not {tuple(expected.shape)}; no file was left. Use {WEIGHTS_FILE}"
            )
        differences.append((found - expected).abs().max())
    largest = float(torch.stack(differences).max())  # unlike Python's max, NaN wins
    if not largest <= TOLERANCE:  # written so that NaN fails too
        raise ExportError(
            f"the {what} file's features differ from PyTorch's by {largest:.2g}; at most {TOLERANCE:g} is let "
            f"through; no file was left. Use {WEIGHTS_FILE}"
        )
    return largest


def onnx_metadata(spec: BackboneSpec) -> dict[str, str]:
    """What an ONNX file says of the clips that it was made for."""
    values = {"architecture": spec.name, "mean": spec.clip.mean, "std": spec.clip.std, "clip_stride": spec.clip.stride}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def _random_clips(backbone: Backbone, batch: int) -> torch.Tensor:
    spec = backbone.spec
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, 3, spec.clip.frames, spec.clip.height, spec.clip.width, generator=generator)


def _run_onnx(path: Path, clips: list[torch.Tensor]) -> list[torch.Tensor]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(session.run(["features"], {"clips": given.numpy()})[0]) for given in clips]


_RUN_PROGRAM = """
import sys, torch
from safetensors.torch import load_file, save_file
network = torch.export.load(sys.argv[1]).module()
with torch.no_grad():
    save_file({key: network(clips).contiguous() for key, clips in load_file(sys.argv[2]).items()}, sys.argv[3])
"""


def _run_program(path: Path, clips: list[torch.Tensor]) -> list[torch.Tensor]:
    """Features from a process that has loaded neither our code nor the model's."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "clips.safetensors", Path(folder) / "features.safetensors"
        save_file({str(index): batch for index, batch in enumerate(clips)}, given)
        command = [sys.executable, "-c", _RUN_PROGRAM, str(path.resolve()), str(given), str(found)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        if finished.returncode != 0:
            raise ExportError(f"a fresh process could not run the torch.export file:\n{finished.stderr[-2000:]}")
        features = load_file(found)
        return [features[str(index)] for index in range(len(clips))]


def require_onnx() -> None:
    """UserError naming the packages that are not installed."""
    missing = []
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            importlib.import_module(package)
        except ImportError:
            missing.append(package)
    if missing:
        raise UserError(f"--onnx needs {', '.join(missing)}, not installed here: pip install 'anomaly-pretext[onnx]'")
