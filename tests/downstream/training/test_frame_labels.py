"""Shares of anomalous frames, by hand: of snippets, of segments, of what a batch brings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from downstream.features.feature_spec import VideoEntry
from downstream.features.fusion import FusedFeatures
from downstream.features.set_writer import FeatureWriter
from downstream.training.bag_dataset import BagDataset, BagsConfig
from downstream.training.frame_labels import check_frame_labels, describe_frame_labels, frame_counts
from downstream.training.segment_cache import segment_edges
from pretrain.data.catalogue import Catalogue, Video
from pretrain.errors import UserError
from tests.downstream.simulated import SPEC
from tests.downstream.training.simulated_bags import CPU, catalogue

SPANS = {
    "short": [[20, 40]],  # 3 snippets of 16 frames: 0, 12 of 16, 8 of 16
    "long": [[64, 136]],  # 20 snippets in 8 parts
    "normal": [],
    "calm": [],
}
SNIPPETS = {"short": 3, "long": 20, "normal": 9, "calm": 4}
SHORT, LONG = [0, 0.75, 0.5], [0, 1 / 3, 1, 0.5, 0, 0, 0, 0]
"""Parts of `long` are snippets 0-1, 2-4, 5-6, 7-9, ...: frames 0-31, 32-79, 80-111, 112-159."""


def entry(snippets: int, frames: int | None = None, snippet_frames: int | None = 16) -> VideoEntry:
    return VideoEntry(name="v", offset=0, snippets=snippets, frames=frames, fps=None, snippet_frames=snippet_frames)


def shares(entry: VideoEntry, spans: tuple[tuple[int, int], ...], num_frames: int | None = None) -> list[float]:
    video = Video("v", "", int(bool(spans)), spans=spans, num_frames=num_frames)
    return frame_counts(entry, video).shares().tolist()


def test_shares_of_snippets() -> None:
    assert shares(entry(3), ((20, 40),)) == SHORT
    assert shares(entry(3), ()) == [0, 0, 0]
    assert shares(entry(3), ((0, 8), (24, 48))) == [0.5, 0.5, 1]


def test_the_end_of_a_video_follows_the_rule_of_the_evaluation() -> None:
    """Frames past the last snippet belong to it; a last snippet that reaches out is cut."""
    assert shares(entry(2), ((16, 24),), num_frames=40) == [0, pytest.approx(8 / 24)]
    assert shares(entry(2), ((16, 24),), num_frames=24) == [0, 1]


def test_snippets_that_divide_a_video_evenly() -> None:
    evenly = entry(4, frames=400, snippet_frames=None)
    assert shares(evenly, ((150, 250),)) == [0, 0.5, 0.5, 0]
    assert shares(entry(4, snippet_frames=None), ((150, 250),), num_frames=400) == [0, 0.5, 0.5, 0]


def test_shares_of_parts_count_frames() -> None:
    counts = frame_counts(entry(20), Video("v", "", 1, spans=((64, 136),)))
    assert counts.of_parts(segment_edges(20, 8)).shares().tolist() == pytest.approx(LONG)
    held = frame_counts(entry(2), Video("v", "", 1, spans=((16, 24),), num_frames=40))
    assert held.of_parts(np.array([0, 2])).shares().tolist() == pytest.approx([8 / 40])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    writer, videos = FeatureWriter(folder / "features", SPEC, "float32"), {}
    for name, snippets in SNIPPETS.items():
        numbers = np.arange(snippets, dtype=np.float32).reshape(-1, 1, 1)
        writer.add(name, np.broadcast_to(numbers, (snippets, 2, SPEC.dim)), frames=16 * snippets, fps=30.0)
        videos[name] = {"path": f"{name}.mp4", "label": int(bool(SPANS[name])), "spans": SPANS[name]}
    writer.finish()
    (folder / "annotations").mkdir()
    content = {"format": "anomaly-pretext/ground-truth/1", "videos": videos}
    (folder / "annotations" / "ground_truth.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def labelled_bags(world: Path, cache: Path, frame_labels: bool = True, **fields: object) -> BagDataset:
    source = FusedFeatures.open([world / "features"])
    config = BagsConfig(segments=8, **fields)  # type: ignore[arg-type]
    return BagDataset(source, list(catalogue(world)), config, 4, 0, cache, CPU, frame_labels)


@pytest.mark.parametrize("crops", ["one", "all"])
def test_a_batch_brings_the_labels_of_its_segments(world: Path, tmp_path: Path, crops: str) -> None:
    batch = labelled_bags(world, tmp_path, crops=crops).batch(0)
    assert batch.instance_labels is not None
    assert set(batch.names) == set(SNIPPETS)
    expected = {"short": [*SHORT, 0, 0, 0, 0, 0], "long": LONG, "normal": [0] * 8, "calm": [0] * 8}
    for name, mine in zip(batch.names, batch.instance_labels, strict=True):
        assert mine.tolist() == pytest.approx(expected[name])
    assert not batch.instance_labels[~batch.mask].any()


def test_a_sampled_snippet_has_its_own_label(world: Path, tmp_path: Path) -> None:
    """The features of a snippet are its number."""
    made = labelled_bags(world, tmp_path, sampling="sample")
    for step in range(5):
        batch = made.batch(step)
        assert batch.instance_labels is not None
        for name, features, mine, mask in zip(
            batch.names, batch.inputs, batch.instance_labels, batch.mask, strict=True
        ):
            own = shares(entry(SNIPPETS[name]), tuple((a, b) for a, b in SPANS[name]))
            assert mine[mask].tolist() == [own[int(number)] for number in features[mask, 0]]


@pytest.mark.parametrize("sampling", ["mean", "sample"])
def test_two_processes_share_the_labels(world: Path, tmp_path: Path, sampling: str) -> None:
    made = labelled_bags(world, tmp_path, sampling=sampling)
    whole = made.batch(1).instance_labels
    parts = [made.batch(1, rank, 2).instance_labels for rank in (0, 1)]
    assert whole is not None
    assert torch.equal(torch.cat([part for part in parts if part is not None]), whole)


def test_a_weakly_supervised_batch_has_none(world: Path, tmp_path: Path) -> None:
    made = labelled_bags(world, tmp_path, frame_labels=False)
    batch, labelled = made.batch(0), labelled_bags(world, tmp_path).batch(0)
    assert batch.instance_labels is None
    assert torch.equal(batch.inputs, labelled.inputs)  # the same bags
    assert batch.names == labelled.names


def test_videos_whose_frames_nobody_labelled_are_refused() -> None:
    videos = [Video("n", "", 0), Video("fire", "", 1), Video("fall", "", 1, spans=((0, 9),)), Video("fight", "", 1)]
    with pytest.raises(UserError) as caught:
        check_frame_labels({}, Catalogue(videos, "list"), None)
    assert str(caught.value) == (
        "ceiling is on, which trains on labels of frames. Of the training videos, the catalogue does not say which "
        "frames are abnormal in 2 of 3 abnormal videos, the first is 'fire'. The catalogues json, csv and "
        "ucf_crime2local have spans of training videos where their files hold them; ucf_crime, xd_violence, "
        "shanghaitech and folder never. Add the spans, or leave ceiling out"
    )


def test_spans_of_other_videos_are_refused() -> None:
    videos = Catalogue([Video("n", "", 0), Video("v", "", 1, spans=((90, 99),))], "list")
    with pytest.raises(UserError, match=r"(?s)ceiling, on the training videos: 1 problem.*'v': anomaly in frames \[90"):
        check_frame_labels({"n": entry(3), "v": entry(3)}, videos, None)


def test_cells_are_refused() -> None:
    with pytest.raises(UserError, match=r"features are of 2x3 cells: labels of frames say when, not where.*leave"):
        check_frame_labels({}, Catalogue([Video("n", "", 0)], "list"), (2, 3))


def test_other_spans_are_another_note() -> None:
    one, other = (describe_frame_labels([Video("v", "", 1, spans=((0, end),))]) for end in (9, 10))
    assert one != other
    assert one == describe_frame_labels([Video("v", "elsewhere.mp4", 1, spans=((0, 9),))])
