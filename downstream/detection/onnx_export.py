"""A model as ONNX files beside the package, each checked by onnxruntime against the detection that users run.

    FOLDER/clips_to_scores.onnx       pixels of a whole video's snippets in, scores out
    FOLDER/clips_to_features.onnx     the first half, for long videos: a few snippets at a time
    FOLDER/features_to_scores.onnx    the second half: features of a whole video in, scores out
    FOLDER/onnx.json                  shapes, the clip, the threshold, what was compared, what could not be exported

Nothing is rounded to half precision between the halves, as stored features are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from downstream.detection.graphs import ClipsToFeatures, ClipsToScores, FeaturesToScores
from downstream.detection.model import DetectorGroup, EncoderSource, Model
from downstream.detector.inference import score_block
from downstream.features.cells import CellNetwork
from downstream.features.encoders import Encoder, VideoNetwork
from downstream.features.image_tower import ImageTower
from downstream.features.normalising import normalised
from downstream.features.snippets import clip_offsets
from downstream.scores.ensemble import mean_scores, weights_of_runs
from downstream.scores.log_odds import log_odds
from pretrain.errors import UserError
from pretrain.export import LARGEST_ONNX_BYTES, TOLERANCE, ExportError, onnx_program, require_onnx, weight_bytes
from pretrain.files import replacing, write_json

FORMAT = "anomaly-pretext/onnx/1"
CARD = "onnx.json"
CLIPS_TO_FEATURES, FEATURES_TO_SCORES, CLIPS_TO_SCORES = (
    f"{name}.onnx" for name in ("clips_to_features", "features_to_scores", "clips_to_scores")
)
LENGTHS = (1, 2, 37)
"""Snippets of the videos of features that are compared."""
CLIP_LENGTHS = (1, 3)
"""Of those of clips, which take memory."""


def export_model(model: Model, folder: Path) -> list[str]:
    """Write the files into a folder and return what to tell of them, a line each.

    UserError without the packages, for models that no graph can say; ExportError where a file does not say what the
    model does, of which nothing is left then.
    """
    require_onnx()
    group = only_group(model)
    folder.mkdir(parents=True, exist_ok=True)
    score = FeaturesToScores(
        group,
        [source.encoder.dim for source in group.sources],
        [source.encoder.motion for source in group.sources],
    )
    why_not = _no_clips(group)
    entries: dict[str, Any] = {}
    with ExitStack() as files:  # all, or none

        def write(name: str, module: nn.Module, given: Sequence[Tensor], expected: Sequence[list[Tensor]]) -> None:
            temporary = files.enter_context(replacing(folder / name))
            entries[name] = _write(name, module.eval(), temporary, given, expected)

        features = [_random_features(group, length) for length in LENGTHS]
        write(FEATURES_TO_SCORES, score, features, [said(group, values) for values in features])
        if not why_not:
            (source,) = group.sources
            encode = ClipsToFeatures(source.encoder)
            clips = [_random_clips(source, length) for length in CLIP_LENGTHS]
            encoded = [_features(source.encoder, values) for values in clips]
            write(CLIPS_TO_FEATURES, encode, clips, [[values] for values in encoded])
            scores = [said(group, values.unsqueeze(0)) for values in encoded]
            write(CLIPS_TO_SCORES, ClipsToScores(encode, score), clips, scores)
        card = files.enter_context(replacing(folder / CARD))
        write_json(card, _card(model, group, entries, why_not))
    told = [
        f"{name}: largest difference to PyTorch {entry['largest_difference']:.1e}" for name, entry in entries.items()
    ]
    return told + ([f"clips in, scores out: not exported, {why_not}"] if why_not else [])


def only_group(model: Model) -> DetectorGroup:
    """What can be one graph. UserError: detectors on several kinds of features."""
    if len(model.groups) > 1:
        raise UserError(
            f"{model.path} holds detectors on {len(model.groups)} kinds of features; one graph of them would "
            "run every backbone: export each by itself, and take the mean of their log odds"
        )
    return model.groups[0]


def _no_clips(group: DetectorGroup) -> str:
    """Why there is no graph from clips on, in words; an empty string where there is one."""
    if len(group.sources) > 1:
        return f"its features are of {len(group.sources)} encoders side by side, which read different clips"
    (source,) = group.sources
    network = source.encoder.network
    if source.settings.crops != 1:
        return f"its features are of {source.settings.crops} crops; extract with one to have it"
    if isinstance(network, CellNetwork) or not isinstance(network, (VideoNetwork, ImageTower)):
        return f"'{source.encoder.name}' is no network of PyTorch; run its own file before features_to_scores.onnx"
    if weight_bytes(network) > LARGEST_ONNX_BYTES:
        return f"'{source.encoder.name}' has {weight_bytes(network) / 1e9:.1f} GB of weights, and a file holds 2"
    return ""


def _write(
    name: str, module: nn.Module, path: Path, given: Sequence[Tensor], expected: Sequence[list[Tensor]]
) -> dict[str, Any]:
    of_clips = given[0].dtype == torch.uint8
    dynamic = {0 if of_clips else 1: torch.export.Dim("snippets")} | (
        {} if of_clips else {0: torch.export.Dim("crops")}
    )
    outputs = ["features"] if name == CLIPS_TO_FEATURES else ["scores", "log_odds"]
    example = given[-1] if of_clips else given[-1].expand(2, -1, -1).contiguous()
    with torch.random.fork_rng(devices=[]):
        try:
            program = onnx_program(module, example, dynamic, "clips" if of_clips else "features", outputs, {})
        except Exception as error:  # the exporter's own, of many kinds
            raise UserError(
                f"{name} cannot be made: torch's ONNX exporter does not take this network "
                f"({_first_line(error)}). Use the package as it is (detect)"
            ) from error
        program.save(str(path), external_data=False)
    largest = compare(name, _run(path, given), expected)
    return {
        "input": {"name": "clips" if of_clips else "features", "shape": _shape(given[0]), "type": _type(given[0])},
        "outputs": {output: ["snippets", *expected[0][0].shape[1:]] for output in outputs},
        "largest_difference": largest,
    }


def _shape(values: Tensor) -> list[int | str]:
    if values.dtype == torch.uint8:
        return ["snippets", *values.shape[1:]]
    return ["crops", "snippets", values.shape[2]]


def _type(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


def _run(path: Path, given: Sequence[Tensor]) -> list[list[Tensor]]:
    """Every output for each input."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return [[torch.from_numpy(output) for output in session.run(None, {name: values.numpy()})] for values in given]


def compare(name: str, found: Sequence[Sequence[Tensor]], expected: Sequence[Sequence[Tensor]]) -> float:
    """The largest difference: of scores as they are, of features and log odds as a share of the largest above 1.

    ExportError where it is more than `TOLERANCE`.
    """
    differences = []
    for mine, wanted in (
        (a, b) for one, other in zip(found, expected, strict=True) for a, b in zip(one, other, strict=True)
    ):
        if mine.shape != wanted.shape:
            raise ExportError(f"{name} gives {tuple(mine.shape)}, not {tuple(wanted.shape)}; no file was left")
        differences.append((mine - wanted).abs().max() / max(1.0, float(wanted.abs().max())))
    largest = float(torch.stack(differences).max())
    if not largest <= TOLERANCE:  # NaN fails too
        raise ExportError(
            f"what {name} says differs from PyTorch by {largest:.2g}; at most {TOLERANCE:g} is let through; no file "
            "was left. Use the package as it is (detect)"
        )
    return largest


def _random_clips(source: EncoderSource, snippets: int) -> Tensor:
    """uint8 (snippets, clips, frames, height, width, 3): a picture that moves, and noise."""
    clip = source.encoder.view(source.settings.snippet_frames).clip
    clips = len(clip_offsets(source.settings.snippet_frames, clip.frames, clip.stride))
    generator = torch.Generator().manual_seed(snippets)
    shape = (snippets, clips, clip.frames, clip.height, clip.width, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def _random_features(group: DetectorGroup, snippets: int) -> Tensor:
    """float32 (1, snippets, dim), about as the training features were, where the detector says so."""
    dim, generator = sum(source.encoder.dim for source in group.sources), torch.Generator().manual_seed(snippets)
    buffers = dict(group.detectors[0].named_buffers())
    mean = buffers.get("input_mean", buffers.get("mean", torch.zeros(dim))).cpu().float()
    scale = buffers.get("input_scale", torch.ones(dim)).cpu().float()
    deviation = torch.where(scale > 0, 1 / scale.clamp(min=1e-6), 1.0)
    return mean + deviation * torch.randn(1, snippets, dim, generator=generator)


@torch.inference_mode()
def _features(encoder: Encoder, clips: Tensor) -> Tensor:
    """What the encoder makes of uint8 (snippets, clips, ...): the mean over clips, on the CPU."""
    device = next(encoder.network.parameters()).device
    flat = encoder.features(clips.flatten(0, 1).to(device)).cpu()
    return flat.unflatten(0, clips.shape[:2]).mean(dim=1)


def said(group: DetectorGroup, features: Tensor) -> list[Tensor]:
    """Scores and log odds that detection makes of raw features (crops, snippets, dim): by its own code."""
    sets = features.transpose(0, 1).split([source.encoder.dim for source in group.sources], dim=2)
    parts = [
        torch.from_numpy(normalised(values.numpy(), group.normalise, motion=source.encoder.motion))
        for values, source in zip(sets, group.sources, strict=True)
    ]
    values = torch.cat(parts, dim=2).contiguous()
    device = next(group.detectors[0].buffers()).device
    scores = [score_block(detector, values.to(device)).mean(axis=1) for detector in group.detectors]
    mean = mean_scores(scores, weights_of_runs(group.runs))
    return [torch.from_numpy(values).float() for values in (mean, log_odds(mean))]


def _card(model: Model, group: DetectorGroup, entries: Mapping[str, Any], why_not: str) -> dict[str, Any]:
    """For whoever runs the files without our code."""
    source = group.sources[0]
    clip = source.encoder.view(source.settings.snippet_frames).clip
    pixels = {
        "snippet_frames": source.settings.snippet_frames,
        "frames_of_clips": clip_offsets(source.settings.snippet_frames, clip.frames, clip.stride).tolist(),
        "border_crop": list(source.encoder.border_crop),
        "height": clip.height,
        "width": clip.width,
        "colours": "RGB, 0 to 255; normalised inside",
    }
    return {
        "format": FORMAT,
        "encoders": [each.encoder.name for each in group.sources],
        "detectors": list(group.names),
        "threshold": model.rule.threshold,
        "release": model.rule.release,
        "threshold_from": model.rule_from,
        **({} if why_not else {"clips": pixels}),
        **({"no_clips_to_scores": why_not} if why_not else {}),
        "whole_video": "a score depends on the whole video: give all of its snippets at once, in order, unpadded",
        "files": dict(entries),
    }


def _first_line(error: Exception) -> str:
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    return (str(root).strip().splitlines() or [type(root).__name__])[0][:300]
