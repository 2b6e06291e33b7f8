"""Folders that look like a model and are none, or one that is not read; no transformers is needed for that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pretrain.backbones.hugging_face_folder import check_weight_files, is_model_folder, read_config, read_pixels
from pretrain.errors import UserError
from tests.pretrain.backbones.tiny_hugging_face import write_pixels

CONFIG = {"model_type": "videomae", "hidden_size": 24, "num_frames": 4, "auto_map": {"AutoModel": "evil.Model"}}


def write(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content))


def test_only_what_makes_the_network_is_read(tmp_path: Path) -> None:
    write(tmp_path, "config.json", CONFIG | {"quantization_config": {"load_in_4bit": True}, "torch_dtype": "float16"})
    assert is_model_folder(tmp_path)
    assert read_config(tmp_path) == ("videomae", {"hidden_size": 24, "num_frames": 4})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"model_type": "bert"}, r"a model of type 'bert'; .*videomae, vjepa2, timesformer.*onnx/FILE"),
        ({"hidden_size": 10**9}, r"hidden_size is 1000000000, not a whole number from 1 to 16,384"),
        ({"num_channels": 4}, r"num_channels is 4, not 3"),
        ({"model_type": 3}, r"model_type is 3, not text"),
    ],
)
def test_other_models_and_absurd_sizes(change: dict[str, Any], text: str, tmp_path: Path) -> None:
    write(tmp_path, "config.json", CONFIG | change)
    with pytest.raises(UserError, match=text):
        read_config(tmp_path)


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*nothing of a Hugging Face model.*nothing is fetched"):
        read_config(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"has no config.json"):
        read_config(tmp_path)
    with pytest.raises(UserError, match=r"does not say how pixels are normalised"):
        read_pixels(tmp_path)


def test_every_way_to_say_how_pixels_are_normalised(tmp_path: Path) -> None:
    write_pixels(tmp_path)
    assert read_pixels(tmp_path).mean == (0.4, 0.5, 0.6)
    write_pixels(tmp_path, do_rescale=False, image_mean=[102.0, 127.5, 153.0], image_std=[51.0, 51.0, 51.0])
    pixels = read_pixels(tmp_path)
    assert pixels.mean == pytest.approx((0.4, 0.5, 0.6))
    assert pixels.std == pytest.approx((0.2, 0.2, 0.2))
    write_pixels(tmp_path, do_normalize=False, rescale_factor=1 / 127.5)
    pixels = read_pixels(tmp_path)
    assert (pixels.mean, pixels.std) == ((0.0, 0.0, 0.0), pytest.approx((0.5, 0.5, 0.5)))
    (tmp_path / "preprocessor_config.json").unlink()
    write(tmp_path, "processor_config.json", {"video_processor": {"image_mean": 0.5, "image_std": [0.5, 0.5, 0.5]}})
    assert read_pixels(tmp_path).mean == (0.5, 0.5, 0.5)
    write_pixels(tmp_path, image_std=[0.2, 0.0, 0.2])
    with pytest.raises(UserError, match=r"image_std of 0, not above 0"):
        read_pixels(tmp_path)
    write_pixels(tmp_path, image_mean="a")
    with pytest.raises(UserError, match=r"preprocessor_config.json cannot be used: image_mean is 'a'"):
        read_pixels(tmp_path)


def test_pickles_adapters_and_parts_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(UserError, match=r"pytorch_model.bin is a pickle.*is not opened.*safetensors.*save_pretrained"):
        check_weight_files(tmp_path)
    write(tmp_path, "model.safetensors.index.json", {"weight_map": {"a": "../../a.safetensors"}})
    with pytest.raises(UserError, match=r"names '../../a.safetensors', no .safetensors file of its folder"):
        check_weight_files(tmp_path)
    write(tmp_path, "model.safetensors.index.json", {"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}})
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"b.safetensors is missing, and .* names it"):
        check_weight_files(tmp_path)
    (tmp_path / "b.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(UserError, match=r"b.safetensors is a Git-LFS pointer"):
        check_weight_files(tmp_path)
    save_file({"b": torch.ones(1)}, tmp_path / "b.safetensors")
    check_weight_files(tmp_path)
    write(tmp_path, "adapter_config.json", {})
    with pytest.raises(UserError, match=r"holds an adapter beside a model; merge it"):
        check_weight_files(tmp_path)
