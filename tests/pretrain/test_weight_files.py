"""Reading weights: damage, what they are instead, bombs, and numbers that are none."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pretrain.backbones.weights import read_weights
from pretrain.errors import UserError
from pretrain.reading import Unreadable
from pretrain.weight_files import check_safetensors, read_safetensors, read_torch, refuse_not_finite, stored_shapes

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PAGE = b"\n <!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_what_is_there_instead_is_named(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"w{suffix}"
    for content, words in (
        (POINTER, "is a Git-LFS pointer"),
        (PAGE, "is a web page, not weights"),
        (b"<html>", "web page"),
    ):
        file.write_bytes(content)
        with pytest.raises(UserError, match=words) as caught:
            read_weights(file)
        assert "weights_only" not in str(caught.value)


def test_nobody_is_told_to_unpickle(tmp_path: Path) -> None:
    torch.save({"a": Path("x")}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds more than tensors") as caught:
        read_torch(tmp_path / "w.pth")
    assert "weights_only" not in str(caught.value)
    assert "pickle" not in str(caught.value).replace("unpickling it could run anything; it is not opened", "")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("save", [save_file, torch.save])
def test_weights_that_are_no_numbers_are_named(tmp_path: Path, wrong: float, save: Callable[..., None]) -> None:
    state = {"first": torch.ones(3), "layer.bias": torch.tensor([0.0, wrong, wrong, 1.0]), "count": torch.tensor(3)}
    file = tmp_path / ("w.safetensors" if save is save_file else "w.pth")
    save(state, file)
    with pytest.raises(UserError, match=rf"{file.name}: 2 of 4 numbers of the tensor 'layer.bias' are not finite"):
        read_weights(file)


def test_masks_may_be_infinite() -> None:
    refuse_not_finite({"attn_mask": torch.tensor([0.0, -float("inf")])}, "w")
    with pytest.raises(UserError, match="'attn_mask'"):
        refuse_not_finite({"attn_mask": torch.tensor([0.0, float("nan")])}, "w")


def test_archives_that_unpack_to_more_than_they_have_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10)}, tmp_path / "sound.pth")
    assert read_torch(tmp_path / "sound.pth")["a"].tolist() == [0] * 10
    with zipfile.ZipFile(tmp_path / "sound.pth") as sound, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for entry in sound.infolist():
            content = bytes(50_000_000) if entry.filename.endswith("data/0") else sound.read(entry)
            bomb.writestr(entry.filename, content, zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="a compressed archive; PyTorch's own files are not compressed"):
        read_torch(tmp_path / "bomb.pth")


def test_headers_of_safetensors_have_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(2, 3)}, file)
    assert stored_shapes(file, "weights") == {"a": (2, 3)}
    assert read_safetensors(file)[0]["a"].shape == (2, 3)
    header = json.dumps({f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(50)}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    check_safetensors(file)
    monkeypatch.setattr("pretrain.weight_files.MAX_TENSORS", 49)
    with pytest.raises(Unreadable, match="it names more than 49 tensors"):
        check_safetensors(file)
    monkeypatch.setattr("pretrain.weight_files.HEADER_BYTES", 100)
    with pytest.raises(UserError, match="and at most 100 are read"):
        read_safetensors(file)
    file.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(UserError, match=r"no readable safetensors file \(its header should have"):
        read_safetensors(file)
