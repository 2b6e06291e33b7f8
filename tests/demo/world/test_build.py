"""A whole set: what was asked is done once, mistakes are named, no single statistic gives the label away."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from demo.world import build
from demo.world.build import MANIFEST, build_demo_set
from demo.world.cameras import CLOCK_ROWS
from demo.world.ground_truth import FilmedVideo
from demo.world.plan import PlannedVideo, make_plan
from pretrain.errors import UserError
from tests.demo.world.conftest import read_truth


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Filming replaced by writing one byte per video; counts the videos filmed."""
    filmed: Counter = Counter()

    def film(root: Path, videos: list[PlannedVideo], seed: int) -> list[FilmedVideo]:
        (root / "videos").mkdir(exist_ok=True)
        for video in videos:
            (root / "videos" / f"{video.name}.mp4").write_bytes(b"x")
            filmed[video.name] += 1
        return [FilmedVideo(video, ()) for video in videos]

    monkeypatch.setattr(build, "film_videos", film)
    return filmed


def test_second_call_is_up_to_date_until_something_changes(tmp_path: Path, quick: Counter) -> None:
    arguments = {"seed": 0, "cameras": 4, "videos_per_camera": 3, "workers": 1}
    assert build_demo_set(tmp_path / "set", **arguments)
    assert sum(quick.values()) == 12
    assert not build_demo_set(tmp_path / "set", **arguments)
    assert sum(quick.values()) == 12
    next((tmp_path / "set" / "videos").iterdir()).write_bytes(b"longer")
    assert build_demo_set(tmp_path / "set", **arguments)
    assert sum(quick.values()) == 24


def test_smaller_set_leaves_no_stale_videos(tmp_path: Path, quick: Counter) -> None:
    build_demo_set(tmp_path / "set", seed=0, cameras=4, videos_per_camera=3, workers=1)
    build_demo_set(tmp_path / "set", seed=0, cameras=2, videos_per_camera=2, workers=1)
    files = {path.stem for path in (tmp_path / "set" / "videos").iterdir()}
    assert files == {video.name for video in make_plan(0, 2, 2)}


def test_an_interrupted_set_is_made_again(tmp_path: Path, quick: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build.film_videos
    monkeypatch.setattr(build, "film_videos", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        build_demo_set(tmp_path / "set", seed=0, cameras=2, videos_per_camera=2, workers=1)
    monkeypatch.setattr(build, "film_videos", whole)
    assert build_demo_set(tmp_path / "set", seed=0, cameras=2, videos_per_camera=2, workers=1)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"holds no demo set .*demo_set\.json.*give a new or an empty folder"):
        build_demo_set(tmp_path, seed=0, cameras=4, videos_per_camera=2, workers=1)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_list_of_videos_deletes_nothing_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "kept.mp4").write_text("mine")
    (tmp_path / "set").mkdir()
    listed = {"arguments": {}, "complete": True, "bytes": {"../../kept.mp4": 4}}
    (tmp_path / "set" / MANIFEST).write_text(json.dumps(listed))
    with pytest.raises(UserError, match="leads out of"):
        build_demo_set(tmp_path / "set", seed=0, cameras=2, videos_per_camera=5, workers=1)
    assert (tmp_path / "kept.mp4").read_text() == "mine"


@pytest.mark.parametrize(
    ("cameras", "videos", "workers", "text"),
    [
        (1, 6, 1, "--cameras is 1; it must lie between 2 and 99"),
        (4, 1, 1, "--videos-per-camera is 1; it must lie between 2 and 999"),
        (4, 2, 0, "--workers is 0; give 1 or more"),
    ],
)
def test_impossible_sizes(tmp_path: Path, cameras: int, videos: int, workers: int, text: str) -> None:
    with pytest.raises(UserError, match=text):
        build_demo_set(tmp_path / "set", seed=0, cameras=cameras, videos_per_camera=videos, workers=workers)
    assert not (tmp_path / "set").exists()


@pytest.mark.slow
def test_no_frame_statistic_tells_the_label(tmp_path: Path) -> None:
    build_demo_set(tmp_path / "set", seed=0, cameras=16, videos_per_camera=6, workers=2)
    truth = read_truth(tmp_path / "set")
    labels = np.array([facts["label"] for facts in truth.values()])
    rows = []
    for facts in truth.values():
        with av.open(str(tmp_path / "set" / facts["path"])) as container:
            frames = np.stack([frame.to_ndarray(format="gray")[CLOCK_ROWS:] for frame in container.decode(video=0)])
        change = np.array([np.abs(b.astype(np.int16) - a).mean() for a, b in pairwise(frames)])
        brightness = frames.mean(axis=(1, 2))
        rows.append(
            (change.mean(), change.max(), brightness.mean(), brightness.var(), np.abs(np.diff(brightness)).max())
        )
    for name, values in zip(
        ("change", "largest change", "brightness", "its variance", "its jump"), np.array(rows).T, strict=True
    ):
        abnormal, normal = values[labels == 1], values[labels == 0]
        auc = (abnormal[:, None] > normal[None]).mean()
        assert 0.25 < auc < 0.75, f"{name}: AUC {auc:.2f}"
