"""ONNX files of others: opened, hashed with their weights, refused where they lead out of their folder or are none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pretrain import onnx_files
from pretrain.errors import UserError
from pretrain.onnx_files import open_onnx
from tests.pretrain.tiny_onnx import write_net

pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    write_net(tmp_path / "n.onnx", ["batch", 3, 8, "height", 12], metadata={"mean": "[1, 2, 3]"})
    file = open_onnx(tmp_path / "n.onnx", 1)
    assert file.inputs[0].words() == "'clips' tensor(float) (?, 3, 8, ?, 12)"
    assert (file.strides, file.metadata, file.external) == (((1, 4, 4),), {"mean": "[1, 2, 3]"}, ())


def test_weights_beside_it_are_part_of_its_hash(tmp_path: Path) -> None:
    write_net(tmp_path / "n.onnx", [1, 3, 8, 8], external="w.bin")
    before = open_onnx(tmp_path / "n.onnx", 1)
    assert before.external == ("w.bin",)
    content = bytearray((tmp_path / "w.bin").read_bytes())
    content[0] ^= 1
    (tmp_path / "w.bin").write_bytes(bytes(content))
    assert open_onnx(tmp_path / "n.onnx", 1).sha256 != before.sha256


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "a/../../w.bin", ""])
def test_weights_outside_of_its_folder_are_not_read(location: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_net(tmp_path / "in" / "n.onnx", [1, 3, 8, 8], external=location)
    with pytest.raises(UserError, match=r"the weights of .*n.onnx is .*(leads out of|no name of a file)"):
        open_onnx(tmp_path / "in" / "n.onnx", 1)


def test_a_link_out_and_too_much_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    write_net(tmp_path / "in" / "n.onnx", [1, 3, 8, 8], external="w.bin")
    monkeypatch.setattr(onnx_files, "MOST_EXTERNAL_BYTES", 100)
    with pytest.raises(UserError, match=r"keeps .* GB of weights beside it, and at most"):
        open_onnx(tmp_path / "in" / "n.onnx", 1)
    (tmp_path / "in" / "w.bin").rename(tmp_path / "w.bin")
    with pytest.raises(UserError, match=r"keeps weights in .*w.bin, which cannot be read"):
        open_onnx(tmp_path / "in" / "n.onnx", 1)
    (tmp_path / "in" / "w.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(UserError, match=r"is a link that leads out of"):
        open_onnx(tmp_path / "in" / "n.onnx", 1)


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "n.onnx"
    with pytest.raises(UserError, match=r"there is no ONNX file .*n.onnx; give onnx/FILE.onnx"):
        open_onnx(file, 1)
    file.write_text("<!DOCTYPE html>")
    with pytest.raises(UserError, match=r"n.onnx is a web page, not a network"):
        open_onnx(file, 1)
    file.write_bytes(b"")
    with pytest.raises(UserError, match=r"has 0 operators, not 1 to 1,000,000"):
        open_onnx(file, 1)
    write_net(file, [1, 3, 8, 8])
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"n.onnx is no readable ONNX file .*copy it again"):
        open_onnx(file, 1)
    write_net(file, [1, 3, 8, 8])
    file.write_bytes(file.read_bytes().replace(b"Flatten", b"Flotten"))
    with pytest.raises(UserError, match=r"onnxruntime cannot run .*Flotten.*export it again"):
        open_onnx(file, 1)
    monkeypatch.setattr(onnx_files, "MOST_BYTES", 10)
    with pytest.raises(UserError, match=r"at most 10 are read; an ONNX file is one message of less than 2 GiB"):
        open_onnx(file, 1)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_net(tmp_path / "n.onnx", [1, 3, 8, 8])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        UserError, match=r"needs onnxruntime, not installed here: pip install 'anomaly-pretext\[onnx\]'"
    ):
        open_onnx(tmp_path / "n.onnx", 1)
