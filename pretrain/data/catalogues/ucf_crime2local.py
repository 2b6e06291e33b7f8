"""UCF-Crime2Local (Landi et al., 2019): boxes over time for UCF-Crime videos of six classes, and normal ones.

`Train_split_AD.txt` and `Test_split_AD.txt` hold one id a line (`Arrest003`, `Normal_Videos...`); `<id>.txt` holds the
boxes in VATIC form, one line a frame and track:

    track xmin ymin xmax ymax frame lost occluded generated "label"

lost = 1 is outside of the picture and ignored. Some files count frames from 0, others from 1. The rule: VATIC writes a
line for every frame of a track, lost or not, from the first frame of the video to the last; so a file whose smallest
frame number (lost lines included) is exactly 1 counts from 1, and so does one whose largest is the video's frame count,
where that is known; every other counts from 0, VATIC's own definition.
A file that counts from 0 and begins at its second frame is read one frame early (assumption: there is none).

Boxes are in the 320x240 pixels of UCF-Crime's videos (assumption), xmax and ymax exclusive. Frame counts are known
where `test_num_frames.json` lies beside the lists (`ucf_crime_boxes`).

Its abnormal test videos are in UCF-Crime's TRAINING list:
`pretrain.data.validation_split.refuse_overlap_names` finds that.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pretrain.data.catalogue import Box, Catalogue, CatalogueConfig, Video, merge_spans
from pretrain.data.catalogues.boxes import UCF_CRIME_SIZE, fit_corners
from pretrain.data.catalogues.disk import Places, places, video_name
from pretrain.data.catalogues.lists import find_list, numbered_lines, unique_lines
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.ucf_crime import class_from_name
from pretrain.data.catalogues.ucf_crime_boxes import read_num_frames
from pretrain.data.remote.address import base_name, place_text

logger = logging.getLogger(__name__)

CLASSES = ("Arrest", "Assault", "Burglary", "Robbery", "Stealing", "Vandalism")
TEST_IDS = frozenset(
    f"{class_name}{number}"
    for class_name, numbers in {
        "Arrest": "003 006 028",
        "Assault": "012 015 030 031 033",
        "Burglary": "034 054 059 068 078 097 099",
        "Robbery": "001 003 031 033 041 077 144",
        "Stealing": "027 028 097 102",
        "Vandalism": "014 019 029 032 050",
    }.items()
    for number in numbers.split()
)
"""The abnormal test videos. A training list that holds one of them is refused."""


@dataclass(frozen=True)
class _Sources:
    """What lies around the lists."""

    box_files: Mapping[str, list[Path]]
    """Id -> text files of that name."""
    num_frames: Mapping[str, int]
    """Id -> frames, for as many videos as are known."""
    files: Places


def open_ucf_crime2local(config: CatalogueConfig) -> Catalogue:
    """The videos of both lists, found by name (`Arrest003` or `Arrest003_x264`) anywhere under the root.

    A video's name is that of its file, hence UCF-Crime's own, so features and overlaps match by name; without files
    (`check_files`) it is `Arrest003_x264`. Boxes lie beside the lists or in any folder below them.
    UserError lists at once: an id in both lists, a known test video in the training list, an abnormal test video
    without a box file, box files of ids in neither list (a warning with `allow_missing`), and every line of a box file
    that cannot be.
    """
    source = f"UCF-Crime2Local in {place_text(config.root)}"
    problems = Problems(source, config.allow_missing)
    lists = {split: find_list(config, [f"{split.title()}_split_AD.txt"], problems) for split in ("train", "test")}
    if lists["test"] is None or lists["train"] is None:
        problems.stop_if_any()
        raise AssertionError("a list that was not found is a problem")
    folder = lists["test"].parent
    lengths = {name.removesuffix("_x264"): count for name, count in read_num_frames(folder, problems).items()}
    sources = _Sources(_text_files(folder), lengths, places(config))
    videos: list[Video] = []
    seen: dict[str, str] = {}
    for split, path in lists.items():
        for line, where in unique_lines(path, problems).items() if path else ():
            video_id = video_name(line).removesuffix(".txt").removesuffix("_x264")
            if video_id in seen:
                problems.add(f"{where}: '{video_id}' was listed before, at {seen[video_id]}; a video is train or test")
            elif split == "train" and video_id in TEST_IDS:
                problems.add(f"{where}: '{video_id}' is a known test video; remove it, nothing may be trained on it")
            else:
                video = _video(video_id, split, where, sources, problems)
                videos += [video] if video else []
            seen.setdefault(video_id, where)
    _report_strays(sorted(sources.box_files.keys() - seen.keys()), config, problems)
    problems.stop_if_any()
    return Catalogue(videos, source)


def _text_files(folder: Path) -> dict[str, list[Path]]:
    """Stem -> paths of the text files below `folder`."""
    found: dict[str, list[Path]] = {}
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".txt"):
                found.setdefault(os.path.splitext(name)[0].removesuffix("_x264"), []).append(Path(parent, name))
    return found


def _report_strays(stems: list[str], config: CatalogueConfig, problems: Problems) -> None:
    """Text files that are named like a video of the six classes, but no list names that video."""
    strays = [stem for stem in stems if re.fullmatch(rf"({'|'.join(CLASSES)})\d+", stem)]
    if not strays:
        return
    text = f"{len(strays)} box file(s) of videos that are in neither list: {', '.join(strays)}"
    if config.allow_missing:
        logger.warning("%s: %s: left out (allow_missing)", problems.source, text)
    else:
        problems.add(f"{text}; list them, remove the files, or leave them out with allow_missing")


def _video(video_id: str, split: str, where: str, sources: _Sources, problems: Problems) -> Video | None:
    class_name = class_from_name(video_id)
    label, num_frames = int(class_name != "Normal"), sources.num_frames.get(video_id)
    found = sources.box_files.get(video_id, [])
    boxes = read_boxes(found[0], problems, num_frames) if found else ()
    if len(found) > 1:
        problems.add(f"{where}: '{video_id}' has {len(found)} box files ({', '.join(map(str, found))}); keep one")
    if boxes and not label:
        problems.add(f"{where}: '{video_id}' is normal, yet {found[0]} holds boxes")
    if label and split == "test" and not found:
        problems.add(f"{where}: '{video_id}' has no box file {video_id}.txt; without it it cannot be scored")
    file_name = video_id if sources.files.has(video_id) else f"{video_id}_x264"
    path = sources.files.locate(file_name, where, problems, class_name)
    if path is None:
        return None
    spans = merge_spans((box.frame, box.frame + 1) for box in boxes)
    name = video_name(base_name(path))
    return Video(name, path, label, split, class_name, None, spans, boxes, num_frames)


def read_boxes(path: Path, problems: Problems, num_frames: int | None = None) -> tuple[Box, ...]:
    """The boxes of a VATIC file that are not lost, by frame and track; frames counted from 0 by the module's rule."""
    rows: list[tuple[str, Box, bool]] = []
    seen: set[tuple[int, int]] = set()
    for where, line in numbered_lines(path):
        row = _parse(line)
        if isinstance(row, str):
            problems.add(f"{where}: {row}")
            continue
        box, lost = row
        if (box.frame, box.track) in seen:
            problems.add(f"{where}: a second line for frame {box.frame} of track {box.track}; remove one")
        seen.add((box.frame, box.track))
        rows.append((where, box, lost))
    first = _first_frame([box.frame for _, box, _ in rows], num_frames)
    boxes: list[Box] = []
    for where, box, lost in rows:
        frame = box.frame - first
        if not lost and num_frames is not None and frame >= num_frames:
            problems.add(f"{where}: frame {box.frame} lies beyond the last of {num_frames} (counted from {first})")
        boxes += [] if lost else [Box(frame, box.x1, box.y1, box.x2, box.y2, box.track)]
    return tuple(sorted(boxes, key=lambda box: (box.frame, box.track)))


def _first_frame(numbers: list[int], num_frames: int | None) -> int:
    """0 or 1: the number that the file gives to a video's first frame."""
    if not numbers or min(numbers) == 0:
        return 0
    return int(min(numbers) == 1 or max(numbers) == num_frames)


def _parse(line: str) -> tuple[Box, bool] | str:
    """A box with the frame number as written and whether it is lost, or what is wrong with the line."""
    fields = line.split(maxsplit=9)
    try:
        x1, y1, x2, y2 = (float(field) for field in fields[1:5])
        track, frame, lost = int(fields[0]), int(fields[5]), int(fields[6])
    except (ValueError, IndexError):
        return f"'{line}' is not: track xmin ymin xmax ymax frame lost occluded generated \"label\""
    if frame < 0:
        return f"frame {frame} is below 0"
    if lost:
        return Box(frame, x1, y1, x2, y2, track), True
    fitted = fit_corners((x1, y1, x2, y2), UCF_CRIME_SIZE)
    if isinstance(fitted, str):
        return f"box {x1:g} {y1:g} {x2:g} {y2:g} {fitted}"
    return Box(frame, *fitted, track), False
