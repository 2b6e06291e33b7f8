"""A package through the command line: made, moved, used, calibrated, refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from downstream.detection.open_model import _moved, open_model
from downstream.detection.package import _copy_encoder
from downstream.detection.unfitted import UNFITTED_FOLDER
from downstream.features.encoders import EncoderConfig, open_encoder
from downstream.features.snippets import SnippetSettings
from pretrain.errors import UserError
from scripts import calibrate, detect, package
from tests.pretrain.backbones.tiny_hugging_face import write_model
from tests.pretrain.tiny_onnx import write_net


def call(command: object, *arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        command.main([*map(str, arguments)])  # type: ignore[attr-defined]
    return int(left.value.code or 0)


def found(trained_world: Path, detector: Path, out: Path) -> bytes:
    """scores.csv of one video."""
    video = trained_world / "videos" / "v9.mp4"
    flags = ("--out", out, "--device", "cpu", "--films", "0", "--no-report", "--no-keep-scores")
    assert call(detect, video, "--detector", detector, *flags) == 0
    return (out / "scores.csv").read_bytes()


def test_what_was_packed_says_the_same_from_another_place(
    trained_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, made = trained_world / "runs" / "cells", tmp_path / "models" / "street"
    assert call(package, run, "--out", made, "--title", "Street at night") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"{made}: 2 detector(s) together on small3d, 2x3 cells"
    assert " MB; threshold: not calibrated: " in shown[1]
    assert shown[-1] == f"next: python scripts/detect.py VIDEO --detector {made}"
    assert (made / "README.md").read_text(encoding="utf-8").startswith("# Street at night\n")
    moved = Path(shutil.move(made, tmp_path / "elsewhere"))
    assert found(trained_world, moved, tmp_path / "a") == found(trained_world, run, tmp_path / "b")


def test_a_calibration_travels_with_it_and_can_be_made_anew_there(
    trained_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(trained_world / "runs" / "whole" / "seed-0", tmp_path / "seed-0")
    videos = trained_world / "videos"
    assert call(calibrate, videos, "--detector", run, "--per-hour", "1000", "--device", "cpu") == 0
    assert call(package, run, "--out", tmp_path / "made") == 0
    assert "threshold: calibrated: " in capsys.readouterr().out
    found(trained_world, tmp_path / "made", tmp_path / "out")
    assert "(calibrated: " in capsys.readouterr().out
    before = (tmp_path / "made" / "calibration.json").read_bytes()
    assert call(calibrate, videos, "--detector", tmp_path / "made", "--per-hour", "500", "--device", "cpu") == 0
    assert (tmp_path / "made" / "calibration.json").read_bytes() != before
    found(trained_world, tmp_path / "made", tmp_path / "out")
    assert "at most 500 an hour were wanted" in capsys.readouterr().out


def test_what_a_ceiling_was_trained_on_stands_on_its_card(trained_world: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained_world / "runs" / "whole" / "seed-0", tmp_path / "seed-0")
    assert call(package, run, "--out", tmp_path / "weak") == 0
    assert "trained on labels of whole videos alone" in (tmp_path / "weak" / "README.md").read_text(encoding="utf-8")
    file = run / "detector" / "detector.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"supervision": "frames"}))
    assert call(package, run, "--out", tmp_path / "ceiling") == 0
    assert "trained on labels of frames (a ceiling)" in (tmp_path / "ceiling" / "README.md").read_text(encoding="utf-8")


def test_refusals_name_the_mend(trained_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained_world / "runs" / "whole" / "seed-0"
    (tmp_path / "there").mkdir()
    (tmp_path / "a file").write_text("x")
    calls: list[tuple[list[str | Path], str]] = [
        ([run, "--out", tmp_path / "there"], f"{tmp_path}/there is there already; choose another --out, or delete it"),
        ([run, "--out", tmp_path / "a file" / "made"], "a file is where a folder should be: choose another path"),
        ([tmp_path / "gone", "--out", tmp_path / "made"], "gone'; give a run of scripts/finetune.py"),
        ([tmp_path / "there", "--out", tmp_path / "made"], "there holds no detector: "),
        ([run, "--out", tmp_path / "made", "--backbone", tmp_path / "gone"], f"{tmp_path}/gone"),
    ]
    for arguments, expected in calls:
        assert call(package, *arguments) == 2
        message = capsys.readouterr().err
        assert message.startswith("error: ")
        assert expected in message
    assert {path.name for path in tmp_path.iterdir()} == {"there", "a file"}


@pytest.mark.parametrize("umask", [0o027, 0o077])
def test_the_umask_says_who_may_read_a_package(trained_world: Path, tmp_path: Path, umask: int) -> None:
    made = tmp_path / "made"
    before = os.umask(umask)
    try:
        assert call(package, trained_world / "runs" / "whole" / "seed-0", "--out", made) == 0
    finally:
        os.umask(before)
    for path in (made, *made.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~umask, path
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_full_disk_names_the_package_not_the_run(
    trained_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr("shutil.copyfile", full)
    made = tmp_path / "made"
    assert call(package, trained_world / "runs" / "whole" / "seed-0", "--out", made) == 2
    assert f"error: {made}/" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: card["encoders"][0].update(backbone="../foreign"), "leads out of"),
        (lambda card: card["encoders"][0].update(backbone="/etc"), "leads out of"),
        (lambda card: card["encoders"][0].update(backbone="link"), "is a link that leads out of"),
        (lambda card: card["detectors"][0].update(folder="../foreign"), "leads out of"),
        (lambda card: card["detectors"][0].update(folder="link"), "is a link that leads out of"),
        (lambda card: card["encoders"][0].update(weights="/etc/passwd"), "gives weights to"),
        (lambda card: card["detectors"][0].update(encoders=[7]), "has no encoder 7"),
        (lambda card: card["detectors"][0].update(encoders=[-1]), "from 0 to 256"),
        (lambda card: card.update(detectors=card["detectors"] * 5000), "has 5000 entries, not from 1 to 256"),
        (lambda card: card.update(encoders={}), "not a list"),
        (lambda card: card.pop("detectors"), "lacks 'detectors'"),
    ],
)
def test_a_package_of_somebody_else_opens_nothing_outside_of_it(tmp_path: Path, change: Any, words: str) -> None:
    made = shutil.copytree(UNFITTED_FOLDER, tmp_path / "made")
    (tmp_path / "foreign").mkdir()
    (made / "link").symlink_to(tmp_path / "foreign")
    card = json.loads((made / "package.json").read_text())
    change(card)
    (made / "package.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match=words):
        open_model(made)


def test_a_card_that_asks_for_a_download_contacts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    for name in ("r3d_18", "timm/resnet18"):
        with pytest.raises(UserError, match=f"weights of '{name}' are not on this machine, and nothing is fetched"):
            open_encoder(EncoderConfig(backbone=name, download=True), fetch=False)
    made = shutil.copytree(UNFITTED_FOLDER / "detectors" / "0", tmp_path / "made")
    card = json.loads((made / "detector.json").read_text())
    card["features"]["made_with"] = [EncoderConfig(backbone="r3d_18", download=True).as_json()]
    (made / "detector.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match="nothing is fetched because a card says so"):
        open_model(made)


@pytest.mark.parametrize("kind", ["hf", "onnx", "onnx of a map"])
def test_networks_of_others_are_packed_whole(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved, and the original gone: the same features, of the same kind, by the same hash."""
    source, made = tmp_path / "source", tmp_path / "made"
    source.mkdir()
    if kind == "hf":
        pytest.importorskip("transformers", reason="the hf extra is not installed")
        write_model("videomae", source / "m")
        config = EncoderConfig(backbone=f"hf/{source / 'm'}", grid="map")
    else:
        pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
        write_net(source / "n.onnx", ["b", 3, 8, 8], vector=kind == "onnx", external="w.bin")
        config = EncoderConfig(backbone=f"onnx/{source / 'n.onnx'}", mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))
    before = open_encoder(config)
    shape = (2, before.clip.frames, before.clip.height, before.clip.width, 3)
    clips = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    packed = _copy_encoder(EncoderConfig.from_json(json.loads(json.dumps(config.as_json()))), made, 0)
    shutil.rmtree(source)
    with pytest.raises(UserError, match=r"there is no (folder|ONNX file) .*source"):
        open_encoder(config)
    monkeypatch.chdir(tmp_path)
    after = open_encoder(_moved(packed, Path(shutil.move(made, tmp_path / "elsewhere"))))
    assert after.spec(SnippetSettings()).differences(before.spec(SnippetSettings())) == []
    torch.testing.assert_close(after.features(clips), before.features(clips))


@pytest.mark.slow  # 30 s: three ONNX files
def test_onnx_files_beside_it_and_nothing_where_they_cannot_be(
    trained_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    assert call(package, trained_world / "runs" / "cells", "--out", tmp_path / "cells", "--onnx") == 2
    assert "only detectors of whole pictures are exported" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert call(package, trained_world / "runs" / "whole", "--out", tmp_path / "made", "--onnx") == 0
    told = capsys.readouterr().out
    assert told.count("largest difference to PyTorch") == 3
    assert (tmp_path / "made" / "onnx" / "clips_to_scores.onnx").is_file()
    found(trained_world, tmp_path / "made", tmp_path / "out")
