"""Which video shows what: classes, splits by camera and by video, lengths. All decided before a frame is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.world.cameras import FPS, KINDS
from demo.world.events import ANOMALIES, possible
from pretrain.errors import UserError

MAX_CAMERAS = 99


@dataclass(frozen=True)
class PlannedVideo:
    """One video to be filmed. `number` counts within its camera, `name` is unique in the set."""

    name: str
    camera: int
    number: int
    class_name: str
    split: str
    num_frames: int

    @property
    def label(self) -> int:
        return int(self.class_name != "Normal")

    @property
    def group(self) -> str:
        return f"camera{self.camera:02d}"


def test_cameras(num_cameras: int) -> set[int]:
    """A quarter of the cameras (one at least) is seen in no training video; their kinds differ as far as they can."""
    wanted = max(1, round(num_cameras / 4))
    chosen: list[int] = []
    for kind_index in (4, 1, 3, 0, 5, 2) * (num_cameras // len(KINDS) + 1):
        free = [c for c in range(num_cameras - 1, -1, -1) if c % len(KINDS) == kind_index and c not in chosen]
        if free and len(chosen) < wanted:
            chosen.append(free[0])
    return set(chosen)


def make_plan(seed: int, num_cameras: int, videos_per_camera: int) -> list[PlannedVideo]:
    """The whole set. Half of each camera's videos are abnormal; each class is spread over both splits.

    Raises UserError where a set of this size cannot be split by camera and by video.
    """
    for name, value, low, high in (
        ("--cameras", num_cameras, 2, MAX_CAMERAS),
        ("--videos-per-camera", videos_per_camera, 2, 999),
    ):
        if not low <= value <= high:
            raise UserError(
                f"{name} is {value}; it must lie between {low} and {high}: train and test differ by camera and by video"
            )
    rng = np.random.default_rng([seed, 5])
    test_only = test_cameras(num_cameras)
    counts = {split: dict.fromkeys(ANOMALIES, 0) for split in ("train", "test")}
    videos = []
    by_kind = sorted(range(num_cameras), key=lambda c: (c in test_only, c % len(KINDS), c))
    slots = {c: _slots(rank, videos_per_camera, c in test_only, rng) for rank, c in enumerate(by_kind)}
    shown = {camera: dict.fromkeys(ANOMALIES, 0) for camera in slots}
    share = {
        split: sum(slot == (split, True) for part in slots.values() for slot in part) / len(ANOMALIES)
        for split in counts
    }
    for number in range(videos_per_camera):
        # cameras with a road first: they alone can show the vehicle classes, and so can balance them
        order = sorted(
            rng.permutation(num_cameras).tolist(), key=lambda c: not possible("Crash", KINDS[c % len(KINDS)])
        )
        for camera in order:
            split, abnormal = slots[camera][number]
            class_name = _next_class(counts[split], share[split], shown[camera], camera, rng) if abnormal else "Normal"
            frames = round(FPS * float(np.clip(rng.gamma(5, 0.55) + 11.4, 12, 20)))
            name = f"{class_name}_camera{camera:02d}_{number:03d}"
            videos.append(PlannedVideo(name, camera, number, class_name, split, frames))
    return sorted(videos, key=lambda video: (video.camera, video.number))


def _slots(rank: int, videos: int, test_only: bool, rng: np.random.Generator) -> list[tuple[str, bool]]:
    """(split, abnormal) of a camera's videos, shuffled: about one in six of a training camera's videos is for testing.

    Which label comes first alternates with the camera's rank among those of its kind, so that in neither split the
    kind of scene tells the label.
    """
    tests = videos if test_only else max(1, videos // 6)
    slots = [("test" if number < tests else "train", (number + rank) % 2 == 0) for number in range(videos)]
    return [slots[index] for index in rng.permutation(videos)]


def _next_class(
    counts: dict[str, int], share: float, shown: dict[str, int], camera: int, rng: np.random.Generator
) -> str:
    """The class that the split has least of, then this camera; roads show vehicles until these have their share."""
    candidates = [name for name in ANOMALIES if possible(name, KINDS[camera % len(KINDS)])]
    vehicles = [name for name in candidates if not possible(name, "plaza") and counts[name] < share]
    rarity = {name: (counts[name], shown[name], float(rng.random())) for name in vehicles or candidates}
    chosen = min(rarity, key=lambda name: rarity[name])
    counts[chosen] += 1
    shown[chosen] += 1
    return chosen
