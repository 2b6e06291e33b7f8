from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from downstream.scores.map_file import FORMAT, read_maps, write_maps
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.errors import UserError


def video(name: str, snippets: int = 3, last: int = 16) -> VideoScores:
    """Snippets of 16 frames, the last one of `last`; 2x3 cells."""
    scores = np.random.default_rng(len(name)).random((snippets, 2, 3))
    made = ScoreMap(scores, (320, 240), (40, 0.5, 279.3, 240))
    edges = 16 * np.arange(snippets + 1)
    edges[-1] += last - 16
    return VideoScores(name, made.frame_scores(), edges, made)


def test_round_trip_keeps_every_digit_any_name_and_both_kinds_of_snippets(tmp_path: Path) -> None:
    path = tmp_path / "run" / "maps.safetensors"
    # the last name is what a file name that is not UTF-8 becomes
    videos = [video("d0004"), video("Straße/1 \n\"'", last=5), video("scores-0", 1), video("caf\udce9"), video("")]
    write_maps(path, iter(videos), {"seed": 3, "note": "ü"})
    found = read_maps(path)
    assert found.meta == {"seed": 3, "note": "ü"}
    for before, after in zip(videos, found.videos, strict=True):
        assert before.map is not None
        assert after.map is not None
        assert (after.name, after.map.size, after.map.seen) == (before.name, before.map.size, before.map.seen)
        assert after.map.scores.dtype == np.float64
        np.testing.assert_array_equal(after.map.scores, before.map.scores)
        np.testing.assert_array_equal(after.scores, before.scores)
        np.testing.assert_array_equal(after.edges, before.edges)


def test_maps_that_do_not_lie_in_memory_in_order(tmp_path: Path) -> None:
    scores = np.arange(24, dtype=np.float64).reshape(2, 3, 4).transpose(2, 1, 0)[::2]
    made = ScoreMap(scores, (4, 4), (0, 0, 4, 4))
    write_maps(tmp_path / "m.safetensors", [VideoScores("v", made.frame_scores(), np.array([0, 1, 5]), made)])
    (found,) = read_maps(tmp_path / "m.safetensors").videos
    assert found.map is not None
    np.testing.assert_array_equal(found.map.scores, scores)
    assert found.edges.tolist() == [0, 1, 5]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_maps(path, [video("old")])
    with pytest.raises(UserError, match=r"'a' stands twice; keep one"):
        write_maps(path, [video("a"), video("b"), video("a", 2)])
    with pytest.raises(ValueError, match=r"'c' needs a map"):
        write_maps(path, [make_scores("c", [0.5], [0, 16])])
    with pytest.raises(ValueError, match=r"'d' needs a map whose highest cells are its scores"):
        write_maps(path, [VideoScores("d", np.ones(3), np.arange(4), video("d").map)])
    with pytest.raises(ValueError, match=r"JSON"):
        write_maps(path, [video("a")], {"loss": float("nan")})
    assert [each.name for each in read_maps(path).videos] == ["old"]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_files_that_are_none_of_ours_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(UserError, match=r"cannot read the score maps .*m\.safetensors"):
        read_maps(path)
    with pytest.raises(UserError, match=r"cannot read the score maps"):
        read_maps(tmp_path)
    write_maps(path, [video("a")])
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with pytest.raises(UserError, match=r"cannot read the score maps .*; score the videos again"):
        read_maps(path)
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(UserError, match=r"has the format None, not 'anomaly-pretext/score-maps/1'"):
        read_maps(path)
    save_file({}, path, {"content": json.dumps({"format": FORMAT.replace("/1", "/2")})})
    with pytest.raises(UserError, match=r"has the format 'anomaly-pretext/score-maps/2'"):
        read_maps(path)


def entry(name: str = "v", **fields: Any) -> dict[str, Any]:
    return {"name": name, "size": [8, 8], "seen": [0, 0, 8, 8], "snippet_frames": 16} | fields


def test_all_bad_videos_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    fine = np.ones((2, 2, 2), np.float64)
    entries = [entry("a", seen=[0, 0, 9, 8]), entry("b"), entry("c"), entry("still", snippet_frames=0)]
    entries += [entry("d"), {"name": "e"}]
    tensors = {"scores-0": fine, "scores-1": np.full_like(fine, np.nan), "scores-2": fine.astype(np.float32)}
    tensors |= {"scores-3": fine, "scores-5": fine}
    save_file(tensors, path, {"content": json.dumps({"format": FORMAT, "meta": {}, "videos": entries})})
    with pytest.raises(UserError) as caught:
        read_maps(path)
    for words in (
        "6 problem(s)",
        "entry 0 is not a name, size, part seen and scores (the part seen, (0.0, 0.0, 9.0, 8.0), is not within a",
        "scores (scores of shape (2, 2, 2); expected (snippets, rows, columns), all finite)",
        "entry 2 is not a name, size, part seen and scores (scores are float32, not float64)",
        "scores of 'still': edges do not increase",
        "entry 4 is not a name, size, part seen and scores (KeyError('scores-4'))",
        "entry 5 is not a name, size, part seen and scores (it lacks 'size', 'seen')",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "words"),
    [([entry(), entry()], "'v' stands twice; keep one"), ([], "there is no video in the score maps")],
)
def test_doubled_and_empty_files(tmp_path: Path, entries: list[dict[str, Any]], words: str) -> None:
    path = tmp_path / "m.safetensors"
    tensors = {f"scores-{number}": np.ones((1, 1, 1), np.float64) for number in range(2)}
    save_file(tensors, path, {"content": json.dumps({"format": FORMAT, "meta": {}, "videos": entries})})
    with pytest.raises(UserError) as caught:
        read_maps(path)
    assert words in str(caught.value)
