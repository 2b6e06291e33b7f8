"""The scores of a stream are those of its file: tails, clips, crops, cells, seeds, fused sets; and after a gap."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from downstream.detection.live.frame_queue import Frame, Opened
from downstream.detection.live.scorer import LiveScore, LiveScorer, region_for
from downstream.detection.live.settings import SourceSettings
from downstream.detection.live.source import FrameSource
from downstream.detection.model import EncoderSource, Model, score_files
from downstream.detector.cell_composition import CellComposition
from downstream.detector.inference import as_bags, block_evidence
from downstream.detector.model import Detector
from downstream.features.encoders import Encoder
from downstream.features.snippets import SnippetSettings
from pretrain.data.video import VideoError, VideoInfo
from pretrain.errors import UserError
from tests.downstream.detection.live.models import small_encoder, small_group, small_model
from tests.pretrain.encoding import encode_video


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Frames -> video: shorter than a snippet, a tail, snippets alone."""
    root = tmp_path_factory.mktemp("videos")
    return {count: encode_video(root / f"v{count}.mp4", count, num_frames=count) for count in (10, 150, 160)}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return small_encoder()


@pytest.fixture(scope="module")
def cells() -> Encoder:
    return small_encoder(grid="map")


def played(model: Model, path: Path, **options: Any) -> list[LiveScore]:
    scorer = LiveScorer(model, **options)
    scores: list[LiveScore] = []
    with FrameSource(str(path), region_for(model), SourceSettings(), np.random.default_rng(0)) as source:
        for item in source:
            if isinstance(item, Opened):
                scorer.look(item.info)
            elif isinstance(item, Frame):
                scores += scorer.push(item.number, item.pixels, item.arrived)
    return scores + scorer.finish(is_end=True)


def assert_as_offline(model: Model, path: Path) -> None:
    (found,) = score_files(model, [("v", str(path))])
    assert found.scores is not None
    live = played(model, path)
    assert [score.start for score in live] == found.scores.edges[:-1].tolist()
    assert [score.end for score in live] == found.scores.edges[1:].tolist()
    np.testing.assert_allclose([score.score for score in live], found.scores.scores, rtol=0, atol=1e-5)
    if found.scores.map is not None:
        maps = [score.map for score in live if score.map is not None]
        np.testing.assert_allclose(np.concatenate([each.scores for each in maps]), found.scores.map.scores, atol=1e-5)
        assert {(each.size, each.seen) for each in maps} == {(found.scores.map.size, found.scores.map.seen)}


@pytest.mark.parametrize("frames", [10, 150, 160])
@pytest.mark.parametrize("tail", ["drop", "pad"])
def test_tails_are_those_of_files(encoder: Encoder, videos: dict[int, Path], frames: int, tail: Any) -> None:
    assert_as_offline(small_model(small_group(encoder, tail=tail, temporal="multi_scale")), videos[frames])


@pytest.mark.parametrize("snippet_frames", [5, 30])
def test_clips_longer_and_shorter_than_snippets(encoder: Encoder, videos: dict[int, Path], snippet_frames: int) -> None:
    group = small_group(encoder, snippet_frames=snippet_frames, normalise="layer", tail="pad")
    assert_as_offline(small_model(group), videos[150])


def test_five_crops_and_two_seeds(encoder: Encoder, videos: dict[int, Path]) -> None:
    group = small_group(encoder, crops=5, normalise="l2", seeds=(0, 1), temporal="multi_scale")
    assert_as_offline(small_model(group), videos[150])


@pytest.mark.parametrize("pool", [None, (2, 3)])
def test_cells(cells: Encoder, videos: dict[int, Path], pool: Any) -> None:
    group = small_group(cells, pool_cells=pool, seeds=(0, 1), temporal="multi_scale")
    assert_as_offline(small_model(group), videos[150])


@pytest.fixture
def composed(cells: Encoder) -> Model:
    """Detectors of cells whose scores are composed of their own and of how a cell changes."""
    group = small_group(cells, temporal="multi_scale", score_smoothing=1.0, composition="which_when")
    (detector,) = group.detectors
    assert isinstance(detector, Detector)
    assert isinstance(detector.composition, CellComposition)
    assert cells.grid is not None
    detector.composition.whiten(torch.eye(detector.dim).double())
    footage = torch.randn(20, cells.grid[0] * cells.grid[1], detector.dim, generator=torch.Generator().manual_seed(0))
    detector.fit_composition([as_bags(detector, block_evidence(detector, 0.1 * footage))], [0])
    return small_model(group)


@pytest.mark.parametrize("frames", [10, 150])
def test_composed_cells(composed: Model, videos: dict[int, Path], frames: int) -> None:
    assert_as_offline(composed, videos[frames])


def test_without_lookahead_the_first_snippet_of_composed_cells_is_scored_by_what_is_known(
    composed: Model, videos: dict[int, Path]
) -> None:
    """It has no neighbour yet: no change at all is no sign of calm."""
    scores = [score.score for score in played(composed, videos[150], lookahead=0)]
    assert scores[0] > 1e-3 * max(scores)


def test_fused_sets_and_several_members(encoder: Encoder, cells: Encoder, videos: dict[int, Path]) -> None:
    """A vector of the whole picture beside every cell; a second group on the same encoders, with another reach."""
    settings = SnippetSettings()
    slow = small_encoder(clip_stride=4)  # waits for frames that the other does not need
    more = tuple(EncoderSource(encoder=each, settings=settings, dtype="float32") for each in (encoder, slow))
    first = small_group(cells, more=more, temporal="multi_scale")
    second = small_group(cells, normalise="l2", seeds=(3, 4))
    assert_as_offline(small_model(first, second), videos[160])
    assert_as_offline(small_model(first, dataclasses.replace(second, runs=(1, 2))), videos[160])  # thirds then


def test_encoders_that_look_at_other_pictures_are_refused(encoder: Encoder) -> None:
    other = EncoderSource(
        encoder=small_encoder(border_crop=(0.1, 0, 0, 0)), settings=SnippetSettings(), dtype="float32"
    )
    with pytest.raises(UserError) as refused:
        region_for(small_model(small_group(encoder, more=(other,))))
    assert str(refused.value) == (
        "run: its 2 encoders look at different parts or sizes of the picture, and a stream is decoded once, for one of "
        "them:\n  - small3d: 1 crop(s) of 32x48, borders 0, 0, 0, 0\n  - small3d: 1 crop(s) of 32x48, borders 0.1, 0, "
        "0, 0\nRecord the stream and score the files, or give a detector on one feature set"
    )


def test_no_lookahead_comes_sooner_and_waits_for_nothing(encoder: Encoder) -> None:
    model = small_model(small_group(encoder, temporal="multi_scale"))
    assert (LiveScorer(model).delay_frames, LiveScorer(model, lookahead=0).delay_frames) == (64, 0)
    with pytest.raises(UserError, match="lookahead is 9 snippets; this detector looks at most 4 ahead"):
        LiveScorer(model, lookahead=9)


def info(width: int = 72) -> VideoInfo:
    return VideoInfo(0, 25.0, width, 48, 0.0, "h264", 0, False)


def push(scorer: LiveScorer, numbers: range) -> list[LiveScore]:
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 255, (8, 32, 48, 3), dtype=np.uint8)
    return [score for n in numbers for score in scorer.push(n, pictures[n % 8], 100.0 + n)]


def test_what_came_whole_before_a_gap_is_scored_and_nothing_reaches_across(encoder: Encoder) -> None:
    scorer = LiveScorer(small_model(small_group(encoder, temporal="multi_scale")))
    scorer.look(info())
    before = push(scorer, range(40)) + scorer.finish(is_end=False)
    after = push(scorer, range(56, 56 + 40)) + scorer.finish(is_end=False)
    # pictures repeat after 8 frames, and 56 is a multiple of 8: the second run sees what the first saw
    assert [(score.start, score.end) for score in before] == [(0, 16), (16, 32)]
    assert [(score.start, score.end) for score in after] == [(56, 72), (72, 88)]
    np.testing.assert_allclose([score.score for score in before], [score.score for score in after])
    assert [score.arrived for score in after] == [171.0, 187.0]


def test_a_camera_is_compared_with_what_it_showed_and_another_picture_begins_anew(encoder: Encoder) -> None:
    group = small_group(encoder, normalise="video", temporal="multi_scale")  # so that scores come late
    scorer = LiveScorer(small_model(group), settle_snippets=3)
    assert scorer.compares
    scores = []
    for width, numbers in [(72, range(64)), (72, range(100, 116)), (90, range(116, 132))]:
        scorer.look(info(width))
        scores += push(scorer, numbers) + scorer.finish(is_end=False)
    assert [score.is_settled for score in scores] == [False, False, True, True, True, False]
    settled = LiveScorer(small_model(small_group(encoder)), settle_snippets=3)
    settled.look(info())
    assert push(settled, range(16))[0].is_settled


def test_broken_weights_are_said(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = LiveScorer(small_model(small_group(encoder)))
    scorer.look(info())
    monkeypatch.setattr(encoder, "features", lambda clips: clips.float().mean((1, 2, 3, 4))[:, None] / 0 * 0)
    with pytest.raises(VideoError, match="small3d makes features that are no finite float32 numbers; its weights"):
        push(scorer, range(16))
