"""Renders the whole set, one file per task and process, and remembers what was asked so as not to do it twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

from demo.world.cameras import FPS
from demo.world.encode import write_mp4
from demo.world.ground_truth import FilmedVideo, write_ground_truth
from demo.world.plan import PlannedVideo, make_plan
from demo.world.render import Filming, Set, build_set
from pretrain.data.worker_pool import worker_processes
from pretrain.errors import UserError
from pretrain.files import write_json
from pretrain.folder_lock import LOCK_FILE
from pretrain.json_shapes import flag, mapping, record, whole
from pretrain.reading import own_file
from pretrain.versioned_json import read_json

MANIFEST = "demo_set.json"
ATTEMPTS = 20
LONGEST_ANOMALY, SHORTEST_ANOMALY = round(5.5 * FPS), FPS


def renderer_version() -> str:
    """A hash of this package's sources: any change of the renderer makes old sets out of date."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def build_demo_set(
    root: Path,
    *,
    seed: int,
    cameras: int,
    videos_per_camera: int,
    workers: int,
    progress: Callable[[int], object] | None = None,
) -> bool:
    """Render the set into `root`; False if it is there already with the same arguments.

    `progress` is called with the number of videos just finished. Raises UserError where `root` holds something else.
    """
    plan = make_plan(seed, cameras, videos_per_camera)
    if workers < 1:
        raise UserError(f"--workers is {workers}; give 1 or more (this machine has {os.cpu_count()} cores)")
    arguments = {
        "seed": seed,
        "cameras": cameras,
        "videos_per_camera": videos_per_camera,
        "renderer": renderer_version(),
    }
    previous = _read_manifest(root)
    if previous.get("arguments") == arguments and previous.get("complete") and _all_there(root, previous):
        return False
    _remove_stale(root, previous, plan)
    write_json(
        root / MANIFEST,
        {"arguments": arguments, "complete": False, "bytes": {f"{video.name}.mp4": 0 for video in plan}},
    )
    filmed: dict[str, FilmedVideo] = {}
    for finished in _film_all(root, plan, seed, workers):
        filmed.update({video.planned.name: video for video in finished})
        if progress is not None:
            progress(len(finished))
    write_ground_truth(root, [filmed[video.name] for video in plan])
    sizes = {f"{video.name}.mp4": (root / "videos" / f"{video.name}.mp4").stat().st_size for video in plan}
    write_json(root / MANIFEST, {"arguments": arguments, "complete": True, "bytes": sizes})
    return True


_MEND = "give a new or an empty folder"
_MANIFEST = record({"bytes": mapping(whole(0))}, {"arguments": mapping(), "complete": flag})


def _read_manifest(root: Path) -> dict[str, Any]:
    """What an earlier call left in `root`; UserError if `root` holds files but none of ours."""
    path = root / MANIFEST
    if path.is_file():
        manifest: dict[str, Any] = read_json(path, "the list of rendered videos", _MEND, _MANIFEST)
        for name in manifest["bytes"]:  # what is no longer wanted is deleted by these names
            own_file(root / "videos", name, f"a video of {path}")
        return manifest
    if root.exists() and (not root.is_dir() or any(path.name != LOCK_FILE for path in root.iterdir())):
        raise UserError(f"{root} exists and holds no demo set (no {MANIFEST} in it); give a new or an empty folder")
    return {}


def _all_there(root: Path, manifest: dict[str, Any]) -> bool:
    """Every video with the size that was written, and the ground truth."""
    files = [root / "videos" / name for name in manifest["bytes"]]
    sizes = list(manifest["bytes"].values())
    truth = root / "annotations" / "ground_truth.json"
    return truth.is_file() and all(
        file.is_file() and file.stat().st_size == size for file, size in zip(files, sizes, strict=True)
    )


def _remove_stale(root: Path, manifest: dict[str, Any], plan: list[PlannedVideo]) -> None:
    """Remove the videos of an earlier set that are not part of this one, and its box files."""
    wanted = {f"{video.name}.mp4" for video in plan}
    for name in manifest.get("bytes", {}):
        if name not in wanted:
            (root / "videos" / name).unlink(missing_ok=True)
        (root / "annotations" / "ucf_crime2local" / f"{Path(name).stem}.txt").unlink(missing_ok=True)


def _film_all(root: Path, plan: list[PlannedVideo], seed: int, workers: int) -> Iterator[list[FilmedVideo]]:
    """Film the plan camera by camera (its pictures are drawn once), in smaller parts where workers would idle."""
    by_camera: dict[int, list[PlannedVideo]] = {}
    for video in plan:
        by_camera.setdefault(video.camera, []).append(video)
    parts = max(1, -(-workers // len(by_camera)))
    tasks = [videos[part::parts] for videos in by_camera.values() for part in range(parts) if videos[part::parts]]
    if workers == 1:
        for task in tasks:
            yield film_videos(root, task, seed)
        return
    with worker_processes(workers) as pool:
        for future in as_completed([pool.submit(film_videos, root, task, seed) for task in tasks]):
            yield future.result()


def film_videos(root: Path, videos: list[PlannedVideo], seed: int) -> list[FilmedVideo]:
    """Film and encode videos of one camera."""
    stage = build_set(seed, videos[0].camera)
    return [_film(root, stage, video, seed) for video in videos]


def _film(root: Path, stage: Set, video: PlannedVideo, seed: int) -> FilmedVideo:
    """Rehearse until the anomaly takes place in full view (an event can fail, a vehicle wait off the picture), film."""
    for attempt in range(ATTEMPTS):
        anomalous = Filming(stage, video, seed, attempt).rehearse()
        if not video.label or SHORTEST_ANOMALY <= anomalous <= LONGEST_ANOMALY:
            filming = Filming(stage, video, seed, attempt)
            frames = (filming.frame(index) for index in range(video.num_frames))
            write_mp4(root / "videos" / f"{video.name}.mp4", frames)
            return FilmedVideo(video, tuple(filming.anomalies))
    raise RuntimeError(f"'{video.name}': the event did not take place in {ATTEMPTS} attempts (a fault of the renderer)")
