"""A small world in which every command that writes has run once: what is killed and mutated afterwards.

    WORLD/videos/                  ten videos of 72x48 pixels, bright blobs as anomalies, ground truth with boxes
    WORLD/proxies, cache, pretrain, backbone, features, ...    what each of `WRITERS` leaves

Paths are relative: every command runs in the world's folder, which is always the same one, as caches go by paths.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np

from pretrain.files import write_json, write_text

HEIGHT, WIDTH, FPS = 48, 72, 25
LENGTHS = (64, 64, 48, 64, 80, 64, 48, 64, 64, 80)
"""Frames of each video; every second is abnormal, the last two are for testing."""
SNIPPET, ANOMALY = 16, (16, 48)
FOLDER_OF_FRAMES = "frames/walk"
CHANGED = 1_700_000_000
"""When every video was changed last: caches have names that follow from it."""


@dataclass(frozen=True, kw_only=True)
class Writer:
    """A command that writes, as somebody would run it: the same words again go on after a kill."""

    name: str
    module: str
    """Where its `main` is."""
    flags: tuple[str, ...]
    outputs: tuple[str, ...]
    """Everything that it writes; a trial begins without."""
    starts_processes: bool = False
    """It starts interpreters of its own, which takes seconds: killed more rarely."""

    def run(self) -> None:
        """Run it in this process; leaves with SystemExit, as every command."""
        sys.argv = [self.module, *self.flags]
        import_module(self.module).main()


LISTED = ("--catalogue.kind", "json", "--catalogue.root", "videos")
ON_CPU = ("--device", "cpu")
SMALL_DETECTOR = (
    *("--bags.segments", "4", "--bags.cache", "segments", "--detector.width", "8", "--detector.hidden", "4"),
    *("--optim.batch-size", "4", "--optim.warmup-steps", "1", "--validation-fraction", "0.5"),
    *("--evaluation.resamples", "20"),
)
WRITERS = (
    Writer(
        name="proxies",
        module="scripts.build_cache",
        flags=("--out", "proxies", *LISTED, "--workers", "1", "--short-side", "32", "--measure-windows", "0"),
        outputs=("proxies",),
        starts_processes=True,
    ),
    Writer(
        name="pretrain",
        module="pretrain.command",
        flags=(
            *(
                "--output",
                "pretrain",
                "--preset",
                "gpu",
                "--resume",
                *ON_CPU,
                *LISTED,
                "--backbone.height",
                "32",
                "--backbone.width",
                "32",
            ),
            *("--optim.steps", "6", "--optim.batch-size", "2", "--optim.warmup-steps", "1"),
            *("--log-every", "2", "--validate-every", "3", "--save-every", "2", "--validation-windows", "1"),
            *("--data.workers", "1", "--data.cache", "cache", "--data.window-frames", "40"),
            *("--tasks.speed.strides", "1", "2"),
        ),
        outputs=("pretrain", "cache"),
    ),
    Writer(
        name="export",
        module="scripts.export_backbone",
        flags=("pretrain", "--out", "backbone"),
        outputs=("backbone",),
    ),
    Writer(
        name="extract",
        module="scripts.extract_features",
        flags=("--out", "features", *ON_CPU, *LISTED, "--backbone", "backbone", "--grid", "map", "--decoders", "2"),
        outputs=("features",),
    ),
    Writer(
        name="finetune",
        module="scripts.finetune",
        flags=(
            *("--output", "run", "--resume", *ON_CPU, *LISTED, "--features.sets", "features", *SMALL_DETECTOR),
            *("--seeds", "0", "1", "--optim.steps", "12", "--log-every", "4", "--validate-every", "4"),
            *("--save-every", "3", "--validation-by", "video", "--no-plots"),
        ),
        outputs=("run", "segments"),
    ),
    Writer(
        name="ablate",
        module="scripts.ablate",
        flags=(
            *("--output", "ablation", *ON_CPU, *LISTED, "--features.sets", "features", *SMALL_DETECTOR),
            *("--seeds", "0", "--optim.steps", "4", "--log-every", "2", "--validate-every", "2", "--save-every", "2"),
            *("--validation-by", "video", "--bases", "topk_bce", "--terms", "base", "smoothness", "--workers", "1"),
            *("--compare", "frame_auc"),
        ),
        outputs=("ablation",),
        starts_processes=True,
    ),
    Writer(
        name="normal",
        module="scripts.fit_normal",
        flags=(
            *("--output", "normal", "--resume", *ON_CPU, *LISTED, "--features.sets", "features"),
            *("--no-plots", "--no-references", "--evaluation.resamples", "20"),
        ),
        outputs=("normal",),
    ),
    Writer(
        name="evaluate",
        module="scripts.evaluate",
        flags=("run", "--out", "evaluated", "--resamples", "20", "--no-plots"),
        outputs=("evaluated",),
    ),
    Writer(
        name="localise",
        module="scripts.localise",
        flags=("run", "--out", "located", "--strips", "1", "--films", "1", "--resamples", "20"),
        outputs=("located",),
    ),
    Writer(
        name="calibrate",
        module="scripts.calibrate",
        flags=(
            *("videos/v0.mp4", "videos/v2.mp4", "--detector", "run", "--per-hour", "1000", *ON_CPU),
            *("--out", "calibrated/calibration.json"),
        ),
        outputs=("calibrated",),
    ),
    Writer(
        name="package",
        module="scripts.package",
        flags=("run", "--out", "packaged/model"),
        outputs=("packaged",),
    ),
    Writer(
        name="detect",
        module="scripts.detect",
        flags=(
            *("videos/v8.mp4", "videos/v9.mp4", "--detector", "packaged/model", "--out", "detected", *ON_CPU),
            *("--films", "1", "--frames", "--threshold", "0.5", "--decoders", "1"),
        ),
        outputs=("detected",),
    ),
    Writer(
        name="report",
        module="scripts.report",
        flags=("run", "--out", "reported/report.html", "--thumbnails", "1"),
        outputs=("reported",),
    ),
    Writer(
        name="extract_crops",
        module="scripts.extract_features",
        flags=("--out", "crops", *ON_CPU, *LISTED, "--backbone", "backbone", "--crops", "5", "--decoders", "1"),
        outputs=("crops",),
    ),
    Writer(
        name="export_features",
        module="scripts.import_features",
        flags=("crops", "--export", "snippets_crops_dim", "--out", "exported"),
        outputs=("exported",),
    ),
    Writer(
        name="import_features",
        module="scripts.import_features",
        flags=("exported", "--out", "imported", "--encoder", "peers", "--axes", "snippets,crops,dim"),
        outputs=("imported",),
    ),
    Writer(
        name="check",
        module="scripts.check_videos",
        flags=(*LISTED, "--out", "checked/quarantine.txt", "--cache", "checked/cache", "--workers", "1"),
        outputs=("checked",),
        starts_processes=True,
    ),
)
"""In the order in which each finds what it needs."""


def warm_up() -> None:
    """Import what the commands import, once: children are forked from this process."""
    for writer in WRITERS:
        import_module(writer.module)
    for late in LATE:
        import_module(late)
    for optional in OPTIONAL:
        if find_spec(optional.partition(".")[0]) is not None:
            import_module(optional)


LATE = (
    *("downstream.detection.detect", "downstream.training.finetune", "downstream.ablation.run", "matplotlib.figure"),
    *("matplotlib.backends.backend_agg", "tensorboard.summary.writer", "torch.utils.tensorboard", "torch._dynamo"),
    *("torchvision.io", "PIL.Image", "sympy", "pretrain.data.proxy.savings"),
)
"""Imported when a command runs."""
OPTIONAL = (
    *("h5py", "scipy.io", "onnx.numpy_helper", "onnx.helper", "accelerate.commands.launch"),
    *("transformers.models.videomae.modeling_videomae", "transformers.models.videomae.configuration_videomae"),
)
"""The same, where it is installed; not onnxruntime, which starts a thread."""


def make_videos(root: Path) -> None:
    """Videos, a folder of frames, and the ground truth, as JSON and as CSV."""
    entries, rows = {}, ["path,label,split,spans"]
    for number, length in enumerate(LENGTHS):
        name, abnormal, test = f"v{number}", number % 2, number >= len(LENGTHS) - 2
        encode(root / "videos" / f"{name}.mp4", number, length, abnormal=bool(abnormal))
        entry: dict[str, object] = {"path": f"{name}.mp4", "label": abnormal, "split": "test" if test else "train"}
        entry |= {"num_frames": length, "fps": float(FPS), "group": f"camera{number // 2}"}
        if test and abnormal:
            entry |= {"spans": [list(ANOMALY)], "boxes": [[frame, 24, 8, 48, 24, 0] for frame in range(*ANOMALY)]}
        entries[name] = entry
        spans = "{}:{}".format(*ANOMALY) if test and abnormal else ""
        rows.append(f"{name}.mp4,{abnormal},{entry['split']},{spans}")
    content = {"format": "anomaly-pretext/ground-truth/1", "videos": entries}
    write_json(root / "videos" / "annotations" / "ground_truth.json", content)
    write_text(root / "videos" / "videos.csv", "\n".join(rows) + "\n")
    write_frames(root / FOLDER_OF_FRAMES)
    for path in (root / "videos").glob("*.mp4"):
        os.utime(path, (CHANGED, CHANGED))


def pictures(seed: int, length: int, *, abnormal: bool) -> np.ndarray:
    """uint8 (length, height, width, 3): a blob that drifts, and a large bright one as anomaly."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(60, 160, (1, HEIGHT, WIDTH, 3), dtype=np.uint8), length, axis=0)
    for number, frame in enumerate(frames):
        x, y = (5 + seed + number) % (WIDTH - 8), (9 + seed + number // 2) % (HEIGHT - 8)
        frame[y : y + 8, x : x + 8] = (240, 30 + 2 * number % 200, 40)
        if abnormal and ANOMALY[0] <= number < ANOMALY[1]:
            frame[8:24, 24:48] = 255 - 40 * (number % 2)
    return frames


def encode(path: Path, seed: int, length: int, *, abnormal: bool, codec: str = "libx264") -> None:
    """Write a video by one thread: the same bytes every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"g": "20", "preset": "ultrafast", "crf": "20"} if codec == "libx264" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in pictures(seed, length, abnormal=abnormal):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def write_frames(folder: Path) -> None:
    """A folder of frames: PNG and JPEG would not be one video, so PNG alone."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures(11, 20, abnormal=False)):
        Image.fromarray(picture).save(folder / f"{number:04d}.png")


def build(root: Path, run: Callable[[Writer], None]) -> None:
    """Videos, then every writer once, in order; `run` runs one in the world's folder and objects where it fails."""
    make_videos(root)
    write_json(root / "world.json", {"writers": [writer.name for writer in WRITERS]})
    for writer in WRITERS:
        run(writer)


def is_built(root: Path) -> bool:
    """Whether all of it is there."""
    return (root / "world.json").exists() and all((root / name).exists() for w in WRITERS for name in w.outputs)


def describe(writer: Writer) -> str:
    """The command in words that can be typed."""
    return f"{writer.module} {json.dumps(writer.flags)}"
