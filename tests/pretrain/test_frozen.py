"""Pretraining on a frozen image network, on kept maps and on pixels, from videos to a detector."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from downstream.features.encoders import EncoderConfig
from downstream.features.extract import ExtractConfig, extract
from downstream.features.store import FeatureSet
from downstream.scores.score_file import read_scores
from downstream.training.config import DetectorOptimConfig, FeaturesConfig, FinetuneConfig
from downstream.training.finetune import finetune
from pretrain.backbones import build_backbone, load_backbone
from pretrain.checkpoint import read_meta, whole_states
from pretrain.config import PretrainConfig
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.transforms import ClipTransform, MapTransform
from pretrain.data.video import VideoError
from pretrain.data.windows import Source, ValidationWindows, WindowReader
from pretrain.errors import UserError
from pretrain.frozen import kept_maps
from pretrain.model import PretextModel
from pretrain.prepare import prepare_videos, window_reader
from pretrain.train import pretrain
from pretrain.validate import device_clips
from tests.pretrain.conftest import changed
from tests.pretrain.test_train import assert_same_state, final_tensors


@pytest.fixture
def frozen_config(tiny_config: PretrainConfig, tmp_path: Path) -> PretrainConfig:
    """A frozen image network whose weights come from a file, maps in a folder of their own."""
    torch.manual_seed(5)
    net = build_backbone(dataclasses.replace(tiny_config.backbone, name="timm/test_resnet")).net
    save_file(net.state_dict(), tmp_path / "image.safetensors")
    config = changed(tiny_config, data__cache=tmp_path / "cache", backbone__name="timm/test_resnet")
    config = changed(config, backbone__freeze=True, backbone__weights=tmp_path / "image.safetensors")
    return changed(config, backbone__clip_frames=8, optim__steps=4)


def maps_of(config: PretrainConfig) -> list[Path]:
    assert config.data.cache is not None
    return sorted(path for path in config.data.cache.glob("maps/*/*/*.npy") if not path.name.startswith("."))


@pytest.mark.parametrize("maps_gb", [50.0, 0.0])
def test_the_image_network_stays_as_its_file_is_and_the_temporal_module_trains(
    frozen_config: PretrainConfig, maps_gb: float
) -> None:
    config = changed(frozen_config, data__maps_gb=maps_gb)
    assert pretrain(config) == 0
    assert len(maps_of(config)) == (6 if maps_gb else 0)
    start, written = (
        load_file(path) for path in (config.backbone.weights, config.output / "backbone" / "backbone.safetensors")
    )
    assert all(torch.equal(start[key], written[key]) for key in start), "running statistics too"
    torch.manual_seed(config.seed)
    at_start = build_backbone(config.backbone).mixing
    assert at_start is not None
    trained_module = load_file(config.output / "backbone" / "temporal_mixing.safetensors")
    assert all(not torch.equal(trained_module[key], value) for key, value in at_start.state_dict().items())
    state = whole_states(config.output / "checkpoints")[-1]
    trained = sum(len(group["params"]) for group in read_meta(state)["optimizer"]["param_groups"])
    weights = [key for key in final_tensors(config.output) if key.startswith("model.") and ".net." not in key]
    assert trained == len(weights), "of the image network the optimiser keeps nothing"


def test_kept_maps_give_the_numbers_of_pixels(frozen_config: PretrainConfig) -> None:
    """The same validation windows, which no augmentation changes, through both ways."""
    torch.manual_seed(0)
    backbone = build_backbone(frozen_config.backbone)
    model = PretextModel(backbone, frozen_config.tasks).eval()
    on_maps = PretextModel(backbone, frozen_config.tasks, on_maps=True).eval()
    on_maps.load_state_dict(model.state_dict())
    pixels = window_reader(frozen_config, backbone.spec)
    videos = prepare_videos(frozen_config, pixels.geometry.window_frames, 0, 1, lambda: None)
    maps, kept = kept_maps(frozen_config, backbone, pixels, videos, Accelerator(cpu=True))
    assert kept == videos
    device = torch.device("cpu")
    batches = [ValidationWindows(videos.train, reader, 1, seed=0)[2] for reader in (pixels, maps)]
    assert torch.equal(batches[0].labels, batches[1].labels)
    with torch.no_grad():
        expected = model(device_clips(batches[0], ClipTransform(backbone.spec.clip), device))
        found = on_maps(device_clips(batches[1], MapTransform(), device))
    for task in expected:
        # what half precision leaves, beside how far clips are apart
        assert (found[task] - expected[task]).abs().max() < 0.05 * expected[task].std(dim=0).max(), task


def test_mirrored_maps_are_mirrored_and_the_others_are_not() -> None:
    maps = torch.arange(2 * 3 * 2 * 4 * 5.0).reshape(2, 3, 2, 4, 5).half()
    crops = torch.tensor([[0, 0, 1.0, 1], [0, 0, -1, 1]])
    plain, mirrored = MapTransform()(maps, [crops])
    assert plain.shape == (5, 3, 2, 4)
    assert torch.equal(plain, maps[0].float().movedim(-1, 0))
    assert torch.equal(mirrored, maps[1].float().movedim(-1, 0).flip(3))


def test_of_the_augmentations_mirroring_alone_is_drawn_for_maps(frozen_config: PretrainConfig) -> None:
    drawn = changed(frozen_config, augment__min_crop_area=0.35).augmentation
    assert (drawn.flip, drawn.min_crop_area, drawn.noise, drawn.frame_jitter) == (True, 1.0, 0.0, 0.0)
    assert not changed(frozen_config, augment__flip=False).augmentation.flip
    on_pixels = changed(frozen_config, data__maps_gb=0.0)
    assert on_pixels.augmentation == on_pixels.augment


def test_killed_among_the_maps_it_goes_on_to_the_same_weights(frozen_config: PretrainConfig) -> None:
    whole = changed(frozen_config, output=frozen_config.output.with_name("whole"))
    assert pretrain(whole) == 0
    for path in maps_of(whole)[1::2]:  # a kill -9 leaves some whole, and one half-made
        half = path.rename(path.with_name(f".{path.stem}.123.tmp.npy"))
        os.utime(half, ns=(1, 1))
    left = {path: path.stat().st_ino for path in maps_of(whole)}
    assert pretrain(frozen_config) == 0
    made = {path: path.stat().st_ino for path in maps_of(frozen_config)}
    assert len(made) == 6
    assert left.items() < made.items(), "what was whole was not made again"
    assert frozen_config.data.cache is not None
    assert not list(frozen_config.data.cache.glob("maps/*/*/.*.tmp.npy"))
    assert_same_state(whole.output, frozen_config.output)


def test_a_video_that_breaks_off_is_left_out_and_named(
    frozen_config: PretrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = WindowReader.read

    def breaking(self: WindowReader, source: Source, frames: np.ndarray) -> np.ndarray:
        if source.name == "clip1" and self.maps is None and frames.max() > 70:
            raise VideoError(f"{source.path}: frame 71 cannot be decoded")
        return real(self, source, frames)

    monkeypatch.setattr(WindowReader, "read", breaking)
    with pytest.raises(
        UserError, match=r"1 of 6 videos cannot be read, more than .*\n  - .*frame 71 cannot be decoded"
    ):
        pretrain(frozen_config)
    config = changed(frozen_config, data__max_bad_fraction=0.2)
    assert pretrain(config) == 0
    videos = json.loads((config.output / "videos.json").read_text())
    assert list(videos["unreadable"]) == ["clip1"]
    assert "clip1" not in (*videos["train"], *videos["validation"])


def test_stopped_and_resumed_equals_uninterrupted(frozen_config: PretrainConfig) -> None:
    whole = changed(frozen_config, output=frozen_config.output.with_name("whole"))
    assert pretrain(whole) == 0
    assert pretrain(changed(frozen_config, save_every=2)) == 0
    newest = frozen_config.output / "checkpoints" / "step-00000004"
    (newest / "state.json").unlink()  # as if killed before it was whole
    assert pretrain(changed(frozen_config, save_every=2, resume=True)) == 0
    assert_same_state(whole.output, frozen_config.output)


def test_too_little_room_is_said_before_anything_is_computed(frozen_config: PretrainConfig) -> None:
    with pytest.raises(UserError, match=r"data.maps_gb is 1e-05; the maps .* need .* Raise it, .* or set it to 0"):
        pretrain(changed(frozen_config, data__maps_gb=1e-5))
    assert not maps_of(frozen_config)
    with pytest.raises(UserError, match=r"data.maps_gb is -1; it must be 0"):
        changed(frozen_config, data__maps_gb=-1)


def test_what_was_trained_is_extracted_and_detects_as_any_backbone(
    frozen_config: PretrainConfig, clips_folder: Path, tmp_path: Path
) -> None:
    assert pretrain(frozen_config) == 0
    rows = [
        f"{clips_folder}/clip{i}.mp4,{i % 2},{'test' if i > 3 else 'train'},{'5:20' if i == 5 else ''}"
        for i in range(6)
    ]
    (tmp_path / "videos.csv").write_text("\n".join(["path,label,split,spans", *rows]) + "\n")
    catalogue = CatalogueConfig(kind="csv", root=tmp_path)
    encoder = EncoderConfig(backbone=str(frozen_config.output), motion=False)
    out = tmp_path / "features"
    assert extract(ExtractConfig(out=out, encoder=encoder, catalogue=catalogue, dtype="float32", device="cpu")) == 0
    features = FeatureSet.open(out)
    backbone, _ = load_backbone(frozen_config.output)
    assert (features.spec.dim, features.spec.output) == (backbone.spec.feature_dim, "mixed_map") == (128, "mixed_map")
    detectors = FinetuneConfig(
        output=tmp_path / "detector",
        device="cpu",
        plots=False,
        select="last",
        catalogue=catalogue,
        features=FeaturesConfig(sets=(out,)),
        optim=DetectorOptimConfig(steps=4, batch_size=4, warmup_steps=1),
        validation_fraction=0.5,
    )
    assert finetune(detectors) == 0
    scores = read_scores(tmp_path / "detector" / "seed-0" / "test_scores.json").videos
    assert [video.name for video in scores] == ["clip4", "clip5"]
    assert all(np.isfinite(video.scores).all() for video in scores)
