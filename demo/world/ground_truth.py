"""The truth, written once from the simulation, in three forms: our JSON, UCF-Crime's list, UCF-Crime2Local's boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.world.cameras import FPS
from demo.world.plan import PlannedVideo
from demo.world.world import Anomaly
from pretrain.files import write_json, write_text

FORMAT = "anomaly-pretext/ground-truth/1"
TRAINING_NORMAL = "Training_Normal_Videos_Anomaly"


@dataclass(frozen=True)
class FilmedVideo:
    """A planned video and what really happened in it."""

    planned: PlannedVideo
    anomalies: tuple[Anomaly, ...]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Anomalous frames as half-open spans, counted from 0."""
        spans: list[tuple[int, int]] = []
        for anomaly in self.anomalies:
            if spans and spans[-1][1] == anomaly.frame:
                spans[-1] = (spans[-1][0], anomaly.frame + 1)
            else:
                spans.append((anomaly.frame, anomaly.frame + 1))
        return spans


def write_ground_truth(root: Path, videos: Sequence[FilmedVideo]) -> None:
    """Write all three forms under `root/annotations`."""
    folder = root / "annotations"
    entries = {video.planned.name: _entry(video) for video in videos}
    write_json(folder / "ground_truth.json", {"format": FORMAT, "videos": entries})
    write_ucf_crime(folder / "ucf_crime", videos)
    write_ucf_crime2local(folder / "ucf_crime2local", videos)


def _entry(video: FilmedVideo) -> dict[str, Any]:
    planned = video.planned
    return {
        "path": f"videos/{planned.name}.mp4",
        "label": planned.label,
        "split": planned.split,
        "class_name": planned.class_name,
        "group": planned.group,
        "num_frames": planned.num_frames,
        "fps": float(FPS),
        "spans": [list(span) for span in video.spans],
        "boxes": [[anomaly.frame, *box] for anomaly in video.anomalies for box in anomaly.boxes],
    }


def two_spans(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """At most two spans, as UCF-Crime's list has room for: the smallest gaps are closed."""
    merged = list(spans)
    while len(merged) > 2:
        at = min(range(len(merged) - 1), key=lambda index: merged[index + 1][0] - merged[index][1])
        merged[at : at + 2] = [(merged[at][0], merged[at + 1][1])]
    return merged


def write_ucf_crime(folder: Path, videos: Sequence[FilmedVideo]) -> None:
    """`Anomaly_Train.txt`, and the temporal annotation of the test videos.

    Two spaces between fields; frames are counted from 1 and the end frame is inside, as UCF-Crime's own evaluation
    reads them; -1 means none.
    """
    train = [
        f"{v.planned.class_name if v.planned.label else TRAINING_NORMAL}/{v.planned.name}.mp4"
        for v in videos
        if v.planned.split == "train"
    ]
    write_text(folder / "Anomaly_Train.txt", "".join(f"{line}\n" for line in train))
    lines = []
    for video in videos:
        if video.planned.split == "test":
            numbers = [number for start, end in two_spans(video.spans) for number in (start + 1, end)]
            numbers += [-1] * (4 - len(numbers))
            lines.append(
                "  ".join([f"{video.planned.name}.mp4", video.planned.class_name, *map(str, numbers)]) + "  \n"
            )
    write_text(folder / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt", "".join(lines))


def write_ucf_crime2local(folder: Path, videos: Sequence[FilmedVideo]) -> None:
    """The two split lists, and a VATIC file per abnormal video: one line a frame and track, frames counted from 0.

    `track xmin ymin xmax ymax frame lost occluded generated "label"`; while a track is out of sight, lost = 1. Every
    track has lines from the video's first frame on, as VATIC writes them: so the file shows that it counts from 0.
    """
    for split in ("train", "test"):
        names = [video.planned.name for video in videos if video.planned.split == split]
        write_text(folder / f"{split.capitalize()}_split_AD.txt", "".join(f"{name}\n" for name in names))
    for video in videos:
        if video.planned.label:
            write_text(folder / f"{video.planned.name}.txt", "".join(_vatic_lines(video)))


def _vatic_lines(video: FilmedVideo) -> list[str]:
    tracks: dict[int, dict[int, tuple[int, int, int, int]]] = {}
    for anomaly in video.anomalies:
        for x1, y1, x2, y2, track in anomaly.boxes:
            tracks.setdefault(track, {})[anomaly.frame] = (x1, y1, x2, y2)
    lines = []
    for track, boxes in sorted(tracks.items()):
        last = boxes[min(boxes)]
        for frame in range(max(boxes) + 1):
            lost = int(frame not in boxes)
            last = boxes.get(frame, last)
            lines.append(
                f'{track} {last[0]} {last[1]} {last[2]} {last[3]} {frame} {lost} 0 0 "{video.planned.class_name}"\n'
            )
    return lines
