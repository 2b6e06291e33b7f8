"""The command, in its own process and as a function."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pretrain.backbones import BackboneConfig, build_backbone, load_backbone, save_backbone
from scripts import export_backbone
from tests.paths import ROOT


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig(clip_frames=4, height=32, width=32))
    save_backbone(backbone, tmp_path / "run" / "backbone", {"steps": 5})
    return tmp_path / "run"


def test_weights_card_and_onnx(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    with pytest.raises(SystemExit) as left:
        export_backbone.main([str(run), "--onnx"])
    assert left.value.code == 0
    assert sorted(path.name for path in (run / "export").iterdir()) == [
        "backbone.json",
        "backbone.onnx",
        "backbone.safetensors",
    ]
    printed = capsys.readouterr().out
    assert f"{run / 'export' / 'backbone.onnx'}  " in printed
    assert "ONNX: largest difference to PyTorch" in printed
    assert load_backbone(run / "export")[1]["steps"] == 5


def test_out(run: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as left:
        export_backbone.main([str(run), "--out", str(tmp_path / "elsewhere")])
    assert left.value.code == 0
    assert not (run / "export").exists()
    assert load_backbone(tmp_path / "elsewhere")[0].spec.clip.frames == 4


def test_help_teaches_how_to_load(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        export_backbone.main(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert "net.load_state_dict(safetensors.torch.load_file('backbone.safetensors'))" in shown
    assert "timm.create_model(" in shown


def test_a_wrong_path_is_one_message_in_a_process_of_its_own(run: Path) -> None:
    line = [sys.executable, "-m", "scripts.export_backbone", str(run / "nothing")]
    failed = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: there is no ")
    assert "Traceback" not in failed.stderr
