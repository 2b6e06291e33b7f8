"""One seed's backbone and detector in training, straight from videos: bags of clips, weights, scores of videos."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from einops import rearrange
from torch import Tensor, nn

from downstream.detector.config import DetectorConfig
from downstream.detector.frame_bce import frame_bce
from downstream.detector.loss_config import ObjectiveConfig
from downstream.detector.model import Detector, FeatureStatistics
from downstream.detector.objective import DetectorTraining, build_detector
from downstream.detector.storage import StoredWith, load_trained, save_detector, specs_of
from downstream.features.cells import CellNetwork
from downstream.features.config import EncoderConfig, SnippetSettings
from downstream.features.encoders import Encoder, VideoNetwork, encoder_of, open_encoder
from downstream.features.snippets import ClipView
from downstream.scores.video_scores import VideoScores
from downstream.training.balanced_sampler import BalancedSampler
from downstream.training.config import VideosConfig
from downstream.training.end_to_end.backbone import open_backbone
from downstream.training.end_to_end.score_videos import score_whole
from downstream.training.end_to_end.stages import unfreeze
from downstream.training.end_to_end.video_bags import (
    COLOURS,
    FLIP_CROP,
    Bag,
    ClipBatch,
    SnippetReader,
    TrainingVideo,
    VideoBags,
    bags_of,
)
from downstream.training.end_to_end.video_model import VideoModel
from downstream.training.source import Batch, Details
from pretrain.backbones import Backbone, BackboneSpec, save_backbone
from pretrain.data.bad_videos import BadVideos
from pretrain.data.catalogue import Catalogue
from pretrain.data.loading import load_batches
from pretrain.data.transforms import ClipTransform
from pretrain.data.video import IndexCache
from pretrain.errors import UserError

STANDARDISE_SNIPPETS = 256
"""Snippets of the first bags, at least, that the detector's input normalisation is taken from."""
AUGMENTATIONS = {"flip_crop": FLIP_CROP, "colours": COLOURS, "none": None}
SNIPPETS_NEED = (
    "what learns labels of snippets needs both, and abnormal is one half of whose frames are anomalous: check the "
    "spans of the catalogue, or have shorter ones with videos.snippet_frames"
)
KEPT_OF_CARD = ("tasks", "data", "steps", "validation_accuracy")
"""What pretraining wrote on a backbone's card and fine-tuning hands on."""


@dataclass(frozen=True, kw_only=True)
class VideoTrainingPlan:
    """What is trained on what, the same for every seed.

    Where videos have `snippet_labels` (a ceiling, self-training) the loss is the cross-entropy of snippets.
    """

    videos: Sequence[TrainingVideo]
    settings: VideosConfig
    detector: DetectorConfig
    objective: ObjectiveConfig
    steps: int
    batch_size: int
    normal_per_abnormal: float
    precision: Literal["fp32", "bf16"]
    """Of the backbone's forward pass when whole videos are scored."""
    bad: BadVideos
    """Takes down what cannot be read on the way."""
    index: Path
    """Folder of packet indices."""

    @cached_property
    def bags(self) -> list[Bag]:
        """What steps are drawn from."""
        return bags_of(self.videos)

    def order(self, seed: int) -> BalancedSampler:
        """Which bags a step has. UserError where a class is missing."""
        labels = [int(bag.is_abnormal) for bag in self.bags]
        of_snippets = ("snippets", SNIPPETS_NEED) if self.has_snippet_labels else ()
        return BalancedSampler(labels, self.batch_size, self.normal_per_abnormal, seed, *of_snippets)

    @property
    def has_snippet_labels(self) -> bool:
        """Whether snippets are told apart, not videos."""
        return self.videos[0].snippet_labels is not None

    @property
    def bag_length(self) -> int:
        """Snippets of a bag."""
        return 1 if self.has_snippet_labels else self.settings.snippets


class VideoTraining:
    """One seed's backbone and detector (`downstream.training.source.SeedTraining`)."""

    def __init__(self, plan: VideoTrainingPlan, seed: int, accelerator: Accelerator) -> None:
        self.plan, self.seed, self.accelerator = plan, seed, accelerator
        self.unreadable: Mapping[str, str] = plan.bad.reasons
        torch.manual_seed(seed)
        backbone, self.border, self.card = open_backbone(plan.settings)
        spec = backbone.spec
        for parameter in backbone.parameters():
            if parameter.ndim == 5:  # 3D convolutions are faster so, on CPU and GPU; 2D ones refuse the format
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
        if accelerator.distributed_type == DistributedType.MULTI_GPU:
            # batch statistics of what trains are of all processes
            backbone = nn.SyncBatchNorm.convert_sync_batchnorm(backbone)
        self.stages = unfreeze(backbone, plan.settings.unfreeze)
        self.snippets = SnippetSettings(snippet_frames=plan.settings.snippet_frames)
        self.bags = VideoBags(
            *(plan.bags, self._reader(spec), plan.order(seed), plan.bag_length),
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
        )
        self.transform = ClipTransform(spec.clip).to(accelerator.device)
        self._ahead: Iterator[ClipBatch] = iter(())
        self._next = -1
        grid = plan.settings.grid
        pool = plan.settings.pool
        network = VideoNetwork(backbone, pool) if grid is None else CellNetwork(backbone, grid, pool)
        self.grid = network.grid if isinstance(network, CellNetwork) else None
        # of snippets with labels of their own no term of the objective is on, nor a branch that such a term would train
        objective, base = (ObjectiveConfig(), frame_bce) if plan.has_snippet_labels else (plan.objective, None)
        detector = build_detector(plan.detector, objective, network.dim, self.grid)
        self.model = VideoModel(network, DetectorTraining(detector, objective, base), self.stages)
        self.model.to(accelerator.device)
        if plan.detector.standardise != "none" or plan.detector.composition != "none":
            self._standardise()

    def lr_shares(self) -> list[tuple[nn.Module, float]]:
        """The detector at the full learning rate, the backbone at its own share."""
        return [(self.model.detection, 1.0), (self.model.backbone, self.plan.settings.backbone_lr_share)]

    def after_step(self, step: int) -> None:
        """Move the teacher: one of the detector, on the features of the backbone as it is."""
        self.model.detection.update_teacher(step)

    def batch(self, step: int) -> Batch:
        """This process's bags of a step."""
        if step != self._next:
            self._ahead = self._load(self.bags, range(step, self.plan.steps))
        self._next = step + 1
        read = next(self._ahead)
        self.plan.bad.note(read.problems)
        if self.accelerator.num_processes == 1 and not bool(read.mask.any()):
            raise UserError(
                f"none of the videos of step {step + 1} can be read: {', '.join(read.names)}; write a quarantine list "
                "with scripts/check_videos.py and give it as videos.quarantine"
            )
        device = self.accelerator.device
        told = read.snippet_labels.to(device) if self.plan.has_snippet_labels else None
        return Batch(self._clips(read), read.mask.to(device), read.labels.to(device), read.names, told)

    def score(self, videos: Catalogue) -> list[VideoScores]:
        """Scores of whole videos by backbone and detector as they are, shared out over the processes."""
        # a copy: an encoder freezes what it holds
        encoder = self._encoder(copy.deepcopy(self.model.backbone))
        return self._score(encoder, self.model.detection.detector, videos)

    def save(self, folder: Path, details: Mapping[str, Any]) -> None:
        """The tuned backbone in `folder/backbone`, then the detector, whose card names that backbone's weights."""
        backbone = copy.deepcopy(self.model.backbone)
        card = {key: value for key, value in self.card.items() if key in KEPT_OF_CARD}
        card["data"] = {**card.get("data", {}), "border_crop": list(self.border)}
        card["fine_tuned"] = {"from": self.plan.settings.backbone, "stages": list(self.stages), "seed": self.seed}
        save_backbone(backbone, folder / "backbone", card)
        spec = self._encoder(backbone).spec(self.snippets)
        more = {"backbone": "backbone", "left_out": self.plan.bad.reasons}
        made_with = self._wanted("backbone").as_json()
        encoders = [StoredWith(made_with)]
        save_detector(self.model.detection.detector, folder, [spec], "none", {**details, **more}, encoders=encoders)

    def compose(self, folder: Path, videos: Catalogue, details: Details) -> None:
        """Nothing: scores straight from videos are each snippet's own."""

    def score_saved(self, folder: Path, videos: Catalogue) -> list[VideoScores]:
        """Scores of whole videos by the backbone and the detector that were saved in `folder`; on all processes."""
        detector, card = load_trained(folder)
        encoder = open_encoder(self._wanted(str(folder / "backbone")))
        differences = specs_of(card)[0].differences(encoder.spec(self.snippets))
        if differences:
            raise UserError(
                f"the detector in {folder} and the backbone beside it are not of one moment ({'; '.join(differences)}):"
                " the run was killed between the two; run it again with --resume"
            )
        return self._score(encoder, detector.to(self.accelerator.device), videos)

    def _wanted(self, backbone: str) -> EncoderConfig:
        return replace(self._own, backbone=backbone)

    @property
    def _own(self) -> EncoderConfig:
        """How the backbone is looked through, whatever its weights."""
        precision, pool = self.plan.precision, self.plan.settings.pool
        return EncoderConfig(precision=precision, pool=pool, grid=self.grid, motion=False)

    def _reader(self, spec: BackboneSpec) -> SnippetReader:
        return SnippetReader(
            settings=self.snippets,
            view=ClipView(clip=spec.clip, border_crop=self.border),
            augment=AUGMENTATIONS[self.plan.settings.augment],
            index_cache=IndexCache(self.plan.index),
        )

    def _encoder(self, backbone: Backbone) -> Encoder:
        """What extraction makes of that backbone; freezes it."""
        return encoder_of(self._own, backbone, self.border)

    def _load(self, bags: VideoBags, steps: range) -> Iterator[ClipBatch]:
        loaded: Any
        # a new loader draws from the global generator, which by then is seeded for the step's dropout
        with torch.random.fork_rng(devices=[]):
            pin = self.accelerator.device.type == "cuda"
            loaded = load_batches(cast(Any, bags), list(steps), self.plan.settings.workers, pin_memory=pin)
        return cast(Iterator[ClipBatch], loaded)

    def _clips(self, read: ClipBatch) -> Tensor:
        """Normalised clips (N, clips, 3, T, H, W) on the device, augmented where the run asks for it."""
        device = self.accelerator.device
        clips = read.clips.to(device, non_blocking=True)
        if self.bags.reader.augment is None:
            pixels = (clips.float() / 255 - self.transform.mean.flatten()) / self.transform.std.flatten()
            return rearrange(pixels, "n k t h w c -> n k c t h w")
        each = clips.shape[1]
        fields = [field.to(device, non_blocking=True).repeat_interleave(each, 0) for field in read.augmentation]
        return rearrange(self.transform(clips.flatten(0, 1), fields), "(n k) c t h w -> n k c t h w", k=each)

    @torch.no_grad()
    def _standardise(self) -> None:
        """Input normalisation of the detector from the first bags, as the backbone sees them now.

        Every process looks at the same bags, so that any number of processes gets the same numbers.
        """
        whole = VideoBags(self.bags.bags, self.bags.reader, self.bags.order, self.bags.length)
        steps = math.ceil(STANDARDISE_SNIPPETS / (self.plan.batch_size * self.bags.length))
        self.model.eval()
        found = []
        for read in self._load(whole, range(steps)):
            self.plan.bad.note(read.problems, show=self.accelerator.is_main_process)
            found.append(self.model.encode(self._clips(read))[: int(read.mask.sum())])
        self.model.train()
        features = torch.cat(found).flatten(0, -2).double()
        statistics = FeatureStatistics(
            features.mean(dim=0).float(), features.std(dim=0, correction=0).float(), torch.cov(features.T, correction=0)
        )
        detection = self.model.detection
        for detector in (detection.detector, detection.teacher):
            if detector is not None:
                detector.standardise(statistics)

    def _score(self, encoder: Encoder, detector: Detector, videos: Catalogue) -> list[VideoScores]:
        """Scores in the order of the catalogue, without the videos that cannot be read."""
        scored, problems = score_whole(
            encoder, detector, list(videos), self.snippets, self.accelerator, self.plan.index
        )
        self.plan.bad.note(problems, show=self.accelerator.is_main_process)
        return scored
