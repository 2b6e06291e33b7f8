from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from pretrain.data import video
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import CATALOGUES, open_catalogue, open_training_catalogue
from pretrain.data.catalogues.disk import IMAGE_SUFFIXES
from pretrain.errors import UserError

Make = Callable[[str], Path]


@pytest.mark.parametrize("kind", CATALOGUES)
def test_training_catalogue_never_holds_a_test_video(kind: str, make: Make) -> None:
    config = CatalogueConfig(kind=kind, root=make(kind))
    whole, training = open_catalogue(config), open_training_catalogue(config)
    test_names = {video.name for video in whole if video.split == "test"}
    assert test_names
    assert training
    assert not test_names & {video.name for video in training}
    assert {video.name for video in training} | test_names == {video.name for video in whole}


@pytest.mark.parametrize("kind", ["csv", "ucf_crime"])
def test_no_setting_lets_a_test_video_into_training(kind: str, make: Make) -> None:
    config = CatalogueConfig(kind=kind, root=make(kind))
    for field in fields(CatalogueConfig):
        if field.type == "bool":
            changed = replace(config, **{field.name: not getattr(config, field.name)})
            assert all(video.split == "train" for video in open_training_catalogue(changed))


def test_a_set_of_test_videos_alone_cannot_be_trained_on(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.mp4").touch()
    with pytest.raises(UserError, match="all 1 videos are test videos, none is left to train on"):
        open_training_catalogue(CatalogueConfig(root=tmp_path))


@pytest.mark.parametrize("kind", CATALOGUES)
def test_missing_root_is_one_clear_line(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        open_catalogue(CatalogueConfig(kind=kind, root=tmp_path / "nowhere"))
    assert str(tmp_path / "nowhere") in str(error.value)
    assert "(--catalogue.root)" in str(error.value) or "set annotations to" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [kind for kind in CATALOGUES if kind not in ("folder", "csv", "json", "shards")])
def test_missing_list_files_are_all_named_with_the_mend(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(UserError, match=r"not found in .*set annotations to its folder") as error:
        open_catalogue(CatalogueConfig(kind=kind, root=tmp_path))
    assert str(error.value).count("not found in") >= 2


@pytest.mark.parametrize("kind", [kind for kind in CATALOGUES if kind not in ("csv", "json", "shards")])
def test_a_root_without_videos_says_what_was_looked_for(kind: str, make: Make) -> None:
    root = make(kind)
    for path in root.rglob("*"):
        if path.suffix in (".mp4", ".avi", ".mkv", ".jpg"):
            path.unlink()
    with pytest.raises(UserError, match=r"no videos under .* \(looked for .*\.mp4"):
        open_catalogue(CatalogueConfig(kind=kind, root=root))


@pytest.mark.parametrize("kind", [kind for kind in CATALOGUES if kind not in ("folder", "shards")])
def test_listed_videos_that_are_missing_are_errors_or_counted(
    kind: str, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    root = make(kind)
    config = CatalogueConfig(kind=kind, root=root)
    catalogue = open_catalogue(config)
    lost = catalogue[0]
    path = Path(lost.path)
    for file in path.iterdir() if path.is_dir() else [path]:
        file.unlink()
    if path.is_dir():
        path.rmdir()
    if kind == "xd_violence":  # without a training list, a training video that is gone was never there
        lost = catalogue.subset("test")[0]
        Path(lost.path).unlink()
    with pytest.raises(UserError, match="allow_missing leaves such videos out") as error:
        open_catalogue(config)
    assert Path(lost.path).stem in str(error.value)
    with caplog.at_level(logging.WARNING):
        rest = open_catalogue(replace(config, allow_missing=True))
    assert lost.name not in {video.name for video in rest}
    assert "1 listed video(s) are not on disk and are left out" in caplog.text


def test_unknown_kind_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown catalogue kind 'ucfcrime'; did you mean 'ucf_crime'"):
        open_catalogue(CatalogueConfig(kind="ucfcrime"))


def test_annotations_that_are_no_folder(make: Make) -> None:
    root = make("ucf_crime")
    config = CatalogueConfig(kind="ucf_crime", root=root, annotations=root / "Anomaly_Train.txt")
    with pytest.raises(UserError, match="is a file; for ucf_crime set it to the folder of the list files"):
        open_catalogue(config)


def test_lists_may_lie_elsewhere(make: Make, tmp_path: Path) -> None:
    root = make("ucf_crime")
    lists = tmp_path / "lists"
    lists.mkdir()
    for path in root.glob("*.txt"):
        path.rename(lists / path.name)
    assert len(open_catalogue(CatalogueConfig(kind="ucf_crime", root=root, annotations=lists))) == 5


WITHOUT_VIDEOS = [kind for kind in CATALOGUES if kind != "folder"]


@pytest.mark.parametrize("kind", WITHOUT_VIDEOS)
def test_lists_alone_say_the_same_without_a_video(kind: str, make: Make, tmp_path: Path) -> None:
    root = make(kind)
    if kind == "xd_violence":
        names = (Path(v.path).stem for v in open_catalogue(CatalogueConfig(kind=kind, root=root)).subset("train"))
        (root / "train_videos.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    if kind == "ucf_crime2local":  # nothing but a file could say that this one's name ends otherwise
        (root / "Robbery/Robbery001.mp4").rename(root / "Robbery/Robbery001_x264.mp4")
    with_videos = open_catalogue(CatalogueConfig(kind=kind, root=root))
    for path in [*root.rglob("*.mp4"), *root.rglob("*.avi"), *root.rglob("*.jpg")]:
        path.unlink()
    lists = {"csv": root / "videos.csv", "json": root / "annotations" / "ground_truth.json"}.get(kind, root)
    if kind == "shanghaitech":
        (root / "testing" / "test_frame_mask").rename(root / "test_frame_mask")
    nowhere = tmp_path / "nowhere"
    config = CatalogueConfig(kind=kind, root=nowhere, annotations=lists, check_files=False)
    listed = open_catalogue(config)
    assert {replace(v, path="") for v in listed} == {replace(v, path="") for v in with_videos}
    assert all(Path(video.path).is_relative_to(nowhere) for video in listed)


def test_the_path_is_what_the_list_says(make: Make) -> None:
    root = make("ucf_crime")
    listed = open_catalogue(CatalogueConfig(kind="ucf_crime", root=root, check_files=False))
    assert listed.by_name("Abuse001_x264").path == str(root / "Abuse/Abuse001_x264.mp4")
    assert listed.by_name("Abuse028_x264").path == str(root / "Abuse028_x264")


def test_kinds_that_cannot_do_without_files_name_the_mend(make: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'folder' knows its videos from their files alone.*kind csv or json"):
        open_catalogue(CatalogueConfig(kind="folder", root=tmp_path / "nowhere", check_files=False))
    with pytest.raises(UserError, match=r"train_videos\.txt not found, .*write the training names into it"):
        open_catalogue(CatalogueConfig(kind="xd_violence", root=make("xd_violence"), check_files=False))
    with pytest.raises(UserError, match=r"no folder '.*nowhere'; set annotations to the folder of the list files"):
        open_catalogue(CatalogueConfig(kind="ucf_crime", root=tmp_path / "nowhere", check_files=False))


@pytest.mark.parametrize(
    ("kind", "train", "test", "frames"),
    [
        ("ucf_crime", [810, 800], [140, 150], 84_345),
        ("xd_violence", [1905, 2049], [500, 300], 538_324),
        ("shanghaitech", [63, 175], [44, 155], 7_962),
    ],
)
def test_real_lists_alone_give_the_published_counts(
    kind: str, train: list[int], test: list[int], frames: int, real: Path, tmp_path: Path
) -> None:
    config = CatalogueConfig(kind=kind, root=tmp_path / "none", annotations=real / kind, check_files=False)
    catalogue = open_catalogue(config)
    counts = [[sum(v.label == label for v in catalogue.subset(s)) for label in (1, 0)] for s in ("train", "test")]
    assert counts == [train, test]
    assert sum(end - start for video in catalogue for start, end in video.spans) == frames


def test_frame_folders_found_are_those_the_reader_opens() -> None:
    assert set(video.IMAGE_SUFFIXES) == IMAGE_SUFFIXES
