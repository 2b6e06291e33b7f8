"""Folds and tables without data; the whole benchmark on toy videos laid out as the real ones are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from benchmarks.real_cctv import PRETRAINING, RealCctvConfig, main, stacked
from benchmarks.real_cctv_runs import Arm, ImageNetwork, Workshop
from benchmarks.real_cctv_sets import folds, footage, open_tests, write_fold, write_unlabelled
from benchmarks.real_cctv_tables import result, tables
from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.errors import UserError
from tests.paths import REAL
from tests.pretrain.encoding import encode_video


def some_videos(groups: int = 20, seed: int = 0) -> list[Video]:
    rng = np.random.default_rng(seed)
    return [
        Video(name=f"g{group}-{number}", path="x", label=int(rng.integers(2)), split="test", group=f"g{group}")
        for group in range(groups)
        for number in range(int(rng.integers(1, 7)))
    ]


def test_folds_part_no_group_and_are_even_in_both_classes() -> None:
    videos = some_videos()
    parts = folds(videos, 5)
    assert sorted(group for part in parts for group in part) == sorted({str(video.group) for video in videos})
    for label in (0, 1):
        counts = [sum(video.label == label and video.group in part for video in videos) for part in parts]
        assert max(counts) - min(counts) <= 2
    assert folds(videos[::-1], 5) == parts
    assert folds(videos, 5, seed=1) != parts


def test_more_folds_than_groups_are_refused() -> None:
    with pytest.raises(UserError, match=r"3 group\(s\) of videos cannot be shared out over 5 folds"):
        folds(some_videos(groups=3), 5)


def test_frames_of_another_size_are_features_of_their_own(tmp_path: Path) -> None:
    tests: Any = {"fights": SimpleNamespace(clip_stride=2)}
    shop = Workshop(
        out=tmp_path, device="cpu", tests=tests, pools={}, parts={}, pretraining=(str(PRETRAINING),), fine_tuning=()
    )
    larger = replace(shop, feature_size=(192, 288))
    arm = Arm(title="given", weights="folder")
    own, asked = (each.encoder(arm, 0, "fights") for each in (shop, larger))
    assert ((own.height, own.width), (asked.height, asked.width)) == ((None, None), (192, 288))
    assert (shop._sized("features", arm), larger._sized("features", arm)) == ("features", "features-192x288")
    image = replace(arm, image=ImageNetwork(name="timm/test_vit", weights=None, height=96, width=144))
    assert larger.encoder(image, 0, "fights").height is None  # an image network has a size of its own
    assert larger._sized("features", image) == "features"


def test_tables_set_every_row_beside_random_weights_and_motion() -> None:
    rng = np.random.default_rng(0)
    rows = {
        title: stacked([{"fights, label-free, frame_auc": rng.uniform(0.5, 0.7, 50)} for _ in range(networks)])
        for title, networks in (("motion energy", 1), ("random", 3), ("all-600", 3))
    }
    lines = tables(rows).splitlines()
    assert lines[0] == "fights, label-free, frame_auc"
    assert [line.split("  ")[0] for line in lines[2:]] == ["motion energy", "random", "all-600"]
    assert lines[-1].count(" to ") == 2
    assert lines[-1].count("+-") == 3
    assert lines[3].count(" to ") == 1, "random weights are not compared with themselves"
    own = result(rows)["rows"]["all-600"]["fights, label-free, frame_auc"]
    assert set(own) >= {"value", "less_random", "less_motion_energy"}
    assert own["less_random"]["half_width_over_networks"] > 0
    json.dumps(result(rows), allow_nan=False)


def make_footage(root: Path) -> Path:
    """Toy videos laid out as `../shared/real` is."""

    def videos(folder: str, names: list[str], frames: int = 48) -> None:
        for number, name in enumerate(names):
            encode_video(root / folder / f"{name}.mp4", 100 * len(folder) + number, num_frames=frames)

    def truth(file: str, content: dict[str, object]) -> None:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(json.dumps(content))

    def stream(number: int) -> dict[str, object]:
        spans = [[16, 32]] if number % 2 else []
        return {"frames": 48, "intervals_0based_halfopen": spans, "group": f"s{number}", "label": number % 2}

    names = [f"t{number}" for number in range(8)]
    videos("fight_streams/videos", names)
    truth("fight_streams/train_ground_truth.json", {name: stream(i) for i, name in enumerate(names) if i < 6})
    truth("fight_streams/dev_ground_truth.json", {name: stream(i) for i, name in enumerate(names) if i >= 6})
    clips = [f"v{number}" for number in range(8)]
    videos("vioperu", clips)
    truth("vioperu/truth.json", {name: {"label": i % 2, "camera": f"c{i}"} for i, name in enumerate(clips)})
    videos("ucsd_ped2", ["train01", "train02", "test01", "test02"])
    ped2 = {"train01": ("train", []), "train02": ("train", []), "test01": ("test", [[8, 48]])}
    ped2["test02"] = ("test", [[0, 30]])
    truth("ucsd_ped2/truth.json", {k: {"split": s, "frames": 48, "spans": spans} for k, (s, spans) in ped2.items()})
    videos("road_accidents", ["a1", "a2"], frames=20)
    truth("road_accidents/truth.json", {name: {"frames": 20, "spans": [[8, 16]]} for name in ("a1", "a2")})
    videos("falls", ["s1_fall", "s1_adl"])
    truth(
        "falls/truth.json",
        {"s1_fall": {"label": 1, "fall_seconds": [[0.8, 9.0]]}, "s1_adl": {"label": 0, "fall_seconds": []}},
    )
    videos("hockey", ["fi0", "no0"])
    videos("surveillance", ["street", "door"])
    return root


@pytest.fixture(scope="module")
def toy_footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_footage(tmp_path_factory.mktemp("real"))


def test_spans_are_frames_within_the_video(toy_footage: Path) -> None:
    tests = open_tests(toy_footage)
    assert tests["falls"].videos.by_name("s1_fall").spans == ((20, 48),)
    assert tests["fights"].videos.by_name("t7").spans == ((16, 32),)
    assert [video.name for video in tests["ped2"].videos.subset("train")] == ["train01", "train02"]


def test_networks_are_pretrained_on_nothing_that_they_are_scored_on(toy_footage: Path) -> None:
    tests = open_tests(toy_footage)
    for without, scored in (("fights", ("fights", "falls", "road_accidents", "ped2")), ("vioperu", ("vioperu",))):
        pool = footage(toy_footage, tests, without)
        seen = {video.path for video in pool}
        for name in scored:
            assert not seen & {video.path for video in tests[name].videos.subset("test")}
        assert len({video.name for video in pool}) == len(pool) == 14
        assert not [video for video in pool if video.label is not None or video.spans]
    with pytest.raises(ValueError, match="footage without 'ped2'"):
        footage(toy_footage, tests, "ped2")


def test_what_is_trained_on_knows_no_span(toy_footage: Path, tmp_path: Path) -> None:
    fights = open_tests(toy_footage)["fights"].videos
    write_fold(tmp_path / "fold.json", fights, {"s1", "s2"})
    write_unlabelled(tmp_path / "unlabelled.json", fights)
    fold, unlabelled = (
        open_catalogue(CatalogueConfig(kind="json", root=Path("/"), annotations=tmp_path / name))
        for name in ("fold.json", "unlabelled.json")
    )
    assert [video.name for video in fold.subset("test")] == ["t1", "t2"]
    assert [video.label for video in fold] == [video.label for video in fights]
    assert not [video for video in [*fold, *unlabelled] if video.spans or video.num_frames]
    assert not [video for video in unlabelled if video.label is not None]


def run(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, list[str], str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    printed = capfd.readouterr()
    return int(caught.value.code or 0), printed.out.splitlines(), printed.err


def test_it_runs_and_goes_on_where_it_was(
    toy_footage: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    common = ["--data", str(toy_footage), "--out", str(tmp_path), "--quick", "--device", "cpu"]
    status, lines, _ = run(common, capfd)
    assert status == 0
    assert len([line for line in lines if line.startswith("    ")]) >= 2 + 10 + 8
    found = json.loads(lines[-1].removeprefix("RESULT "))
    assert list(found["rows"]) == ["motion energy", "acceleration", "random", "all-4"]
    for row in found["rows"].values():
        assert len(row) == 12
        assert all(0 <= figure["value"] <= 1 for figure in row.values())
    trained = found["rows"]["all-4"]["fights, label-free, frame_auc"]
    assert set(trained["less_random"]) == set(found["rows"]["random"]["fights, bag labels, per_video_auc"]) - {
        "less_motion_energy"
    }
    weights = f"again={tmp_path}/quick/all-4/network-0/pretrain-without-fights"
    status, lines, _ = run([*common, "--weights", weights], capfd)
    assert status == 0
    made = [line for line in lines if line.startswith("    ") and ": " in line and "AUC" not in line]
    assert made
    assert all("/again/" in line for line in made), "what was there is not made again"
    again = json.loads(lines[-1].removeprefix("RESULT "))["rows"]
    assert again["all-4"] == found["rows"]["all-4"]
    label_free = [key for key in again["again"] if "label-free" in key and "vioperu" not in key]
    assert [again["again"][key] for key in label_free] == [again["all-4"][key] for key in label_free]
    status, lines, _ = run([*common, "--tests", "falls"], capfd)
    only = json.loads(lines[-1].removeprefix("RESULT "))["rows"]["all-4"]
    assert only == {key: found["rows"]["all-4"][key] for key in only}
    assert set(only) == {"falls, label-free, frame_auc", "falls, label-free, per_video_auc"}
    settings = json.loads((tmp_path / "quick/settings.json").read_text())
    settings["folds.fights"] = []
    (tmp_path / "quick/settings.json").write_text(json.dumps(settings))
    status, _, said = run(common, capfd)
    assert status == 2
    assert "holds results of other settings (changed: folds.fights): choose another --out" in said


def test_rows_of_a_frozen_image_network(toy_footage: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "image.safetensors")
    image = ["--image-network", "timm/test_resnet", "--image-weights", str(tmp_path / "image.safetensors")]
    common = ["--data", str(toy_footage), "--out", str(tmp_path), "--quick", "--device", "cpu", "--tests", "fights"]
    status, lines, _ = run([*common, *image, "--image-size", "32", "48"], capfd)
    assert status == 0
    found = json.loads(lines[-1].removeprefix("RESULT "))
    assert list(found["rows"])[-4:] == ["random image", "image", "image + untrained", "image + all-4"]
    key = "fights, label-free, frame_auc"
    values = [found["rows"][row][key]["value"] for row in ("image", "image + all-4")]
    assert found["added_to_image"][f"image + all-4, {key}"]["value"] == pytest.approx(values[1] - values[0])
    assert [line for line in lines if line.startswith(f"image + all-4 less image, {key}: ")]
    folders = sorted(folder.name.rpartition("-")[0] for folder in (tmp_path / "quick").glob("*image*-*"))
    assert folders == ["image", "image_+_all-4", "image_+_untrained", "random_image"]
    (trained,) = (tmp_path / "quick").glob("image_+_all-4-*/network-0/pretrain-without-fights/backbone")
    own, given = load_file(trained / "backbone.safetensors"), load_file(tmp_path / "image.safetensors")
    assert all(torch.equal(own[name], given[name]) for name in given)


def test_absent_footage_is_one_message(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, _, said = run(["--data", str(tmp_path / "real"), "--out", str(tmp_path / "out")], capfd)
    assert status == 2
    assert said == f"error: the real footage is not at {tmp_path}/real: set --data to its folder\n"
    status, _, said = run(["--data", str(tmp_path), "--out", str(tmp_path / "out")], capfd)
    assert status == 2
    assert f"{tmp_path}/fight_streams/train_ground_truth.json is not there" in said
    assert not (tmp_path / "out").exists()


def test_wrong_settings_are_told() -> None:
    with pytest.raises(UserError, match="networks is 0; it must be at least 1"):
        RealCctvConfig(networks=0)
    with pytest.raises(UserError, match=r"steps are \[600, 0\]; give one or more numbers, each at least 1"):
        RealCctvConfig(steps=(600, 0))
    with pytest.raises(UserError, match=r"tests name 'fall'; give some of fights, .*did you mean 'falls'\?"):
        RealCctvConfig(tests=("fall",))
    with pytest.raises(UserError, match="image_network and image_weights belong together: give both, or neither"):
        RealCctvConfig(image_network="timm/test_resnet")
    with pytest.raises(UserError, match=r"arms name 'sped'; give some of all, .*did you mean 'speed'\?"):
        RealCctvConfig(arms=("sped",))


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/real beside the checkout")
def test_the_real_footage_is_what_the_benchmark_takes_it_for() -> None:
    tests = open_tests(REAL)
    counts = {name: (len(test.videos), len({video.group for video in test.videos})) for name, test in tests.items()}
    assert counts == {
        "fights": (87, 34),
        "vioperu": (183, 68),
        "ped2": (22, 22),
        "road_accidents": (15, 15),
        "falls": (19, 19),
    }
    assert len(footage(REAL, tests, "fights")) == 800 + 9 + 16 + 183
    assert len(footage(REAL, tests, "vioperu")) == 800 + 9 + 16 + 87
    for name in ("fights", "vioperu"):
        for held_out in folds(tests[name].videos, 5):
            assert {video.label for video in tests[name].videos if video.group in held_out} == {0, 1}
