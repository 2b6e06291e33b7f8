"""Fine-tuning end to end: bags of clips through a backbone whose last stages train, into the same detector."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from einops import rearrange, reduce
from torch import Tensor, nn

from downstream.detector.bags import LossParts
from downstream.detector.model import Detector
from downstream.detector.objective import DetectorTraining, build_detector
from downstream.detector.storage import kinds_of, load_detector, save_detector
from downstream.features.cells import CellNetwork
from downstream.features.encoders import Encoder, EncoderConfig, VideoNetwork, encoder_of, open_encoder
from downstream.features.snippets import SnippetSettings, View
from downstream.scores.score_file import VideoScores
from downstream.training.balanced_sampler import BalancedDraw
from downstream.training.config import FinetuneConfig
from downstream.training.end_to_end.prepare_videos import PreparedVideos, index_folder, open_backbone
from downstream.training.end_to_end.score_videos import score_whole
from downstream.training.end_to_end.stages import unfreeze
from downstream.training.end_to_end.video_bags import FLIP_CROP, ClipBatch, SnippetReader, TrainingVideo, VideoBags
from downstream.training.segments import Batch
from pretrain.backbones import Backbone, BackboneSpec, save_backbone
from pretrain.data.catalogue import Catalogue
from pretrain.data.transforms import ClipTransform
from pretrain.data.video import IndexCache
from pretrain.data.windows import load_batches
from pretrain.errors import UserError

STANDARDISE_SNIPPETS = 256
"""Snippets of the first bags, at least, that the detector's input normalisation is taken from."""
KEPT_OF_CARD = ("tasks", "data", "steps", "held_out_accuracy")
"""What pretraining wrote on a backbone's card and fine-tuning hands on."""


class VideoTraining(nn.Module):
    """Backbone, detector and objective as one module: what DDP wraps, and what a training state holds."""

    def __init__(
        self, network: VideoNetwork | CellNetwork, detection: DetectorTraining, stages: Mapping[str, list[nn.Module]]
    ) -> None:
        """`stages`: those of the backbone that train, see `downstream.training.end_to_end.stages.unfreeze`."""
        super().__init__()
        self.backbone, self.detection = network.backbone, detection
        self._network = (network,)  # not a module of ours: its only weights are the backbone's
        self._trained = tuple(module for modules in stages.values() for module in modules)
        self.train()

    def train(self, mode: bool = True) -> VideoTraining:
        """As ever, but frozen stages stay in evaluation mode: their running statistics do not move."""
        super().train(mode)
        self.backbone.eval()
        for module in self._trained:
            module.train(mode)
        return self

    def encode(self, clips: Tensor) -> Tensor:
        """Normalised clips float (N, clips, 3, T, H, W) -> features float32 (N, D), of cells (N, cells, D); the mean
        over a snippet's clips."""
        # autograd keeps nothing of the frozen stages: neither the clips nor their weights ask for a gradient
        with nullcontext() if self._trained else torch.no_grad():
            features = self._network[0](clips.flatten(0, 1))
        return reduce(features, "(n k) ... -> n ...", "mean", k=clips.shape[1])

    def forward(self, clips: Tensor, mask: Tensor, labels: Tensor, step: int) -> tuple[Tensor, LossParts]:
        """Clips (N, clips, 3, T, H, W) of the N snippets that `mask` (B, T) marks, labels (B,) -> loss and its parts.

        Bags with an empty mask take no part.
        """
        encoded = self.encode(clips)
        cells = encoded.shape[1] if encoded.ndim == 3 else 1
        mask = mask.repeat_interleave(cells, dim=1)  # a snippet's cells are there, or padding, together
        features = encoded.new_zeros(*mask.shape, encoded.shape[-1])
        features = features.masked_scatter(mask.unsqueeze(2), encoded.flatten(0, -2))
        read = mask.any(dim=1)
        loss: tuple[Tensor, LossParts] = self.detection(features[read], mask[read], labels[read], step)
        return loss

    def update_teacher(self, step: int) -> None:
        """After the optimiser's step; the teacher is one of the detector, on the features of the backbone as it is."""
        self.detection.update_teacher(step)


class FromVideos:
    """What one seed's run trains and scores (`downstream.training.loop.Road`)."""

    def __init__(self, config: FinetuneConfig, seed: int, prepared: PreparedVideos, accelerator: Accelerator) -> None:
        self.config, self.seed, self.prepared, self.accelerator = config, seed, prepared, accelerator
        self.unreadable: Mapping[str, str] = prepared.bad.found
        torch.manual_seed(seed)
        backbone, self.border, self.card = open_backbone(config.videos)
        spec = backbone.spec
        for parameter in backbone.parameters():
            if parameter.ndim == 5:  # 3D convolutions are faster so, on CPU and GPU; 2D ones refuse the format
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
        if accelerator.distributed_type == DistributedType.MULTI_GPU:
            # batch statistics of what trains are of all processes
            backbone = nn.SyncBatchNorm.convert_sync_batchnorm(backbone)
        self.stages = unfreeze(backbone, config.videos.unfreeze)
        self.settings = SnippetSettings(snippet_frames=config.videos.snippet_frames)
        self.precision: Any = "bf16" if config.precision == "bf16" else "fp32"
        reader = self._reader(spec)
        videos = [TrainingVideo(v.name, v.path, int(v.label or 0), prepared.infos[v.name]) for v in prepared.train]
        order = BalancedDraw(
            [video.label for video in videos], config.optim.batch_size, config.bags.normal_per_abnormal, seed
        )
        self.bags = VideoBags(
            *(videos, reader, order, config.videos.snippets),
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
        )
        self.transform = ClipTransform(spec.height, spec.width, spec.mean, spec.std).to(accelerator.device)
        self._ahead: Iterator[ClipBatch] = iter(())
        self._next = -1
        grid = config.videos.grid
        network = VideoNetwork(backbone, "mean") if grid is None else CellNetwork(backbone, grid)
        self.grid = network.grid if isinstance(network, CellNetwork) else None
        detector = build_detector(config.detector, config.objective, spec.feature_dim, self.grid)
        self.module = VideoTraining(network, DetectorTraining(detector, config.objective), self.stages)
        self.module.to(accelerator.device)
        if config.detector.standardise != "none":
            self._standardise()

    def batch(self, step: int) -> Batch:
        """This process's bags of a step; `features` are the clips of the snippets that the mask marks."""
        if step != self._next:
            self._ahead = self._load(self.bags, range(step, self.config.optim.steps))
        self._next = step + 1
        read = next(self._ahead)
        self.prepared.bad.note(read.problems)
        if self.accelerator.num_processes == 1 and not bool(read.mask.any()):
            raise UserError(
                f"none of the videos of step {step + 1} can be read: {', '.join(read.names)}; write a quarantine list "
                "with scripts/check_videos.py and give it as videos.quarantine"
            )
        device = self.accelerator.device
        return Batch(self._clips(read), read.mask.to(device), read.labels.to(device), read.names)

    def score(self, videos: Catalogue) -> list[VideoScores]:
        """Scores of whole videos by backbone and detector as they are, shared out over the processes."""
        # a copy: an encoder freezes what it holds
        encoder = self._encoder(copy.deepcopy(self.module.backbone))
        return self._score(encoder, self.module.detection.detector, videos)

    def save(self, folder: Path, details: Mapping[str, Any]) -> None:
        """The tuned backbone in `folder/backbone`, then the detector, whose card names that backbone's weights."""
        backbone = copy.deepcopy(self.module.backbone)
        card = {key: value for key, value in self.card.items() if key in KEPT_OF_CARD}
        card["data"] = {**card.get("data", {}), "border_crop": list(self.border)}
        card["fine_tuned"] = {"from": self.config.videos.backbone, "stages": list(self.stages), "seed": self.seed}
        save_backbone(backbone, folder / "backbone", card)
        kind = self._encoder(backbone).kind(self.settings)
        more = {"backbone": "backbone", "left_out": self.prepared.bad.found}
        made_with = self._wanted("backbone").as_json()
        encoders = [(made_with, "float32")]
        save_detector(self.module.detection.detector, folder, [kind], "none", {**details, **more}, encoders=encoders)

    def score_saved(self, folder: Path, videos: Catalogue) -> list[VideoScores]:
        """Scores of whole videos by the backbone and the detector that were saved in `folder`; on all processes."""
        detector, card = load_detector(folder)
        encoder = open_encoder(self._wanted(str(folder / "backbone")))
        differences = kinds_of(card)[0].differences(encoder.kind(self.settings))
        if differences:
            raise UserError(
                f"the detector in {folder} and the backbone beside it are not of one moment ({'; '.join(differences)}):"
                " the run was killed between the two; run it again with --resume"
            )
        return self._score(encoder, detector.to(self.accelerator.device), videos)

    def _wanted(self, backbone: str) -> EncoderConfig:
        return EncoderConfig(backbone=backbone, precision=self.precision, grid=self.grid)

    def _reader(self, spec: BackboneSpec) -> SnippetReader:
        return SnippetReader(
            settings=self.settings,
            view=View(
                clip_frames=spec.clip_frames,
                clip_stride=spec.clip_stride,
                height=spec.height,
                width=spec.width,
                border_crop=self.border,
            ),
            augment=FLIP_CROP if self.config.videos.augment == "flip_crop" else None,
            index_cache=IndexCache(index_folder(self.config)),
        )

    def _encoder(self, backbone: Backbone) -> Encoder:
        """What extraction makes of that backbone; freezes it."""
        return encoder_of(EncoderConfig(precision=self.precision, grid=self.grid), backbone, self.border)

    def _load(self, bags: VideoBags, steps: range) -> Iterator[ClipBatch]:
        loaded: Any
        # a new loader draws from the global generator, which by then is seeded for the step's dropout
        with torch.random.fork_rng(devices=[]):
            pin = self.accelerator.device.type == "cuda"
            loaded = load_batches(cast(Any, bags), list(steps), self.config.videos.workers, pin_memory=pin)
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
        whole = VideoBags(self.bags.videos, self.bags.reader, self.bags.order, self.bags.length)
        steps = math.ceil(STANDARDISE_SNIPPETS / (self.config.optim.batch_size * self.bags.length))
        self.module.eval()
        found = []
        for read in self._load(whole, range(steps)):
            self.prepared.bad.note(read.problems, show=self.accelerator.is_main_process)
            found.append(self.module.encode(self._clips(read))[: int(read.mask.sum())])
        self.module.train()
        features = torch.cat(found).flatten(0, -2).double()
        detection = self.module.detection
        for detector in (detection.detector, detection.teacher):
            if detector is not None:
                detector.standardise(features.mean(dim=0).float(), features.std(dim=0, correction=0).float())

    def _score(self, encoder: Encoder, detector: Detector, videos: Catalogue) -> list[VideoScores]:
        """Scores in the order of the catalogue, without the videos that cannot be read."""
        scored, problems = score_whole(
            encoder, detector, list(videos), self.settings, self.accelerator, index_folder(self.config)
        )
        self.prepared.bad.note(problems, show=self.accelerator.is_main_process)
        return scored
