"""The pieces of benchmarks/real_cctv.py that take time, each kept in its folder and never made twice.

OUT/catalogues/                              what is pretrained on, extracted, and the folds
OUT/proxies, cache, segments, motion         shared by all
OUT/ARM/network-0/pretrain-without-fights/   a pretraining run: scored on fights, and on the foreign tests
OUT/ARM/network-0/untrained/                 an image network, alone or with its temporal module, before any step
OUT/ARM/network-0/features/TEST/             a feature set; features-and-motion: with how much the picture moves;
                                             features-192x288: of frames of that size
OUT/ARM/network-0/detectors-1f3a9c02/TEST/fold-0/    a fine-tuning run, with the scores of what the fold holds out; the
                                             name says by which settings, as defaults change from time to time
OUT/log.txt                                  what all of them printed
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from benchmarks.network_comparison import task_flags
from benchmarks.real_cctv_scores import Scores
from benchmarks.real_cctv_sets import RealTest, write_fold, write_unlabelled
from downstream.features.config import EncoderConfig, ExtractConfig, SnippetSettings
from downstream.features.extract import extract
from downstream.features.store import MANIFEST, FeatureSet
from downstream.runs.run_folder import RunFolder
from downstream.training.config import FinetuneConfig
from downstream.training.finetune import finetune
from pretrain.backbones import build_backbone, save_backbone
from pretrain.backbones.small import SMALL3D_CLIP
from pretrain.backbones.weights import CARD_FILE
from pretrain.cli import parse
from pretrain.config import PretrainConfig
from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.data.geometry import NO_BORDER
from pretrain.data.proxy import ProxyCache, ProxySettings, build_proxies
from pretrain.errors import UserError, problem_list
from pretrain.files import sha256_of
from pretrain.run_folder import as_json
from pretrain.train import pretrain

PROG = "real_cctv"


@dataclass(frozen=True, kw_only=True)
class ImageNetwork:
    """An image network that stays as it is, and how it sees the clips."""

    name: str
    """timm/<model>."""
    weights: Path | None
    """A file of timm's names; None: random ones, of each network's own seed."""
    height: int
    width: int
    module: bool = True
    """With the temporal module on top, or its own features."""

    @property
    def flags(self) -> list[str]:
        """For pretraining. Frames and stride of a clip are small3d's, whom it stands beside."""
        clip = {"clip-frames": SMALL3D_CLIP.frames, "clip-stride": SMALL3D_CLIP.stride}
        clip |= {"height": self.height, "width": self.width}
        flags = ["--backbone.name", self.name, *(["--backbone.freeze"] if self.module else [])]
        flags += [part for name, value in clip.items() for part in (f"--backbone.{name}", str(value))]
        return [*flags, *(() if self.weights is None else ("--backbone.weights", str(self.weights)))]

    @property
    def digest(self) -> str:
        """Hex digits of name, size and weights."""
        weights = "random" if self.weights is None else sha256_of(self.weights)
        return hashlib.sha256(f"{self.name} {self.height}x{self.width} {weights}".encode()).hexdigest()[:8]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A start that is compared: random weights, weights from a folder, or pretraining of ours."""

    title: str
    """Names its folder too."""
    tasks: str | None = None
    """Which tasks it is pretrained with, as `network_comparison.task_flags` knows them; None: it is not."""
    steps: int = 0
    """Of pretraining."""
    weights: str | None = None
    """Folder of the weights; one network, whatever the seed."""
    image: ImageNetwork | None = None
    """A frozen image network, in place of the network of the pretraining's settings."""

    @property
    def is_one_network(self) -> bool:
        """Is it the same whatever the seed?"""
        return bool(self.weights) or (
            self.image is not None and not self.image.module and self.image.weights is not None
        )

    @property
    def folder(self) -> str:
        """Name of its folder; of an image network with all that decides its maps."""
        return self.title.replace(" ", "_") + ("" if self.image is None else f"-{self.image.digest}")


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Makes networks, features and scores where they are not there yet."""

    out: Path
    device: Literal["auto", "cpu", "cuda"]
    tests: Mapping[str, RealTest]
    pools: Mapping[str, Sequence[Video]]
    """What networks are pretrained on, by the test that they never see (`real_cctv_sets.footage`)."""
    parts: Mapping[str, Sequence[set[str]]]
    """Folds of each test that is cross-validated: the groups that each holds out."""
    pretraining: tuple[str, ...]
    """The file of pretraining's settings, and flags."""
    fine_tuning: tuple[str, ...]
    """The file of the detector's settings, and flags."""
    feature_size: tuple[int, int] | None = None
    """Height and width of the frames that video networks give features of, where not those of pretraining."""

    def features(self, arm: Arm, network: int, test: str, *, motion: bool = False) -> FeatureSet:
        """The features of a test's videos by one network, which is pretrained first where it has to be.

        `motion`: with the number that says how much the picture moves, as detectors have it by default.
        """
        folder = self.folder(arm, network) / (self._sized("features", arm) + "-and-motion" * motion) / test
        if not (folder / MANIFEST).exists():
            catalogue = self.out / "catalogues" / f"{test}.json"
            write_unlabelled(catalogue, self.tests[test].videos)
            config = ExtractConfig(
                out=folder,
                encoder=replace(self.encoder(arm, network, test), motion=motion),
                catalogue=listed(catalogue),
                snippets=SnippetSettings(snippet_frames=self.tests[test].snippet_frames),
                dtype="float32",
                device=self.device,
                cache=self.out / "cache",
            )
            self._call(f"{folder}: features", partial(extract, config))
        return FeatureSet.open(folder)

    def encoder(self, arm: Arm, network: int, test: str) -> EncoderConfig:
        """Which network; all of them see whole frames, at the stride that fits the test's frame rate."""
        height, width = (None, None) if arm.image is not None else self.feature_size or (None, None)
        config = EncoderConfig(
            clip_stride=self.tests[test].clip_stride, border_crop=NO_BORDER, height=height, width=width
        )
        if arm.image is not None and arm.tasks is None:
            return replace(config, backbone=str(self.untrained(arm, network)))
        if arm.tasks is None and arm.weights is None:
            name = parse(PretrainConfig, self.pretraining, PROG).backbone.name
            return replace(config, backbone=name, weights_seed=network)
        return replace(config, backbone=arm.weights or str(self.pretrained(arm, network, test)))

    def pretrained(self, arm: Arm, network: int, test: str) -> Path:
        """The finished pretraining run whose network is scored on this test."""
        without = test if test in self.pools else "fights"
        run = self.folder(arm, network) / f"pretrain-without-{without}"
        if not (run / "summary.json").exists():
            catalogue = self.out / "catalogues" / f"footage-without-{without}.json"
            write_unlabelled(catalogue, self.pools[without])
            self._make_proxies()
            flags = [*self.pretraining, "--output", str(run), "--resume", "--seed", str(network)]
            flags += ["--optim.steps", str(arm.steps), "--device", self.device, *catalogue_flags(catalogue)]
            flags += ["--data.proxies", str(self.out / "proxies"), "--data.cache", str(self.out / "cache")]
            flags += [] if arm.image is None else arm.image.flags
            config = parse(PretrainConfig, [*flags, *task_flags(arm.tasks or "all")], PROG)
            self._call(f"{run}: {arm.steps} steps", partial(pretrain, config))
        return run

    def untrained(self, arm: Arm, network: int) -> Path:
        """The image network before any step: by itself (temporal mixing starts as the identity), or with its module."""
        assert arm.image is not None
        folder = self.folder(arm, network) / "untrained"
        if not (folder / CARD_FILE).exists():
            config = parse(PretrainConfig, [*self.pretraining, *arm.image.flags], PROG).backbone
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(network)
                save_backbone(build_backbone(config), folder, {"steps": 0})
        return folder

    def detector_scores(
        self, arm: Arm, network: int, test: str, detectors: int, *, motion: bool = False
    ) -> list[Scores]:
        """Scores of all videos by each detector; every video's by the fold that did not see its group."""
        seeds = [100 * network + number for number in range(detectors)]
        scores: list[Scores] = [{} for _ in seeds]
        features = self.features(arm, network, test, motion=motion).folder
        for number, held_out in enumerate(self.parts[test]):
            catalogue = self.out / "catalogues" / f"{test}-fold-{number}.json"
            write_fold(catalogue, self.tests[test].videos, held_out)
            run = RunFolder(
                self.folder(arm, network)
                / (self._sized(self._detectors, arm) + "-and-motion" * motion)
                / test
                / f"fold-{number}"
            )
            if not all(run.seed(seed).is_done for seed in seeds):
                flags = [*self.fine_tuning, "--output", str(run.path), "--resume", "--seeds", *map(str, seeds)]
                flags += ["--features.sets", str(features), "--no-plots", "--device", self.device]
                flags += ["--bags.cache", str(self.out / "segments"), *catalogue_flags(catalogue)]
                config = parse(FinetuneConfig, flags, PROG)
                self._call(f"{run.path}: {detectors} detector(s)", partial(finetune, config))
            for seed, own in zip(seeds, scores, strict=True):
                own.update({video.name: video.scores for video in run.seed(seed).read_scores("test").videos})
        return scores

    def folder(self, arm: Arm, network: int) -> Path:
        """Of one network; weights from a folder are one network."""
        return self.out / arm.folder / f"network-{network}"

    def _sized(self, name: str, arm: Arm) -> str:
        """The folder of what hangs on the size of the frames."""
        if self.feature_size is None or arm.image is not None:
            return name
        return f"{name}-{self.feature_size[0]}x{self.feature_size[1]}"

    @property
    def _detectors(self) -> str:
        settings = json.dumps(as_json(parse(FinetuneConfig, self.fine_tuning, PROG)), sort_keys=True)
        return f"detectors-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"

    def _make_proxies(self) -> None:
        videos = list({video.path: video for pool in self.pools.values() for video in pool}.values())
        settings, cache = ProxySettings(), ProxyCache(self.out / "proxies")
        report = build_proxies(cache, videos, settings, workers=os.cpu_count() or 1)
        if report.failures:
            raise UserError(
                f"{len(report.failures)} video(s) of the footage cannot be read; mend them, or take them out of --data:"
                f"\n{problem_list(list(report.failures.values()))}"
            )

    def _call(self, what: str, command: Callable[[], int]) -> None:
        """Run one of our commands, its output in the log; leaves with its status where it was stopped or failed."""
        print(f"    {what}", flush=True)
        self.out.mkdir(parents=True, exist_ok=True)
        with open(self.out / "log.txt", "a", encoding="utf-8") as log, redirect_stdout(log), own_signals():
            status = command()
        if status:
            print(f"{what}: left with {status}, see {self.out / 'log.txt'}", flush=True)
            raise SystemExit(status)


@contextmanager
def own_signals() -> Iterator[None]:
    """Training takes SIGTERM and Ctrl-C for itself; afterwards they stop this program again."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listed(annotations: Path) -> CatalogueConfig:
    """A catalogue file in which paths are whole."""
    return CatalogueConfig(kind="json", root=Path("/"), annotations=annotations)


def catalogue_flags(annotations: Path) -> list[str]:
    """`listed` as flags."""
    return ["--catalogue.kind", "json", "--catalogue.root", "/", "--catalogue.annotations", str(annotations)]
