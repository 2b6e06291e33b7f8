"""Every reader of files, what it reads in the small world, and what it then knows: what is mutated is one of its files.

A reader is the product's own function or command, in the world's folder. Its value is a digest of what it read. Of a
cache the value may not change: a damaged one is made anew, or refused with a message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.faults_compare import digests
from benchmarks.faults_folders import remove
from benchmarks.faults_world import (
    FOLDER_OF_FRAMES,
    LISTED,
    WRITERS,
    encode,
)
from downstream.ablation.config import read_config as read_ablation
from downstream.detection.open_model import open_model
from downstream.detection.records import EventRecord
from downstream.detection.writers.events_jsonl import event_line, read_ended
from downstream.detector.storage import load_detector
from downstream.events.box_file import read_boxes
from downstream.events.calibration_file import read_calibration
from downstream.features.extract import ExtractConfig
from downstream.features.fusion import FusedFeatures
from downstream.features.store import FeatureSet, FeatureWriter
from downstream.features.timing import read_grid
from downstream.scores.map_file import read_maps
from downstream.scores.score_file import read_scores
from downstream.training.config import FinetuneConfig
from downstream.training.segment_cache import SegmentCache
from pretrain.backbones import load_backbone
from pretrain.backbones.weights import read_weights
from pretrain.cli import parse
from pretrain.config import PretrainConfig
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import CATALOGUES, open_catalogue
from pretrain.data.check import read_quarantine
from pretrain.data.motion import cached_motion_profile
from pretrain.data.proxy import ProxyCache
from pretrain.data.video import IndexCache, frame_times, probe, read_frames, stream_frames
from pretrain.files import write_text
from pretrain.tracking import read_log
from tests.pretrain.data.catalogues.conftest import MAKE


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Something that reads files."""

    name: str
    files: tuple[str, ...]
    """Patterns of what it reads, below the world's folder."""
    run: Callable[[], Any]
    """Read; a digest of what was read. Left with SystemExit by a command."""
    prepare: Callable[[], None] | None = None
    """Makes files of its own in the world, once."""
    is_cache: bool = False
    """It reads what can be made anew: a mutation must change nothing, or be refused."""
    weight: float = 1.0
    """How often it is tried against others: commands take a second, functions some milliseconds."""


def main_of(module: str, *flags: str) -> None:
    """A command as it is run."""
    import sys

    sys.argv = [module, *flags]
    import_module(module).main()


def again(name: str, *more: str) -> Callable[[], None]:
    """The command of a writer, once more."""
    writer = next(writer for writer in WRITERS if writer.name == name)
    return lambda: main_of(writer.module, *writer.flags, *more)


def sha(*parts: Any) -> str:
    """Digest of arrays (shape, type, values), texts and numbers."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, torch.Tensor):
            part = part.detach().cpu().numpy()
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype} {part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def outputs_of(command: Callable[[], None], *names: str) -> str:
    """Run a command that ends well; the digest of what it left."""
    try:
        command()
    except SystemExit as left:
        if left.code:
            raise
    return sha(sorted(digests(Path(), names).items()))


# -- networks -------------------------------------------------------------------------------------------------------


def read_backbone() -> str:
    """A folder of somebody else's backbone."""
    backbone, _ = load_backbone(Path("backbone"))
    return sha(*backbone.state_dict().values(), repr(backbone.spec))


def write_torch_weights() -> None:
    """Weights as torch saves them, a zip file."""
    weights = read_weights(Path("backbone/backbone.safetensors"))
    torch.save(dict(weights.state), "weights.pth")


def read_model() -> str:
    """A package: card, encoders, detectors, calibration."""
    return sha(open_model(Path("packaged/model")).names)


def read_detectors() -> str:
    """Both kinds of detector."""
    loaded = [load_detector(Path(name)) for name in ("run/seed-0", "run/seed-1", "normal/seed-0")]
    return sha(*(tensor for detector, _ in loaded for tensor in detector.state_dict().values()))


# -- features and their caches --------------------------------------------------------------------------------------


def read_features() -> str:
    """Two sets, every value."""
    sets = [FeatureSet.open(Path(name)) for name in ("features", "crops")]
    for features in sets:
        features.check_finite()
    return sha(*(features.read(name) for features in sets for name in features.videos))


def leave_parts() -> None:
    """A set whose extraction was killed when all videos were done, before they were joined."""

    def killed(*_: Any) -> None:
        raise SystemExit(0)

    FeatureWriter.finish = killed  # type: ignore[method-assign,assignment]
    again("extract", "--out", "unjoined")()


def join_parts() -> str:
    """Go on with it: parts that are damaged are made anew."""
    outputs_of(again("extract", "--out", "unjoined"))
    joined = FeatureSet.open(Path("unjoined"))
    return sha(*(part for name in joined.videos for part in (name, joined.read(name))))


def read_segments() -> str:
    """The cache of segments, as every step of training reads it."""
    source = FusedFeatures.open([Path("features")])
    cache = SegmentCache.build(source, list(source.videos), 4, Path("own_segments"))
    return sha(np.asarray(cache.array), cache.lengths)


def import_texts() -> None:
    """Features as text, one snippet a line."""
    main_of("scripts.import_features", "texts", "--encoder", "c3d", "--segments", "--out", "from_texts")


def write_texts() -> None:
    """What `import_texts` reads: 32 lines a video."""
    Path("texts").mkdir()
    for number in range(3):
        rows = np.random.default_rng(number).normal(size=(32, 8))
        np.savetxt(Path("texts", f"v{number}.txt"), rows, fmt="%.4f")


def write_grid() -> None:
    """A CSV of snippets' lengths, as imported features may need."""
    rows = "".join(f"v{number},16,{64 + number},25.0\n" for number in range(10))
    write_text(Path("lists/grid.csv"), "name,snippet_frames,frames,fps\n" + rows)


# -- lists ----------------------------------------------------------------------------------------------------------


def lists_of(kind: str) -> Reader:
    """The catalogue of a dataset, with empty files in place of videos (as its own tests lay it out)."""
    root = Path("datasets") / kind

    def prepare() -> None:
        root.mkdir(parents=True)
        MAKE[kind](root)

    def run() -> str:
        return sha(*open_catalogue(CatalogueConfig(kind=kind, root=root)))

    files = tuple(f"datasets/{kind}/**/*.{suffix}" for suffix in ("txt", "csv", "json", "npy"))
    return Reader(name=f"lists of {kind}", files=files, run=run, prepare=prepare, weight=0.6)


def write_settings() -> None:
    """One YAML file for each kind of command that takes one."""
    write_text(Path("settings/pretrain.yaml"), "output: runs/x\noptim: {lr: 0.001, steps: 5}\ndata: {workers: 1}\n")
    write_text(Path("settings/finetune.yaml"), "output: runs/x\nseeds: [0, 1]\nfeatures: {sets: [a, b]}\n")
    write_text(Path("settings/extract.yaml"), "out: x\nbackbone: small3d\ngrid: [2, 3]\ncatalogue: {root: videos}\n")
    variants = "variants: {smooth: {objective: {smoothness: {weight: 0.1}}}}\n"
    write_text(Path("settings/ablate.yaml"), f"output: runs/x\nfeature_sets: {{a: features}}\n{variants}")


def read_settings() -> str:
    """All of them, as the commands do."""
    configs = (("pretrain", PretrainConfig), ("finetune", FinetuneConfig), ("extract", ExtractConfig))
    read = [parse(kind, [f"settings/{name}.yaml"], name) for name, kind in configs]
    return sha(*read, read_ablation(["settings/ablate.yaml"], "ablate"))


def write_quarantine() -> None:
    """A list of videos to leave out."""
    write_text(Path("lists/quarantine.txt"), "# Videos to leave out\nv1\tdamaged: no frame\nv2\n")


# -- videos and their caches ----------------------------------------------------------------------------------------

OTHER_CODECS = {"other/a.avi": "mpeg4", "other/b.mkv": "libx264", "other/c.ts": "mpeg2video", "other/d.mov": "mjpeg"}


def write_other_videos() -> None:
    """Other containers and codecs than the world's, and a pack of JPEG images."""
    for number, (name, codec) in enumerate(OTHER_CODECS.items()):
        encode(Path(name), number, 40, abnormal=False, codec=codec)
    flags = ("--out", "packs", *LISTED, "--workers", "1", "--format", "jpeg", "--measure-windows", "0")
    main_of("scripts.build_cache", *flags)


def read_videos() -> str:
    """Everything that can be asked of a video, of every file whose reading ends in frames."""
    paths = ["videos/v8.mp4", *OTHER_CODECS, FOLDER_OF_FRAMES, *map(str, sorted(Path("packs").rglob("v0*.jpegpack")))]
    parts: list[Any] = []
    for path in paths:
        info = probe(path)
        parts += [frame_times(path), read_frames(path, range(0, info.num_frames, 7), size=(24, 36))]
        parts += [picture.copy() for _, picture in stream_frames(path, range(info.num_frames), size=(24, 36))]
    return sha(*parts)


def world_videos() -> list[str]:
    """Paths of the world's videos."""
    return sorted(str(path) for path in Path("videos").glob("*.mp4"))


def frames_by_index() -> str:
    """Frames and times of all videos, found by the stored packet indices."""
    cache = IndexCache("cache/index")
    parts: list[Any] = []
    for path in world_videos():
        info = probe(path, cache=cache)
        wanted = range(0, info.num_frames, 11)
        parts += [repr(info), frame_times(path, cache=cache), read_frames(path, wanted, size=(24, 36), cache=cache)]
    return sha(*parts)


def motion() -> str:
    """Where videos move, as pretraining draws its windows by."""
    return sha(*(cached_motion_profile(path, Path("cache/motion")) for path in world_videos()))


def frames_of_proxies() -> str:
    """Frames of all proxies, as pretraining reads them."""
    videos = open_catalogue(CatalogueConfig(kind="json", root=Path("videos"))).subset("train")
    paths = ProxyCache("proxies").paths(list(videos))
    parts = [read_frames(path, range(probe(path).num_frames), size=(24, 36)) for path in paths.values()]
    return sha(*parts)


# -- runs and what detection leaves ---------------------------------------------------------------------------------


def leave_half_a_run() -> None:
    """A run of fine-tuning that was killed in its second seed."""
    import shutil

    shutil.copytree("run", "half_run")
    for name in ("seed-1/summary.json", "seed-1/test_scores.json", "summary.json"):
        Path("half_run", name).unlink(missing_ok=True)


def go_on_with_half_a_run() -> str:
    """Go on with it."""
    flags = ("--output", "half_run", "--resume", "--no-references")
    return outputs_of(again("finetune", *flags), "half_run/seed-1/test_scores.json")


def detect_again() -> str:
    """Detection over scores that were kept: other than those of the detector they may not be."""
    remove(Path("detected/scores.csv"))
    return outputs_of(again("detect", "--films", "0", "--no-report"), "detected/scores.csv")


def write_events() -> None:
    """The events of a stream, as live detection keeps them."""
    import json

    event = EventRecord(
        kind="ended",
        number=1,
        start_frame=16,
        end_frame=48,
        start_seconds=0.64,
        end_seconds=1.92,
        peak_seconds=1.0,
        peak_score=0.9,
        peak_start_frame=16,
        peak_end_frame=32,
    )
    write_text(Path("events.jsonl"), (json.dumps(event_line(event)) + "\n") * 3)


READERS = (
    Reader(name="backbone", files=("backbone/*",), run=read_backbone),
    Reader(
        name="weights",
        files=("backbone/*.safetensors", "weights.pth"),
        run=lambda: sha(
            *(
                tensor
                for path in ("backbone/backbone.safetensors", "weights.pth")
                for tensor in read_weights(Path(path)).state.values()
            )
        ),
        prepare=write_torch_weights,
    ),
    Reader(name="package", files=("packaged/model/**/*",), run=read_model),
    Reader(name="detectors", files=("*/seed-*/detector/*",), run=read_detectors),
    Reader(name="features", files=("features/*", "crops/*"), run=read_features),
    Reader(name="imported arrays", files=("exported/*",), run=again("import_features"), weight=0.6),
    Reader(name="imported texts", files=("texts/*",), run=import_texts, prepare=write_texts, weight=0.4),
    Reader(
        name="lengths of snippets",
        files=("lists/grid.csv",),
        run=lambda: sha(sorted(read_grid(Path("lists/grid.csv")).items())),
        prepare=write_grid,
        weight=0.5,
    ),
    *(lists_of(kind) for kind in CATALOGUES if kind in MAKE and kind != "folder"),
    Reader(name="settings", files=("settings/*.yaml",), run=read_settings, prepare=write_settings),
    Reader(
        name="quarantine",
        files=("lists/quarantine.txt",),
        run=lambda: sha(sorted(read_quarantine("lists/quarantine.txt").items())),
        prepare=write_quarantine,
        weight=0.5,
    ),
    Reader(
        name="scores",
        files=("run/seed-0/test_scores.json", "detected/scores.csv"),
        run=lambda: sha(
            *(
                value
                for name in ("run/seed-0/test_scores.json", "detected/scores.csv")
                for video in read_scores(Path(name)).videos
                for value in (video.name, np.asarray(video.scores), np.asarray(video.edges))
            )
        ),
    ),
    Reader(
        name="maps",
        files=("run/seed-*/*.safetensors",),
        run=lambda: sha(
            *(
                np.asarray(video.scores)
                for seed in (0, 1)
                for part in ("test", "validation")
                for video in read_maps(Path(f"run/seed-{seed}/{part}_maps.safetensors")).videos
            )
        ),
    ),
    Reader(
        name="boxes",
        files=("located/seed-*/boxes.json",),
        run=lambda: sha(*(repr(read_boxes(Path(f"located/seed-{seed}/boxes.json"))) for seed in (0, 1))),
    ),
    Reader(
        name="calibration",
        files=("calibrated/calibration.json",),
        run=lambda: sha(repr(read_calibration(Path("calibrated/calibration.json")))),
    ),
    Reader(
        name="events of a stream",
        files=("events.jsonl",),
        run=lambda: sha(*map(repr, read_ended(Path("events.jsonl")))),
        prepare=write_events,
        weight=0.5,
    ),
    Reader(
        name="log", files=("pretrain/log.jsonl",), run=lambda: sha(read_log(Path("pretrain/log.jsonl"))), weight=0.5
    ),
    Reader(
        name="videos",
        files=("videos/v8.mp4", "other/*", "frames/*/*", "packs/*/v0*"),
        run=read_videos,
        prepare=write_other_videos,
    ),
    Reader(name="packet indices", files=("cache/index/*/*.npz",), run=frames_by_index, is_cache=True, weight=2.0),
    Reader(name="motion profiles", files=("cache/motion/*/*.npy",), run=motion, is_cache=True),
    Reader(name="proxies", files=("proxies/*.json", "proxies/*/*"), run=frames_of_proxies, is_cache=True),
    Reader(
        name="segments",
        files=("own_segments/*.npy",),
        run=read_segments,
        prepare=lambda: void(read_segments()),
        is_cache=True,
    ),
    Reader(
        name="parts of features",
        files=("unjoined/parts/*", "unjoined/*.json"),
        run=join_parts,
        prepare=leave_parts,
        is_cache=True,
        weight=0.3,
    ),
    Reader(name="kept scores", files=("detected/scored/*",), run=detect_again, is_cache=True, weight=0.4),
    Reader(
        name="half a run",
        files=("half_run/*.json", "half_run/seed-1/*", "half_run/seed-1/*/*", "half_run/seed-1/checkpoints/*/*"),
        run=go_on_with_half_a_run,
        prepare=leave_half_a_run,
        weight=0.3,
    ),
    Reader(
        name="run, evaluated",
        files=("run/*.json", "run/seed-*/*.json", "run/references/*"),
        run=again("evaluate"),
        weight=0.6,
    ),
    Reader(
        name="run, reported",
        files=("run/*.json", "run/seed-*/*.json", "run/evaluation/*.json"),
        run=again("report"),
        weight=0.6,
    ),
    Reader(
        name="run, located",
        files=("run/*.json", "run/seed-*/*.json", "run/seed-*/*.safetensors"),
        run=again("localise", "--films", "0", "--strips", "0"),
        weight=0.4,
    ),
    Reader(
        name="run, gone on with",
        files=("run/*.json", "run/seed-*/*.json", "run/seed-*/checkpoints/*/*"),
        run=again("finetune"),
        weight=0.4,
    ),
    Reader(
        name="run, packaged",
        files=("run/*.json", "run/seed-*/*", "run/seed-*/detector/*", "features/manifest.json", "backbone/*"),
        run=again("package", "--out", "packaged/other"),
        weight=0.3,
    ),
    Reader(name="run without labels", files=("normal/*.json", "normal/seed-*/*.json"), run=again("normal"), weight=0.4),
    Reader(
        name="pretraining, gone on with",
        files=("pretrain/*.json", "pretrain/log.jsonl", "pretrain/checkpoints/*/*"),
        run=again("pretrain"),
        weight=0.3,
    ),
    Reader(
        name="pretraining, exported",
        files=("pretrain/*.json", "pretrain/backbone/*", "pretrain/checkpoints/*/*"),
        run=again("export", "--out", "other_backbone"),
        weight=0.3,
    ),
    Reader(
        name="ablation, gone on with",
        files=("ablation/*.json", "ablation/*/*/*/*.json", "ablation/*/*/*/seed-0/*.json"),
        run=again("ablate"),
        weight=0.05,
    ),
    Reader(
        name="doctor",
        files=("features/manifest.json", "videos/annotations/*.json"),
        run=lambda: main_of("scripts.doctor", "--features", "features", *LISTED),
        weight=0.4,
    ),
)
"""In no order that matters. Every value is read twice undamaged before anything is mutated."""


def void(_: Any) -> None:
    """Nothing is answered by what prepares."""


def files_of(reader: Reader, root: Path) -> list[Path]:
    """The files that a reader's patterns stand for, sorted; empty ones are no file to damage."""
    found = {path for pattern in reader.files for path in root.glob(pattern)}
    return sorted(path for path in found if path.is_file() and path.stat().st_size)


def named(name: str, readers: Iterable[Reader] = READERS) -> Reader:
    """The reader of that name; KeyError if there is none."""
    return {reader.name: reader for reader in readers}[name]
