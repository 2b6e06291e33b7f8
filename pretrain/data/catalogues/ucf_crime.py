"""UCF-Crime (Sultani, Chen, Shah, CVPR 2018) from its own two list files.

`Anomaly_Train.txt` has a path a line. `Temporal_Anomaly_Annotation.txt` (also `..._for_Testing_Videos.txt`) names the
test videos and where their anomalies are; -1 is "none":

    Abuse028_x264.mp4  Abuse  165  240  -1  -1
    RoadAccidents/RoadAccidents021_x264.mp4 155 RoadAccidents 30 90 -1 -1      (a variant: the frame count second)

Frames count from 1 and the end frame is INSIDE: `165 240` is the half-open span [164, 240) here, 76 frames. That is how
the authors' own evaluation reads it (MATLAB, `GT(start:end) = 1` after `start = max(start, 1)`). Peers that write
`gt[165:240] = 1` lose one frame at the front of every anomaly. Ends may lie one beyond the last frame (they do for
Explosion033 and Shooting015): whoever knows the frame count cuts them there, as the authors' evaluation does.

`test_boxes.json` and `test_num_frames.json` beside the annotation are read where they are (`ucf_crime_boxes`).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pretrain.data.catalogue import Box, Catalogue, CatalogueConfig, Video, merge_spans
from pretrain.data.catalogues.disk import Places, places, video_name
from pretrain.data.catalogues.lists import find_list, integers, numbered_lines, unique_lines
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.ucf_crime_boxes import BOX_FILE, LENGTH_FILE, read_num_frames, read_test_boxes
from pretrain.data.remote.address import place_text

logger = logging.getLogger(__name__)

TRAIN_LIST = "Anomaly_Train.txt"
TEST_LISTS = ("Temporal_Anomaly_Annotation_for_Testing_Videos.txt", "Temporal_Anomaly_Annotation.txt")
_NORMAL_FOLDERS = {"train": "Training_Normal_Videos_Anomaly", "test": "Testing_Normal_Videos_Anomaly"}


@dataclass(frozen=True)
class Annotation:
    """One line of the temporal annotation: spans half-open, counted from 0."""

    name: str
    class_name: str
    spans: tuple[tuple[int, int], ...]
    num_frames: int | None = None


def open_ucf_crime(config: CatalogueConfig) -> Catalogue:
    """1610 training and 290 test videos, found by name anywhere under the root (in class folders or flat).

    UserError lists at once: list files that are not there, malformed lines, videos that are missing, ambiguous, listed
    twice, or in both lists, and every box that cannot be.
    """
    source = f"UCF-Crime in {place_text(config.root)}"
    problems = Problems(source, config.allow_missing)
    train_list = find_list(config, [TRAIN_LIST], problems)
    test_list = find_list(config, TEST_LISTS, problems)
    if train_list is None or test_list is None:
        problems.stop_if_any()
        raise AssertionError("a list that was not found is a problem")
    files = places(config)
    test = _with_lengths(read_annotations(test_list, problems), read_num_frames(test_list.parent, problems), problems)
    boxes = _boxes(test_list.parent, test, problems)
    videos = _train_videos(train_list, {item.name for item in test.values()}, files, problems)
    for where, item in test.items():
        folder = _NORMAL_FOLDERS["test"] if item.class_name == "Normal" else item.class_name
        path = files.locate(item.name, where, problems, folder)
        if path is not None:
            label, found = int(item.class_name != "Normal"), boxes.get(item.name, ())
            videos.append(
                Video(item.name, path, label, "test", item.class_name, None, item.spans, found, item.num_frames)
            )
    problems.stop_if_any()
    return Catalogue(videos, source)


def _with_lengths(
    annotations: dict[str, Annotation], lengths: Mapping[str, int], problems: Problems
) -> dict[str, Annotation]:
    """The annotations with the frame counts of `test_num_frames.json`.

    Ends beyond the last frame stay: doctor and evaluation name the videos, and evaluation cuts them.
    """
    known = {}
    for where, item in annotations.items():
        count = lengths.get(item.name, item.num_frames)
        if count is not None:
            for start, _ in item.spans:
                if start >= count:
                    text = f"start {start + 1} lies beyond its {count} frames ({LENGTH_FILE})"
                    problems.add(f"{where}: '{item.name}': {text}")
            item = replace(item, num_frames=count)
        known[where] = item
    return known


def _boxes(folder: Path, test: Mapping[str, Annotation], problems: Problems) -> dict[str, tuple[Box, ...]]:
    """The boxes of `test_boxes.json`; abnormal test videos that it leaves out are counted in the log."""
    spans = {item.name: item.spans for item in test.values()}
    lengths = {item.name: item.num_frames for item in test.values() if item.num_frames is not None}
    boxes = read_test_boxes(folder, spans, lengths, problems)
    without = sorted(name for name, where in spans.items() if where and not boxes.get(name))
    if boxes and without:
        logger.warning("%s: no boxes of %d abnormal test video(s): %s", BOX_FILE, len(without), ", ".join(without))
    return boxes


def class_from_name(name: str) -> str:
    """`Abuse028_x264` -> `Abuse`; every name that begins with `Normal` or `Training_Normal` ... -> `Normal`."""
    letters = re.match(r"[^\W\d_]*", name)
    return "Normal" if "normal" in name.lower() else (letters[0] if letters else "")


def _train_videos(path: Path, test_names: set[str], files: Places, problems: Problems) -> list[Video]:
    videos: list[Video] = []
    seen: dict[str, str] = {}
    for line, where in unique_lines(path, problems).items():
        folder, _, file_name = line.replace("\\", "/").rpartition("/")
        folder, name = os.path.basename(folder), video_name(file_name)
        class_name = class_from_name(folder or name)
        if name in test_names:
            problems.add(f"{where}: '{name}' is a test video; remove the line, nothing may be trained on it")
        elif name in seen:
            problems.add(f"{where}: '{name}' was listed before, at {seen[name]}; remove one")
        elif not class_name:
            problems.add(f"{where}: '{line}' is not CLASS/VIDEO.mp4")
        else:
            located = files.locate(name, where, problems, folder or _NORMAL_FOLDERS["train"], line.replace("\\", "/"))
            if located is not None:
                videos.append(Video(name, located, int(class_name != "Normal"), "train", class_name))
        seen.setdefault(name, where)
    return videos


def read_annotations(path: Path, problems: Problems) -> dict[str, Annotation]:
    """`"FILE:LINE" -> annotation` of every line that can be read; the others go to `problems`."""
    found: dict[str, Annotation] = {}
    seen: dict[str, str] = {}
    for where, line in numbered_lines(path):
        item = parse_annotation(line)
        if isinstance(item, str):
            problems.add(f"{where}: {item}")
        elif item.name in seen:
            problems.add(f"{where}: '{item.name}' was listed before, at {seen[item.name]}; remove one")
        else:
            found[where] = item
            seen[item.name] = where
    return found


def parse_annotation(line: str) -> Annotation | str:
    """One line in either variant, or what is wrong with it."""
    fields = line.split()
    num_frames: int | None = None
    if len(fields) > 1 and fields[1].isdigit():
        num_frames = int(fields.pop(1))
    numbers = integers(fields[2:])
    if numbers is None or len(numbers) < 2 or len(numbers) % 2:
        return f"'{line}' is not: file, class, then pairs of start and end frames (-1 = none)"
    name, class_name = video_name(os.path.basename(fields[0])), class_from_name(fields[1])
    pairs = [pair for pair in zip(numbers[::2], numbers[1::2], strict=True) if pair != (-1, -1)]
    for start, end in pairs:
        if not 0 <= start <= end or end < 1:
            return f"'{name}': start {start} and end {end} are not frames with 0 <= start <= end, 1 <= end"
        if num_frames is not None and start > num_frames:
            return f"'{name}': start {start} lies beyond its {num_frames} frames"
    if bool(pairs) == (class_name == "Normal"):
        return f"'{name}': class {class_name} with {len(pairs)} anomalous span(s)"
    spans = merge_spans((max(start, 1) - 1, min(end, num_frames or end)) for start, end in pairs)
    return Annotation(name, class_name, spans, num_frames)
