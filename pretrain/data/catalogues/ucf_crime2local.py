"""UCF-Crime2Local (Landi et al., 2019): boxes over time for UCF-Crime videos of six classes, and normal ones.

`Train_split_AD.txt` and `Test_split_AD.txt` hold one id a line (`Arrest003`, `Normal_Videos...`); `<id>.txt` holds the
boxes in VATIC form, one line a frame and track:

    track xmin ymin xmax ymax frame lost occluded generated "label"

lost = 1 is outside of the picture and ignored. Some files count frames from 0, others from 1. The rule: VATIC writes a
line for every frame of a track, lost or not, from the first frame of the video on; so a file whose smallest frame
number (lost lines included) is exactly 1 counts from 1, every other counts from 0, VATIC's own definition.
A file that counts from 0 and begins at its second frame is read one frame early (assumption: there is none).

Its abnormal test videos are in UCF-Crime's TRAINING list: `pretrain.data.held_out.refuse_overlap` finds that.
"""

from __future__ import annotations

import os
from pathlib import Path

from pretrain.data.catalogue import Box, Catalogue, CatalogueConfig, Video, merge_spans
from pretrain.data.catalogues.disk import Places, places, video_name
from pretrain.data.catalogues.lists import find_list, numbered_lines, unique_lines
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.ucf_crime import class_from_name

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


def open_ucf_crime2local(config: CatalogueConfig) -> Catalogue:
    """The videos of both lists, found by name (`Arrest003` or `Arrest003_x264`) anywhere under the root.

    A video's name is that of its file, hence UCF-Crime's own, so features and overlaps match by name; without files
    (`check_files`) it is `Arrest003_x264`. Boxes lie beside the lists or in any folder below them. An abnormal test
    video without boxes is an error.
    """
    source = f"UCF-Crime2Local in {config.root}"
    problems = Problems(source, config.allow_missing)
    lists = {split: find_list(config, [f"{split.title()}_split_AD.txt"], problems) for split in ("train", "test")}
    if lists["test"] is None or lists["train"] is None:
        problems.stop_if_any()
        raise AssertionError("a list that was not found is a problem")
    box_files = _text_files(lists["test"].parent)
    files = places(config)
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
                video = _video(video_id, split, where, box_files, files, problems)
                videos += [video] if video else []
            seen.setdefault(video_id, where)
    problems.stop_if_any()
    return Catalogue(videos, source)


def _text_files(folder: Path) -> dict[str, Path]:
    """Stem -> path of every text file below `folder`."""
    return {
        os.path.splitext(name)[0].removesuffix("_x264"): Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.endswith(".txt")
    }


def _video(
    video_id: str, split: str, where: str, box_files: dict[str, Path], files: Places, problems: Problems
) -> Video | None:
    class_name = class_from_name(video_id)
    label = int(class_name != "Normal")
    boxes = read_boxes(box_files[video_id], problems) if video_id in box_files else ()
    if video_id in box_files and bool(boxes) > label:
        problems.add(f"{where}: '{video_id}' is normal, yet {box_files[video_id]} holds boxes")
    if label and split == "test" and video_id not in box_files:
        problems.add(f"{where}: '{video_id}' has no box file {video_id}.txt; without it it cannot be scored")
    file_name = video_id if files.has(video_id) else f"{video_id}_x264"
    path = files.locate(file_name, where, problems, class_name)
    if path is None:
        return None
    spans = merge_spans((box.frame, box.frame + 1) for box in boxes)
    return Video(video_name(os.path.basename(path)), path, label, split, class_name, None, spans, boxes)


def read_boxes(path: Path, problems: Problems) -> tuple[Box, ...]:
    """The boxes of a VATIC file that are not lost, by frame and track; frames counted from 0 by the module's rule."""
    boxes: list[Box] = []
    smallest: int | None = None
    seen: set[tuple[int, int]] = set()
    for where, line in numbered_lines(path):
        row = _parse(line)
        if isinstance(row, str):
            problems.add(f"{where}: {row}")
            continue
        box, lost = row
        smallest = box.frame if smallest is None else min(smallest, box.frame)
        if (box.frame, box.track) in seen:
            problems.add(f"{where}: a second line for frame {box.frame} of track {box.track}; remove one")
        seen.add((box.frame, box.track))
        boxes += [] if lost else [box]
    shift = 1 if smallest == 1 else 0
    moved = (Box(box.frame - shift, box.x1, box.y1, box.x2, box.y2, box.track) for box in boxes)
    return tuple(sorted(moved, key=lambda box: (box.frame, box.track)))


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
    if not lost and not (x1 < x2 and y1 < y2):
        return f"box {x1:g} {y1:g} {x2:g} {y2:g} is empty (xmin < xmax and ymin < ymax)"
    return Box(frame, x1, y1, x2, y2, track), bool(lost)
