"""Readers of lists and settings: every dataset's, YAML, quarantine, logs, events."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from benchmarks.faults_reader import Reader, sha
from downstream.ablation.config import read_config as read_ablation
from downstream.detection.records import EventRecord
from downstream.detection.writers.events_jsonl import event_line, read_ended
from downstream.features.config import ExtractConfig
from downstream.training.config import FinetuneConfig
from pretrain.cli import parse
from pretrain.config import PretrainConfig
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import CATALOGUES, open_catalogue
from pretrain.data.check import read_quarantine
from pretrain.data.remote.state import member_paths
from pretrain.files import write_text
from pretrain.tracking import read_log
from tests.pretrain.data.catalogues.conftest import MAKE


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


def write_events() -> None:
    """The events of a stream, as live detection keeps them."""
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


def write_tar_file() -> None:
    """Small files in a tar file."""
    Path("tars").mkdir()
    with tarfile.open("tars/videos.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(4):
            entry = tarfile.TarInfo(f"train/{number}.mp4")
            entry.size = 100 * number
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))


LISTS = (
    *(lists_of(kind) for kind in CATALOGUES if kind in MAKE and kind != "folder"),
    Reader(name="settings", files=("settings/*.yaml",), run=read_settings, prepare=write_settings),
    Reader(
        name="tar file",
        files=("tars/*.tar",),
        run=lambda: sha(*member_paths("tars/videos.tar").items()),
        prepare=write_tar_file,
        weight=0.5,
    ),
    Reader(
        name="quarantine",
        files=("lists/quarantine.txt",),
        run=lambda: sha(sorted(read_quarantine("lists/quarantine.txt").items())),
        prepare=write_quarantine,
        weight=0.5,
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
)
