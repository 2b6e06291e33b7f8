"""Snippets, blocks and statistics over a rolling window: against the definitions for files, and in bounded memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detection.live.rolling import RollingSnippets
from downstream.detection.live.rolling_scores import RollingScores, RollingStatistics
from downstream.detection.live.stream_scores import split_lookahead
from downstream.detector.model import Detector, DetectorConfig
from downstream.features.normalising import normalised, video_statistics
from downstream.features.snippets import ClipView, SnippetSettings, snippet_clips
from pretrain.errors import UserError
from tests.downstream.features.views import view_of


def view(clip_frames: int, clip_stride: int) -> ClipView:
    return view_of(frames=clip_frames, stride=clip_stride, height=1, width=1)


def frame(number: int) -> np.ndarray:
    """One pixel that says which frame it is."""
    return np.array([[[number % 251, number // 251, 7]]], np.uint8)


def shown(clips: np.ndarray) -> np.ndarray:
    return clips[..., 0, 0, 0].astype(int) + 251 * clips[..., 0, 0, 1].astype(int)


@settings(deadline=None)
@given(
    st.integers(1, 20), st.integers(1, 9), st.integers(1, 5), st.sampled_from(["drop", "pad"]), st.integers(1, 90),
    st.integers(0, 900),
)  # fmt: skip
def test_snippets_are_those_of_a_file(length: int, frames: int, stride: int, tail: str, count: int, first: int) -> None:
    how = SnippetSettings(snippet_frames=length, tail=tail)  # type: ignore[arg-type]
    rolling = RollingSnippets(how, view(frames, stride))
    given_live = [snippet for n in range(count) for snippet in rolling.push(first + n, frame(n))]
    given_late = rolling.flush()
    expected = snippet_clips(count, how, view(frames, stride))
    snippets = given_live + given_late
    assert [snippet.start for snippet in snippets] == [first + n * length for n in range(len(expected))]
    np.testing.assert_array_equal([shown(snippet.clips) for snippet in snippets], expected)
    whole = max(0, (count - rolling.delay_frames) // length)
    assert len(given_live) == whole  # nothing waits longer than it must


def test_a_gap_begins_a_run_and_no_clip_reaches_across() -> None:
    rolling = RollingSnippets(SnippetSettings(snippet_frames=4), view(6, 1))
    for n in range(7):
        rolling.push(n, frame(n))
    rolling.gap()
    assert rolling.flush() == []
    (snippet,) = [snippet for n in range(100, 105) for snippet in rolling.push(n, frame(n))]
    assert snippet.start == 100
    assert shown(snippet.clips).tolist() == [[100, 100, 101, 102, 103, 104]]


def test_a_jump_without_a_gap_is_a_mistake() -> None:
    rolling = RollingSnippets(SnippetSettings(snippet_frames=4), view(4, 1))
    rolling.push(3, frame(3))
    with pytest.raises(ValueError, match=r"frame 5 follows 3: call gap\(\) between them"):
        rolling.push(5, frame(5))


@given(st.integers(0, 4), st.integers(1, 20), st.data())
def test_blocks_hold_what_the_detector_sees(reach: int, count: int, data: st.DataObject) -> None:
    lookahead = data.draw(st.none() | st.integers(0, reach))
    rolling = RollingScores(reach, lookahead)
    values = np.arange(count, dtype=np.float32)[:, None, None]
    blocks = [block for n in range(count) for block in rolling.push(10 * n, values[n])] + rolling.flush()
    ahead = reach if lookahead is None else lookahead
    assert [block.snippet for block in blocks] == [10 * n for n in range(count)]
    for n, block in enumerate(blocks):
        assert block.values[:, 0, 0].tolist() == list(range(max(0, n - reach), min(count, n + ahead + 1)))
        assert block.values[block.row, 0, 0] == n


def test_a_detector_without_reach_sees_the_window() -> None:
    rolling = RollingScores(None, lookahead=1, window=4)
    blocks = [block for n in range(9) for block in rolling.push(n, np.full((1, 1), n, np.float32))]
    assert blocks[-1].values[:, 0, 0].tolist() == [5, 6, 7, 8]
    assert (blocks[-1].snippet, blocks[-1].row) == (7, 2)
    assert RollingScores(None).lookahead == 0


def test_after_a_gap_nothing_of_before_is_seen() -> None:
    rolling = RollingScores(2, lookahead=0)
    rolling.push(0, np.zeros((1, 1), np.float32))
    rolling.gap()
    (block,) = rolling.push(5, np.ones((1, 1), np.float32))
    assert (block.values.tolist(), block.row) == ([[[1.0]]], 0)


def test_more_lookahead_than_reach_is_refused() -> None:
    torch.manual_seed(0)
    shape = DetectorConfig(temporal="multi_scale", width=12, hidden=4, score_smoothing=1)
    looks = [Detector(shape, 6), Detector(replace(shape, temporal="none"), 6)]
    assert split_lookahead(looks, None, 256) == (4, 2)  # the furthest of the two, then its smoothing
    assert [split_lookahead(looks, wanted, 256) for wanted in (0, 3, 5)] == [(0, 0), (3, 0), (4, 1)]
    with pytest.raises(UserError, match=r"lookahead is 7 snippets; this detector looks at most 6 ahead: give 0"):
        split_lookahead(looks, 7, 256)
    sees_all = [Detector(replace(shape, temporal="transformer"), 6)]
    assert split_lookahead(sees_all, None, 256) == (0, 2)
    assert split_lookahead(sees_all, 255, 256) == (255, 0)
    with pytest.raises(UserError, match="looks at most 255 ahead"):
        split_lookahead(sees_all, 256, 256)
    with pytest.raises(UserError, match="rolling window of 0 snippets"):
        RollingScores(4, window=0)
    with pytest.raises(UserError, match="window is 0; it must be at least 1 snippet"):
        RollingStatistics("place", window=0)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 9), st.integers(1, 30), st.integers(1, 3), st.sampled_from(["place", "video"]), st.integers(0, 99)
)
def test_statistics_are_those_of_the_window(window: int, count: int, places: int, how: str, seed: int) -> None:
    values = np.random.default_rng(seed).normal(3, 2, (count, places, 5)).astype(np.float32)
    values[..., 0] = 4  # never changes
    rolling = RollingStatistics(how, window)  # type: ignore[arg-type]
    for n in range(count):
        live = rolling.push(values[n])
        seen = values[max(0, n + 1 - window) : n + 1]
        whole = video_statistics(seen, how)  # type: ignore[arg-type]
        assert rolling.count == len(seen)
        np.testing.assert_allclose(
            normalised(seen, how, live), normalised(seen, how, whole), rtol=1e-5, atol=1e-5  # type: ignore[arg-type]
        )  # fmt: skip


def test_rounding_errors_do_not_add_up() -> None:
    rolling = RollingStatistics("place", window=4)
    for n in range(4000):
        rolling.push(np.full((1, 1), 1e12 if n < 3990 else 1.1, np.float32))
    assert rolling.statistics().mean[0, 0] == np.float32(1.1)


def test_hours_of_frames_leave_memory_flat() -> None:
    """An hour at 30 frames a second, of small pictures."""
    snippets = RollingSnippets(SnippetSettings(snippet_frames=16), view(8, 4))
    scores, statistics = RollingScores(4), RollingStatistics("place", window=64)
    peaks, number = [], 0
    tracemalloc.start()
    try:
        for _ in range(4):
            tracemalloc.reset_peak()
            for _ in range(3600 * 30 // 4):
                for snippet in snippets.push(number, np.zeros((8, 8, 3), np.uint8)):
                    values = np.full((4, 32), snippet.start, np.float32)
                    statistics.push(values)
                    scores.push(snippet.start, values)
                number += 1
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert max(peaks[1:]) < peaks[0] + 4096
    assert peaks[0] < 500_000
