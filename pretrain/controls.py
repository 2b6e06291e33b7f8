"""Controls: the tasks with their signal taken away. An accuracy above chance there is a shortcut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import av
import numpy as np
import torch
from accelerate import Accelerator

from pretrain.backbones import build_backbone
from pretrain.checkpoint import load_weights, newest_state
from pretrain.cli import flags_of, parse
from pretrain.config import PretrainConfig
from pretrain.data.motion import motion_profile
from pretrain.data.settings import Control
from pretrain.data.transforms import ClipTransform
from pretrain.data.video import probe, read_frames
from pretrain.data.windows import Source, ValidationWindows
from pretrain.data.x264 import REPEATABLE
from pretrain.errors import UserError
from pretrain.intervals import Accuracy
from pretrain.model import PretextModel
from pretrain.path_words import what_is_at
from pretrain.prepare import prepare_videos, window_reader
from pretrain.run_folder import CONFIG_FILE, as_json, is_of_kind, read_saved
from pretrain.validate import validation_accuracy


def control_accuracies(
    run: Path, accelerator: Accelerator, windows_per_video: int, workers: int, codec: bool = False
) -> dict[str, dict[str, Accuracy]]:
    """Accuracy of a run's tasks on its validation videos, as they are and under each control, by control and task.

    Frames are augmented as in training, noise and jitter of each frame included: what is left in a control is all that
    could give a label away, except the signal. With `codec` two more: `encoded` (validation videos encoded again) and
    `reversed` (their frames reversed, then encoded). Compression has a direction in time of its own; a task that
    reads it still calls a reversed film forward, one that reads motion calls it backward.
    UserError where the run has no training state.
    """
    config = read_config(run)
    state = newest_state(run / "checkpoints")
    if state is None:
        raise UserError(f"{run} holds no whole training state: let the run save one first (save_every)")
    model = PretextModel(build_backbone(replace(config.backbone, weights=None, download=False)), config.tasks)
    load_weights(state, model)
    model = model.to(accelerator.device)
    spec = model.backbone.spec
    reader = window_reader(config, spec)
    videos = prepare_videos(config, reader.geometry.window_frames, 0, 1, accelerator.wait_for_everyone)
    transform = ClipTransform(spec.clip).to(accelerator.device)
    torch.manual_seed(config.seed)
    found: dict[str, dict[str, Accuracy]] = {}
    for control in get_args(Control):
        windows = ValidationWindows(
            videos.validation, replace(reader, control=control), windows_per_video, config.seed, config.augmentation
        )
        found[control] = validation_accuracy(model, transform, windows, accelerator, workers)
    if codec:
        with TemporaryDirectory() as folder:
            for name, backward in (("encoded", False), ("reversed", True)):
                again = [encode_again(source, Path(folder) / name, backward) for source in videos.validation]
                plain = replace(reader, control="none", index_cache=None, reader="pyav")
                windows = ValidationWindows(again, plain, windows_per_video, config.seed)
                found[name] = validation_accuracy(model, transform, windows, accelerator, workers)
    return found


def encode_again(source: Source, folder: Path, backward: bool) -> Source:
    """The source's frames encoded with x264, as they are or last frame first."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{source.name}.mp4"
    frames = read_frames(source.path, range(source.info.num_frames))
    height, width = (length // 2 * 2 for length in frames.shape[1:3])
    with av.open(str(target), "w") as container:
        stream = container.add_stream(
            "libx264", rate=round(source.info.fps), options={"preset": "veryfast"} | REPEATABLE
        )
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for frame in frames[::-1] if backward else frames:
            picture = np.ascontiguousarray(frame[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    profile = motion_profile(source.path) if source.motion is None else source.motion
    motion = profile[::-1].copy() if backward else profile
    return replace(source, path=str(target), info=probe(target), motion=motion)


def read_config(run: Path) -> PretrainConfig:
    """The configuration that a run saved. UserError where `run` is no run folder."""
    file = run / CONFIG_FILE
    if not file.exists():
        if not run.is_dir():
            raise UserError(f"{what_is_at(run)}; give the --output folder of pretrain.py")
        raise UserError(f"{run} is not a run folder: it has no config.json; give the --output folder of pretrain.py")
    saved = read_saved(file)
    if not is_of_kind(saved, PretrainConfig()):
        raise UserError(f"{run} is a run of another command; give the --output folder of pretrain.py")
    unknown = sorted(saved.keys() - as_json(PretrainConfig()).keys())
    if unknown:
        raise UserError(f"{file} is of another version: it has {', '.join(unknown)}; start the run anew")
    return parse(PretrainConfig, flags_of(saved), CONFIG_FILE)
