"""Lists and ground truth of other code bases become a catalogue, or are refused with what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from downstream.features.feature_spec import FeatureSpec
from downstream.features.set_writer import FeatureWriter
from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from scripts.import_ground_truth import main

UCF = {"Abuse028_x264": 5, "Normal_Videos_003_x264": 4, "Vandalism017_x264": 6}
TRUTH = {"Abuse028_x264": [(16, 48)], "Vandalism017_x264": [(0, 16), (80, 96)]}
"""Snippets of the test videos, and their anomalies in frames."""


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def features(folder: Path, lengths: dict[str, int], frames: dict[str, int] | None = None) -> Path:
    writer = FeatureWriter(folder, FeatureSpec(encoder="i3d", weights_sha256=None, dim=4), "float32")
    for name, snippets in lengths.items():
        writer.add(name, np.ones((snippets, 1, 4), np.float32), frames=(frames or {}).get(name))
    writer.finish()
    return folder


def flat(lengths: dict[str, int], spans: dict[str, list[tuple[int, int]]]) -> np.ndarray:
    parts = []
    for name, snippets in lengths.items():
        part = np.zeros(16 * snippets)
        for start, end in spans.get(name, ()):
            part[start:end] = 1
        parts.append(part)
    return np.concatenate(parts)


@pytest.fixture
def ucf(tmp_path: Path) -> Path:
    """As RTFM ships it: lists of I3D files, and one long array."""
    features(tmp_path / "i3d", UCF)
    np.save(tmp_path / "gt-ucf.npy", flat(UCF, TRUTH))
    (tmp_path / "test.list").write_text("".join(f"/data/UCF_Test_ten_crop_i3d/{name}_i3d.npy\n" for name in UCF))
    train = ["Abuse001_x264", "Arson005_x264", "Normal_Videos273_x264"]
    (tmp_path / "train.list").write_text("".join(f"/data/UCF_Train_ten_crop_i3d/{name}_i3d.npy\n" for name in train))
    return tmp_path


def ucf_flags(ucf: Path, **changed: object) -> list[object]:
    flags = {"test": ucf / "test.list", "train": ucf / "train.list", "gt": ucf / "gt-ucf.npy", "strip": "_i3d"}
    flags |= {"features": ucf / "i3d", "out": ucf / "ucf.csv"} | changed
    return [part for name, value in flags.items() if value is not None for part in (f"--{name}", value)]


def made(file: Path) -> Catalogue:
    return open_catalogue(CatalogueConfig(kind="csv", root=file.parent, annotations=file, check_files=False))


def test_flat_ground_truth_is_split_by_the_features_it_was_made_for(
    ucf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*ucf_flags(ucf), "--fps", 30) == 0
    said = capsys.readouterr().out
    assert "the snippets of its features times 16" in said
    assert "train: 3 videos, 2 abnormal" in said
    assert "test: 3 videos, 2 abnormal, 64 anomalous frames" in said
    catalogue = made(ucf / "ucf.csv")
    assert {video.name: list(video.spans) for video in catalogue.subset("test") if video.spans} == TRUTH
    assert [(video.name, video.label, video.class_name) for video in catalogue.subset("train")] == [
        ("Abuse001_x264", 1, "Abuse"),
        ("Arson005_x264", 1, "Arson"),
        ("Normal_Videos273_x264", 0, "Normal"),
    ]
    assert {video.fps for video in catalogue} == {30.0}


def test_frames_that_are_known_cut_what_was_filled_up(ucf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = {"Abuse028_x264": 75, "Normal_Videos_003_x264": 60, "Vandalism017_x264": 95}
    features(ucf / "floor", {name: count // 16 for name, count in frames.items()}, frames)
    assert run(*ucf_flags(ucf, features=ucf / "floor")) == 0
    assert "its frames, rounded up to whole snippets of 16" in capsys.readouterr().out
    vandalism = made(ucf / "ucf.csv").by_name("Vandalism017_x264")
    assert (vandalism.num_frames, vandalism.spans) == (95, ((0, 16), (80, 95)))


def refused(capsys: pytest.CaptureFixture[str], *flags: object) -> str:
    assert run(*flags) == 2
    return " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_what_does_not_fit_is_explained(ucf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = flat(UCF, TRUTH)
    for array, text in (
        (truth[:-16], "16 frames fewer in the ground truth. That is less than a snippet of 16 a video"),
        (np.repeat(truth, 2), "That is 32 frames a snippet: give --frames-per-snippet 32"),
        (truth[:-1], "one of the two leaves out (or fills up)"),
        (np.zeros(1001), "It is no whole number of snippets of 16: the ground truth is of another list"),
        (np.zeros(16 * 100), "Whole videos seem to be missing or too many"),
        (truth + 1, "holds 2.0, where every number is 0 (normal) or 1"),
        (np.array([truth], object), "it holds pickled Python objects"),
        (truth.reshape(-1, 2), "shape (120, 2); give the flat gt*.npy"),
        (flat(UCF, {"Normal_Videos_003_x264": [(0, 9)]}), "'Normal_Videos_003_x264' is normal, and frames of it are"),
    ):
        np.save(ucf / "gt-ucf.npy", array)
        assert text in refused(capsys, *ucf_flags(ucf)), text
        assert not (ucf / "ucf.csv").exists()
    np.save(ucf / "gt-ucf.npy", truth)
    (ucf / "test.list").write_text("".join(f"{name}_i3d.npy\n" for name in reversed(UCF)))
    assert "of this one in another order: - test.list" in refused(capsys, *ucf_flags(ucf))
    (ucf / "test.list").write_text("Abuse028_x264_i3d.npy\nAbuse001_x264_i3d.npy\n")
    assert "'Abuse001_x264' is listed at test.list:2 too" in refused(capsys, *ucf_flags(ucf))
    (ucf / "test.list").write_text("Abuse028_x264_i3d.npy\nAbuse028_i3d.npy\n")
    assert "the length of 1 of 2 listed videos is not known" in refused(capsys, *ucf_flags(ucf))
    assert "give either --gt" in refused(capsys, *ucf_flags(ucf, gt=None))
    assert "does not say where a video ends: give --features" in refused(capsys, *ucf_flags(ucf, features=None))


def test_partial_features_take_the_missing_lengths_of_a_grid(ucf: Path) -> None:
    features(ucf / "part", {name: UCF[name] for name in list(UCF)[:2]})
    (ucf / "frames.csv").write_text(
        "name,snippet_frames,frames\n" + "".join(f"{n},,{16 * s}\n" for n, s in UCF.items())
    )
    assert run(*ucf_flags(ucf, features=ucf / "part", grid=ucf / "frames.csv")) == 0
    assert {v.name: list(v.spans) for v in made(ucf / "ucf.csv").subset("test") if v.spans} == TRUTH


def test_vadclip_lists_of_crops_with_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features(tmp_path / "clip", UCF)
    np.save(tmp_path / "gt_ucf.npy", flat(UCF, TRUTH))
    folders = ["Abuse", "Testing_Normal_Videos_Anomaly", "Vandalism"]
    words = ["Abuse", "Normal", "Vandalism"]
    rows = [f"/data/x/{f}/{name}__5.npy,{word}\n" for f, word, name in zip(folders, words, UCF, strict=True)]
    (tmp_path / "ucf_CLIP_rgbtest.csv").write_text("path,label\n" + "".join(rows))
    train = [f"/data/x/Arson/Arson005_x264__{crop}.npy,Arson\n" for crop in range(10)]
    train += [f"/data/x/n/Normal_Videos273_x264__{crop}.npy,Normal\n" for crop in range(10)]
    (tmp_path / "ucf_CLIP_rgb.csv").write_text("path,label\n" + "".join(train))
    flags = ["--gt", tmp_path / "gt_ucf.npy", "--features", tmp_path / "clip", "--out", tmp_path / "clip.csv"]
    flags += ["--test", tmp_path / "ucf_CLIP_rgbtest.csv", "--train", tmp_path / "ucf_CLIP_rgb.csv"]
    assert run(*flags) == 0
    assert "train: 2 videos, 1 abnormal\ntest: 3 videos, 2 abnormal" in capsys.readouterr().out
    assert made(tmp_path / "clip.csv").by_name("Arson005_x264").class_name == "Arson"
    (tmp_path / "ucf_CLIP_rgb.csv").write_text("path,label\n" + "".join(train).replace(",Arson", ",Normal"))
    assert "'Arson005_x264': label by the CSV, the name, the place in the list: (0, 1, None)" in refused(capsys, *flags)


def test_xd_violence_by_its_annotations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fight, calm = "v=S-7rRLrxnVQ__#1_label_B4-0-0", "Bad.Boys II.1995__#00-26-51_label_A"
    (tmp_path / "rgbtest.list").write_text("".join(f"i3d/{n}__{c}.npy\n" for n in (fight, calm) for c in range(5)))
    (tmp_path / "annotations.txt").write_text(f"{fight} 0 1517 1970 3038\n")
    flags = ["--test", tmp_path / "rgbtest.list", "--annotations", tmp_path / "annotations.txt"]
    flags += ["--out", tmp_path / "xd.csv"]
    assert run(*flags) == 0
    catalogue = made(tmp_path / "xd.csv")
    assert catalogue.by_name(fight).spans == ((0, 1517), (1970, 3038))
    assert (catalogue.by_name(fight).group, catalogue.by_name(fight).class_name) == ("v=S-7rRLrxnVQ", "Riot")
    assert catalogue.by_name(calm).label == 0
    (tmp_path / "annotations.txt").write_text(f"{calm} 0 15\n")
    assert f"'{fight}' is Riot but has no line there" in refused(capsys, *flags)


def test_shanghaitech_by_the_place_in_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lengths = {"01_0014": 3, "01_0029": 2}
    features(tmp_path / "i3d", lengths)
    np.save(tmp_path / "gt-sh.npy", flat(lengths, {"01_0014": [(3, 20)]}))
    (tmp_path / "test.list").write_text("01_0014_i3d.npy\n01_0029_i3d.npy\n")
    (tmp_path / "train.list").write_text("05_0024_i3d.npy\n01_001_i3d.npy\n01_003_i3d.npy\n")
    flags = ["--test", tmp_path / "test.list", "--train", tmp_path / "train.list", "--gt", tmp_path / "gt-sh.npy"]
    flags += ["--features", tmp_path / "i3d", "--strip", "_i3d", "--out", tmp_path / "sh.csv"]
    assert "no label of 1 of 3 videos" in refused(capsys, *flags)
    assert run(*flags, "--abnormal-first", 1) == 0
    assert [video.label for video in made(tmp_path / "sh.csv")] == [1, 0, 0, 1, 0]
    (tmp_path / "test.list").write_text("01_002_i3d.npy\n01_0014_i3d.npy\n")
    features(tmp_path / "i3d", {"01_002": 3, "01_0014": 2})
    assert "'01_002' is normal, and frames of it are abnormal" in refused(capsys, *flags, "--abnormal-first", 1)
    assert "--abnormal-first is 3, and" in refused(capsys, *flags, "--abnormal-first", 3)
