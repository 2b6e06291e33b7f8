"""Zones in files and streams alike: what lies outside changes no score, is in no box, and is dark in the picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from downstream.detection.model import Model, ScoredFile, score_files
from downstream.detection.package import make_package
from downstream.detection.score_cache import ScoreCache
from downstream.detection.video_events import find_video_events
from downstream.detection.zones_drawn import write_zones_of
from downstream.events.rule import AlarmRule
from downstream.features.zones import Point, Zone, Zones
from pretrain.data.video import IndexCache
from pretrain.errors import UserError
from tests.downstream.detection.live.models import small_encoder, small_group, small_model
from tests.downstream.detection.live.test_scorer import assert_as_offline

LEFT = Zones(
    zones=(Zone(name="left", kind="include", polygon=(Point(0, 0), Point(0.5, 0), Point(0.5, 1), Point(0, 1))),)
)
ALL = Zones(zones=(Zone(name="all", kind="include", polygon=(Point(0, 0), Point(1, 0), Point(1, 1), Point(0, 1))),))


def render(path: Path, seed: int) -> Path:
    """A left half that is the same whatever the seed, a right half that is not; lossless."""
    left, right = np.random.default_rng(0), np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "bgr0"
        for _ in range(64):
            halves = [rng.integers(0, 255, (64, 48, 3), dtype=np.uint8) for rng in (left, right)]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.concatenate(halves, axis=1), "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("halves")
    return [render(root / f"v{seed}.mkv", seed) for seed in (1, 2)]


@pytest.fixture(scope="module")
def whole() -> Model:
    return small_model(small_group(small_encoder()))


@pytest.fixture(scope="module")
def cells() -> Model:
    return small_model(small_group(small_encoder(grid="map")))


def with_zones(model: Model, zones: Zones | None) -> Model:
    return dataclasses.replace(model, zones=zones)


def scored(model: Model, video: Path) -> ScoredFile:
    (found,) = score_files(model, [("v", str(video))])
    assert not found.problem, found.problem
    assert found.scores is not None
    return found


def scores(model: Model, video: Path) -> np.ndarray:
    found = scored(model, video).scores
    assert found is not None
    return found.scores


def test_whole_pictures_are_scored_by_what_counts_of_them(whole: Model, videos: list[Path]) -> None:
    plain = [scores(whole, video) for video in videos]
    left = [scores(with_zones(whole, LEFT), video) for video in videos]
    assert (plain[0] != plain[1]).all()
    assert (left[0] == left[1]).all()  # the right half is seen by nobody
    assert (left[0] != plain[0]).all()


@pytest.mark.parametrize("kind", ["whole", "cells"])
def test_zones_that_hold_all_change_not_a_bit(kind: str, videos: list[Path], request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(kind)
    assert (scores(with_zones(model, ALL), videos[0]) == scores(model, videos[0])).all()


def test_of_cells_those_that_count_are_scored_and_boxed(cells: Model, videos: list[Path]) -> None:
    plain, left = scored(cells, videos[0]), scored(with_zones(cells, LEFT), videos[0])
    assert plain.scores is not None and plain.scores.map is not None  # noqa: PT018
    assert left.scores is not None and left.scores.map is not None  # noqa: PT018
    half = plain.scores.map.grid[1] // 2
    assert (left.scores.map.scores[:, :, :half] == plain.scores.map.scores[:, :, :half]).all()
    assert not left.scores.map.scores[:, :, half:].any()
    assert (left.scores.scores == plain.scores.map.scores[:, :, :half].max(axis=(1, 2))).all()
    rule = AlarmRule(threshold=1e-6, release=1e-6)
    corners = [box.box.x2 for of_snippet in find_video_events(left, rule).boxes for box in of_snippet]
    assert corners and max(corners) <= 48  # noqa: PT018


@pytest.mark.parametrize("kind", ["whole", "cells"])
@pytest.mark.parametrize("zones", [None, LEFT])
def test_a_stream_has_the_scores_of_its_file(
    kind: str, zones: Zones | None, videos: list[Path], request: pytest.FixtureRequest
) -> None:
    assert_as_offline(with_zones(request.getfixturevalue(kind), zones), videos[0])


def test_several_crops_are_masked_each_by_its_own_part(videos: list[Path]) -> None:
    model = small_model(small_group(small_encoder(), crops=5))
    left = [scores(with_zones(model, LEFT), video) for video in videos]
    assert (left[0] == left[1]).all()


def test_zones_that_leave_nothing_are_that_videos_problem(cells: Model, videos: list[Path]) -> None:
    strict = dataclasses.replace(LEFT, cell_share=1.0)
    narrow = Zone(name="n", kind="include", polygon=(Point(0, 0), Point(0.02, 0), Point(0.02, 1)))
    (found,) = score_files(with_zones(cells, dataclasses.replace(strict, zones=(narrow,))), [("v", str(videos[0]))])
    assert "'v': the zones leave nothing of what the detector sees in a picture of 96x64 pixels" in found.problem


def test_kept_scores_are_of_these_zones(whole: Model, tmp_path: Path) -> None:
    caches = [ScoreCache(tmp_path, with_zones(whole, zones)) for zones in (None, LEFT, ALL)]
    assert len({cache._model for cache in caches}) == 3


def test_a_package_brings_its_zones(world: Path, tmp_path: Path) -> None:
    file = tmp_path / "zones.yaml"
    file.write_text("zones: [{name: left, polygon: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}]")
    made = make_package([world / "runs" / "whole"], tmp_path / "package", zones=file)
    assert made.zones == LEFT
    assert "zones: `left` (include)" in (tmp_path / "package" / "README.md").read_text()
    (tmp_path / "package" / "zones.json").write_text('{"zones": [{"polygon": []}]}')
    with pytest.raises(UserError, match="different corner"):
        make_package([world / "runs" / "whole"], tmp_path / "other", zones=tmp_path / "package" / "zones.json")


def test_of_several_zones_of_one_alone_are_not_taken_for_all(world: Path, tmp_path: Path) -> None:
    file = tmp_path / "zones.yaml"
    file.write_text("zones: [{name: left, polygon: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}]")
    make_package([world / "runs" / "large" / "seed-0"], tmp_path / "zoned", zones=file)
    both = [world / "runs" / "whole", tmp_path / "zoned"]
    for runs in (both, both[::-1]):
        with pytest.raises(
            UserError, match=r"zoned brings zones, and not every run here the same: give --zones for all"
        ):
            make_package(runs, tmp_path / "both")
    assert not (tmp_path / "both").exists()
    assert make_package(both, tmp_path / "both", zones=file).zones == LEFT
    make_package(both[:1], tmp_path / "alike", zones=file)
    assert make_package([tmp_path / "alike", tmp_path / "zoned"], tmp_path / "again").zones == LEFT


@pytest.mark.parametrize("kind", ["whole", "cells"])
def test_zones_are_drawn_on_a_frame(
    kind: str, videos: list[Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model, target = with_zones(request.getfixturevalue(kind), LEFT), tmp_path / "zones.jpg"
    write_zones_of(target, model, [scored(model, videos[0])], IndexCache(None))
    pixels = np.asarray(Image.open(target)).astype(int)
    assert pixels.shape == (64, 96, 3)
    assert pixels[20:, 56:].mean() < 0.5 * pixels[20:, :40].mean()  # what does not count is dark
    write_zones_of(target, with_zones(model, None), [scored(model, videos[0])], IndexCache(None))
    assert not target.exists()  # of an earlier call
