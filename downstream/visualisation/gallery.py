"""Strips and films of the videos that score highest: OUT/strips/01-NAME.png, OUT/films/01-NAME.mp4.

Drawn last and from the first seed. The highest are drawn whatever their label: a false alarm is worth a look too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from downstream.events.alarm_level import LevelScale
from downstream.events.boxes import ScoredBox
from downstream.runs.localisation_folder import LocalisationFolder
from downstream.scores.video_scores import VideoScores
from downstream.visualisation.film import write_film
from downstream.visualisation.heat import heat_range
from downstream.visualisation.strip import write_strip
from pretrain.data.catalogue import Catalogue, Video
from pretrain.data.remote import is_remote
from pretrain.errors import UserError, problem_list
from pretrain.names import file_name, shown

_KINDS = {0: "normal", 1: "abnormal", None: "no label"}


def draw(
    scores: Sequence[VideoScores],
    boxes: Mapping[str, Sequence[Sequence[ScoredBox]]],
    threshold: float,
    videos: Catalogue,
    out: LocalisationFolder,
    *,
    strips: int,
    films: int,
    levels: LevelScale | None = None,
) -> None:
    """Draw so many strips and films; those of an earlier call are removed. Video files that are not there are named.

    `boxes`: of each video, those of each snippet. `levels`: what scores mean to people, by a calibration; None:
    relative to each video. UserError, after all others are drawn, for videos that are there and cannot be drawn.
    """
    for folder, suffix, count in ((out.strips, "png", strips), (out.films, "mp4", films)):
        for old in folder.glob(f"[0-9][0-9]*-*.{suffix}") if count else ():
            old.unlink()
    highest = sorted(scores, key=lambda entry: -float(entry.scores.max()))[: max(strips, films)]
    heat = heat_range(scores, threshold)
    missing, problems = [], []
    for number, entry in enumerate(tqdm(highest, desc="drawing", unit="video", disable=None)):
        video, found = videos.by_name(entry.name), boxes[entry.name]
        if not is_remote(video.path) and not Path(video.path).exists():
            missing.append(video.path)
            continue
        name = f"{number + 1:02d}-{file_name(video.name)}"
        drawn = (video.path, entry, found, video.boxes)
        try:
            if number < strips:
                target = out.strips / f"{name}.png"
                write_strip(target, *drawn, _title(video), threshold, spans=video.spans, heat=heat, levels=levels)
            if number < films:
                film = out.films / f"{name}.mp4"
                if note := write_film(film, *drawn, threshold, spans=video.spans, heat=heat, levels=levels):
                    tqdm.write(shown(note), file=sys.stderr)
        except UserError as error:
            problems.append(str(error))
    if missing:
        print(f"no pictures of {len(missing)} video(s) whose files are not there:\n{problem_list(missing)}\n")
    if problems:
        raise UserError(
            f"boxes and figures are written, but {len(problems)} video(s) cannot be drawn:\n{problem_list(problems)}"
        )


def _title(video: Video) -> str:
    return f"{shown(video.name)} ({video.class_name or _KINDS[video.label]})"
