"""A model as ONNX files: they say what detection says, by onnxruntime and OpenVINO; models that no graph can say."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from downstream.detection import onnx_export
from downstream.detection.graphs import FeaturesToScores
from downstream.detection.model import DetectorGroup, EncoderSource, Model
from downstream.detection.onnx_export import compare, export_model, said
from downstream.detector.model import Detector, DetectorConfig
from downstream.events.rule import AlarmRule
from downstream.features.encoders import EncoderConfig, open_encoder
from downstream.features.snippets import SnippetSettings
from pretrain.errors import UserError
from pretrain.export import ExportError
from tests.downstream.detector.test_exportable import videos

DIM = 9


def model(
    detectors: list[Any], normalise: Any = "none", sources: int = 1, runs: tuple[int, ...] = (), **encoder: Any
) -> Model:
    """Of small3d on tiny clips; detectors take what `sources` of it give side by side."""
    opened = open_encoder(EncoderConfig(height=16, width=24, **encoder))
    opened.dim = DIM if not detectors else detectors[0].dim // sources
    source = EncoderSource(encoder=opened, settings=SnippetSettings(), dtype="float16")
    group = DetectorGroup(
        sources=(source,) * sources,
        normalise=normalise,
        pool_cells=None,
        detectors=tuple(detectors),
        names=tuple(map(str, range(len(detectors)))),
        runs=runs or (0,) * len(detectors),
    )
    rule = AlarmRule(threshold=0.5, release=0.4)
    return Model(path=Path("run"), groups=(group,), rule=rule, rule_from="x", device=torch.device("cpu"))


def detector(dim: int = DIM, seed: int = 0, **config: Any) -> Detector:
    torch.manual_seed(seed)
    return Detector(DetectorConfig(width=12, hidden=4, **config), dim, motion=(dim - 1,)).eval()


@pytest.mark.parametrize("normalise", ["none", "l2", "layer", "video", "place"])
def test_the_graph_of_features_says_what_detection_says(normalise: Any) -> None:
    """Two feature sets side by side, two detectors, two crops: by PyTorch, before any exporter."""
    (group,) = model([detector(2 * DIM), detector(2 * DIM, seed=1)], normalise, sources=2).groups
    features = 3 * torch.cat([videos(2, 21), 1 + videos(2, 21, seed=1)], dim=2)
    with torch.inference_mode():
        found = FeaturesToScores(group, [DIM, DIM], [True, True])(features)
    assert float(found[0].max() - found[0].min()) > 1e-3
    assert compare("graph", [found], [said(group, features)]) < 1e-5


def test_in_the_graph_each_run_counts_as_one_too() -> None:
    (group,) = model([detector(), detector(seed=1), detector(seed=2)], runs=(0, 0, 1)).groups
    features = videos(1, 21)
    with torch.inference_mode():
        found = FeaturesToScores(group, [DIM], [True])(features)
    assert compare("graph", [found], [said(group, features)]) < 1e-5
    alike = said(dataclasses.replace(group, runs=(0, 1, 2)), features)
    assert float((alike[0] - found[0]).abs().max()) > 1e-4


def test_features_of_several_crops_in_scores_out(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    used = model([detector(composition="none")])
    (group,) = used.groups
    (source,) = group.sources
    group = dataclasses.replace(group, sources=(dataclasses.replace(source, settings=SnippetSettings(crops=5)),))
    told = export_model(dataclasses.replace(used, groups=(group,)), tmp_path / "files")
    assert len(told) == 2
    assert told[1] == "clips in, scores out: not exported, its features are of 5 crops; extract with one to have it"
    assert json.loads((tmp_path / "files" / "onnx.json").read_text())["no_clips_to_scores"].startswith("its features")
    features = videos(5, 12)
    file = str(tmp_path / "files" / "features_to_scores.onnx")
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    scores, odds = session.run(["scores", "log_odds"], {"features": features.numpy()})
    expected = said(group, features)
    np.testing.assert_allclose(scores, expected[0], atol=1e-4)
    np.testing.assert_allclose(odds, expected[1], atol=1e-3)
    assert np.ptp(scores) > 1e-3


@pytest.mark.slow  # 30 s: three files, of composed scores
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_clips_in_scores_out(runtime: str, exported: tuple[Path, Model]) -> None:
    """Of another number of snippets than any that was compared at export; motion is computed in the graph."""
    module = pytest.importorskip(runtime, reason=f"{runtime} is not installed")
    folder, used = exported
    (group,) = used.groups
    encoder, clip = group.sources[0].encoder, group.sources[0].encoder.clip
    generator = np.random.default_rng(3)
    given = generator.integers(0, 256, (5, 1, clip.frames, clip.height, clip.width, 3), dtype=np.uint8)
    given[2] = given[2, :, :1]  # a clip that stands still
    scores, odds = said(group, encoder.features(torch.from_numpy(given).flatten(0, 1)).unsqueeze(0))
    file = str(folder / "clips_to_scores.onnx")
    if runtime == "openvino":
        compiled = module.compile_model(module.convert_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = [compiled(given)[place] for place in (0, 1)]
    else:
        found = module.InferenceSession(file, providers=["CPUExecutionProvider"]).run(
            ["scores", "log_odds"], {"clips": given}
        )
    np.testing.assert_allclose(found[0], scores, atol=1e-4)
    np.testing.assert_allclose(found[1], odds, atol=1e-3, rtol=1e-3)
    assert np.ptp(found[0]) > 1e-3


@pytest.mark.slow  # an export of a whole network
def test_clips_in_vectors_of_several_stages_out(tmp_path: Path) -> None:
    """Any number of clips: the export compares other numbers than it was traced with, and refuses where they differ."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    own = detector(2 * 128 + 2 * 32 + 1, composition="none")
    told = export_model(model([own], stages=("layers.1",)), tmp_path / "files")
    assert any(line.startswith("clips_to_scores.onnx: largest difference") for line in told)


@pytest.mark.slow
def test_the_card_says_how_to_use_them(exported: tuple[Path, Model]) -> None:
    folder, _ = exported
    card = json.loads((folder / "onnx.json").read_text())
    names = {"clips_to_scores.onnx", "clips_to_features.onnx", "features_to_scores.onnx"}
    assert {path.name for path in folder.iterdir()} == {*names, "onnx.json"}
    assert card["files"].keys() == names
    assert all(entry["largest_difference"] <= 1e-4 for entry in card["files"].values())
    assert card["files"]["clips_to_scores.onnx"]["input"]["shape"] == ["snippets", 1, 8, 16, 24, 3]
    assert card["clips"]["frames_of_clips"] == [[0, 2, 4, 6, 8, 10, 12, 14]]
    assert (card["threshold"], card["encoders"]) == (0.5, ["small3d"])
    assert not any(str(Path(onnx_export.__file__).parent).encode() in (folder / name).read_bytes() for name in names)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model]:
    """Composed scores of real features, as detection has them by default."""
    pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    encoder = open_encoder(EncoderConfig(height=16, width=24))
    used = model([fitted(encoder.dim)])
    folder = tmp_path_factory.mktemp("onnx") / "files"
    told = export_model(used, folder)
    assert [line.split(":")[0] for line in told] == [
        "features_to_scores.onnx", "clips_to_features.onnx", "clips_to_scores.onnx"
    ]  # fmt: skip
    return folder, used


def fitted(dim: int) -> Detector:
    made = detector(dim)
    rows = torch.randn(1, 40, dim, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(1, 40, dtype=torch.bool)
    with torch.no_grad():
        made.fit_composition([made.evidence(rows * factor, mask) for factor in (1, 2)], [0, 1])
    return made


def test_what_cannot_be_is_refused_or_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    (group,) = model([detector()]).groups
    crops = dataclasses.replace(group.sources[0], settings=SnippetSettings(crops=5))
    assert "its features are of 5 crops" in onnx_export._no_clips(dataclasses.replace(group, sources=(crops,)))
    assert "of 2 encoders side by side" in onnx_export._no_clips(dataclasses.replace(group, sources=group.sources * 2))
    two = dataclasses.replace(model([detector()]), groups=(group, group))
    with pytest.raises(UserError, match=r"run holds detectors on 2 kinds of features.*export each by itself"):
        export_model(two, tmp_path)
    cells = model([Detector(DetectorConfig(), DIM, grid=(2, 3))])
    with pytest.raises(UserError, match=r"2x3 cells of the picture"):
        export_model(cells, tmp_path / "cells")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'anomaly-pretext\[onnx\]'"):
        export_model(model([detector()]), tmp_path)


def test_another_answer_is_no_export() -> None:
    right = [torch.zeros(3), torch.zeros(3)]
    with pytest.raises(ExportError, match=r"what a.onnx says differs from PyTorch by 0.0002; at most 0.0001"):
        compare("a.onnx", [[torch.full((3,), 2e-4), torch.zeros(3)]], [right])
    with pytest.raises(ExportError, match=r"by nan"):
        compare("a.onnx", [[torch.zeros(3), torch.full((3,), torch.nan)]], [right])
    with pytest.raises(ExportError, match=r"gives \(2,\), not \(3,\)"):
        compare("a.onnx", [[torch.zeros(2), torch.zeros(3)]], [right])
