"""Where something is, out of another run than when: its maps put to the scores of a detector of whole pictures.

A detector of whole pictures tells better when something happens, one of cells where in the picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from downstream.report.run_contents import read_run, run_rule
from downstream.scores.video_scores import VideoScores
from downstream.visualisation.heat import HeatRange, heat_range
from pretrain.errors import UserError, problem_list


def with_maps_of(where: Path, shown: Sequence[VideoScores]) -> tuple[dict[str, VideoScores], HeatRange]:
    """The same scores by name, each with the map that `where` has of the video; and how its cells are coloured.

    A snippet takes the map of the snippet of `where` that holds its middle. UserError: that run has no maps, or none of
    one of these videos.
    """
    by_name = {video.name: video for video in read_run(where).file.videos}
    if bare := [video.name for video in by_name.values() if video.map is None]:
        raise UserError(
            f"{where} has no maps ('{bare[0]}'): its detectors score whole pictures. Give a run on features of cells "
            "(scripts/extract_features.py --grid)"
        )
    if missing := [f"'{video.name}'" for video in shown if video.name not in by_name]:
        raise UserError(
            f"{where} did not score {len(missing)} of the {len(shown)} videos, and cannot say where:\n"
            f"{problem_list(missing, limit=5)}"
        )
    placed = {video.name: placed_in(video, by_name[video.name]) for video in shown}
    return placed, heat_range(list(by_name.values()), run_rule(where)[0].threshold)


def placed_in(video: VideoScores, other: VideoScores) -> VideoScores:
    """The scores of `video` with the map of `other`, snippet by snippet as they lie in time."""
    assert other.map is not None
    middles = (video.edges[:-1] + video.edges[1:]) // 2
    rows = np.clip(np.searchsorted(other.edges, middles, side="right") - 1, 0, len(other.scores) - 1)
    return dataclasses.replace(video, map=dataclasses.replace(other.map, scores=other.map.scores[rows]))
