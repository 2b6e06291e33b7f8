"""The configuration of fine-tuning a detector: frozen dataclasses, composed once, saved with the run."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from downstream.detector.config import DetectorConfig
from downstream.detector.loss_config import ObjectiveConfig
from downstream.evaluation.settings import EvaluationSettings
from downstream.features.config import check_border
from downstream.features.feature_spec import Pool
from downstream.features.normalising import Normalise
from downstream.scores.supervision import Supervision
from pretrain.data.catalogue import CatalogueConfig
from pretrain.environment import Precision
from pretrain.errors import UserError
from pretrain.tracking_config import TrackingConfig

MAX_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """What the detector sees."""

    sets: tuple[Path, ...] = ()
    """Folders of feature sets (scripts/extract_features.py, scripts/import_features.py); several are fused."""
    normalise: Normalise = "none"
    """Each set by itself before fusion: none, l2, layer, video (less the video's own mean, over its deviation), or
    place (less the mean of each cell or crop over the video: takes its background away)."""
    pool_cells: tuple[int, int] | None = None
    """Of sets with cells: pool them to so many rows and columns by the maximum, after normalising."""
    allow_missing: bool = False
    """Leave out listed videos without features, with their names in the summary. Otherwise they are an error."""


@dataclass(frozen=True, kw_only=True)
class VideosConfig:
    """Training end to end, from videos through the backbone, instead of on stored features.

    Of `bags` only `normal_per_abnormal` has a meaning then. Keep optim.batch_size small: a step encodes `batch_size *
    snippets` snippets.
    """

    backbone: str | None = None
    """Switches it on: a run's folder, an exported one, `shipped`, or a name (small3d, r3d_18, timm/<model>, ...)."""
    weights: Path | None = None
    """For a name: its weights, a .safetensors or .pth file. Default: random weights, of the seed."""
    download: bool = False
    """For a name: its published weights, fetched by torchvision or timm. Nothing is fetched unasked."""
    height: int | None = None
    """Height of the frames it reads, in pixels; default: as it was pretrained. Small things in a picture want more."""
    width: int | None = None
    """Width, likewise."""
    pool: Pool = "mean"
    """What becomes of the feature map of a snippet, or of a cell: its mean; or mean and maximum, twice the numbers, in
    which small things are not lost."""
    unfreeze: int = 1
    """Last stages of the network that train; 0: none."""
    backbone_lr_share: float = 0.1
    """Learning rate of the backbone, as a share of optim.lr."""
    snippets: int = 8
    """Length of a bag: one snippet of each of so many equal parts of the video, drawn anew in every step. Of no meaning
    where snippets have labels of their own (self_training, ceiling): each is a bag by itself."""
    snippet_frames: int = 16
    """Video frames a snippet stands for."""
    grid: Literal["map"] | tuple[int, int] | None = None
    """Score cells of the picture, to find out where: `map` for the cells of the backbone's feature map, or rows and
    columns that it is pooled to."""
    border_crop: tuple[float, float, float, float] | None = None
    """Shares of the frame cut off at top, bottom, left, right. Default: what the backbone was pretrained with."""
    augment: Literal["flip_crop", "colours", "none"] = "flip_crop"
    """flip_crop: a random crop, mirrored in half of the cases. colours: one of four fifths of the frame or more,
    mirrored, and pretraining's changes of a clip's colours: of few videos less is learnt by heart. All snippets of a
    bag share it."""
    workers: int = 2
    """Reading processes for each training process; 0 reads in the training process itself."""
    cache: Path | None = None
    """Folder of caches, shared by runs and with pretraining (data.cache): packet indices are kept in its `index`.
    Default: `cache` beside the run folder."""
    quarantine: Path | None = None
    """A list written by scripts/check_videos.py; the videos it names are left out."""
    max_bad_fraction: float = 0.01
    """The run stops when more than this share of the videos cannot be read."""

    def __post_init__(self) -> None:
        least = {"height": 1, "width": 1, "unfreeze": 0, "snippets": 1, "snippet_frames": 1, "workers": 0}
        for name, lowest in least.items():
            if (value := getattr(self, name)) is not None and value < lowest:
                raise UserError(f"videos.{name} is {value}; it must be at least {lowest}")
        if not self.backbone_lr_share > 0:
            raise UserError(
                f"videos.backbone_lr_share is {self.backbone_lr_share}; it must be above 0 (unfreeze 0 trains no "
                "backbone)"
            )
        if not 0 <= self.max_bad_fraction <= 1:
            raise UserError(f"videos.max_bad_fraction is {self.max_bad_fraction}; it must lie in [0, 1]")
        if self.border_crop is not None:
            check_border(self.border_crop)


@dataclass(frozen=True, kw_only=True)
class SelfTrainingConfig:
    """Learn from what a finished run says of the snippets of its own training videos: end to end, with videos.backbone.

    So the backbone learns what the anomalies of this footage look like, where pretraining only saw videos (Feng 2021,
    MIST). Labels of videos stay all that anybody was told.
    """

    teacher: Path | None = None
    """Switches it on: the folder of a finished run of scripts/finetune.py on the same training videos. Each video is
    judged by the detectors that had held it out; `rotate_validation` and several seeds let more of them be."""
    share: float = 0.2
    """Of each abnormal video the snippets that the teacher scores highest, this share of them, are called anomalous."""
    doubtful: float = 0.3
    """The share of them that come next are not learnt from; the rest is called normal, as normal videos are."""

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UserError(f"self_training.share is {self.share}; it must lie in (0, 1)")
        if not 0 <= self.doubtful < 1 - self.share:
            raise UserError(
                f"self_training.doubtful is {self.doubtful}; it must be 0 or more, and less than {1 - self.share:.4g}, "
                "what self_training.share leaves: some snippets have to be normal"
            )


@dataclass(frozen=True, kw_only=True)
class BagsConfig:
    """How videos become training bags."""

    segments: int = 32
    """Length of a bag in snippets. Longer videos are cut into so many equal parts; shorter ones are padded and masked.
    A bag of cells holds all cells of each."""
    sampling: Literal["mean", "sample"] = "mean"
    """mean: each part is the mean of its snippets; sample: one snippet of each part, drawn anew in every step."""
    crops: Literal["one", "all"] = "one"
    """one: a random crop of each video and step; all: every crop is a bag of its own, in the same step. Features of
    cells have a single crop."""
    normal_per_abnormal: float = 1.0
    """Normal bags for each abnormal one in a batch."""
    cache: Path | None = None
    """Folder of the segment cache, shared by runs; default: `segments` beside the run folder."""

    def __post_init__(self) -> None:
        if self.segments < 1:
            raise UserError(f"bags.segments is {self.segments}; it must be at least 1")
        if not self.normal_per_abnormal > 0:
            raise UserError(f"bags.normal_per_abnormal is {self.normal_per_abnormal}; it must be above 0")


@dataclass(frozen=True, kw_only=True)
class DetectorOptimConfig:
    """The optimiser and its schedule."""

    optimizer: Literal["adamw", "adam", "adagrad"] = "adamw"
    """Which optimiser; MIL ranking (2018) used Adagrad at 0.001."""
    steps: int = 1000
    """Optimiser steps."""
    batch_size: int = 64
    """Bags per step over all processes, both classes together."""
    lr: float = 1e-3
    """Peak learning rate; a half cosine brings it down to `final_lr_share` of it."""
    warmup_steps: int = 20
    """Steps of linear warm-up."""
    final_lr_share: float = 0.01
    """Learning rate at the end, as a share of the peak; 1 keeps it constant."""
    weight_decay: float = 0.01
    """Not applied to biases and normalisation."""
    clip_norm: float = 1.0
    """Greatest norm of the gradient."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"optim.steps is {self.steps}; it must be at least 1")
        if self.batch_size < 2:
            raise UserError(f"optim.batch_size is {self.batch_size}; it must hold a bag of each class: at least 2")
        for name in ("lr", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"optim.{name} is {getattr(self, name)}; it must be a finite number above 0")
        for name in ("warmup_steps", "final_lr_share", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"optim.{name} is {getattr(self, name)}; it must be a finite number, 0 or above")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Train a detector on video labels; select it on validation videos; score the test videos once."""

    output: Path = Path("runs/finetune")
    """Folder of the run: a folder for each seed, the evaluation, a summary."""
    resume: bool = False
    """Go on where an earlier call stopped; seeds that are done stay as they are."""
    seeds: tuple[int, ...] = (0,)
    """One detector for each; figures are means over them."""
    split_seed: int = 0
    """Which training videos are held out; the same for all seeds, unless `rotate_validation` is on."""
    rotate_validation: bool = False
    """Each seed holds out other videos (`split_seed` plus the seed): detectors that are taken together have then seen
    all of them, and the deviation over seeds tells what another choice would have changed. Not for cells."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    precision: Precision | None = None
    """Precision of the network's forward pass; losses and weights are float32. Default: what accelerate's launcher or
    its configuration file says (mixed_precision), else fp32. Given here, another one there is refused."""
    validation_fraction: float = 0.2
    """Share of the training videos, of each class, that selects the checkpoint."""
    validation_by: Literal["auto", "group", "video"] = "auto"
    """Hold out whole groups (cameras, scenes), single videos, or groups where the catalogue knows them."""
    select: Literal["best", "last"] = "best"
    """best: the detector that tells validation videos apart best (video-level AUC; with `ceiling` frame-level AUC);
    last: that of the last step."""
    ceiling: bool = False
    """Train the same detector on labels of frames, to say what labels of whole videos cost. Its figures are no weakly
    supervised ones and may be reported as a ceiling alone. The loss is the cross-entropy of every segment with the
    share of its frames that is anomalous, whatever `objective` says; the catalogue must have spans of the training
    videos. For whole pictures, on stored features or end to end."""
    score_test: bool = True
    """Score the test videos once at the end, and evaluate where the catalogue has ground truth."""
    references: bool = True
    """Score the test videos also by what needs no learning (scripts/reference_scores.py), where training is on stored
    features; evaluate that beside the detectors."""
    plots: bool = True
    """Draw curves of the evaluation."""
    log_every: int = 50
    """Steps between two lines of the log."""
    validate_every: int = 100
    """Steps between two looks at the validation videos."""
    save_every: int = 500
    """Steps between two training states."""
    keep_states: int = 1
    """Newest training states kept."""

    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    videos: VideosConfig = field(default_factory=VideosConfig)
    self_training: SelfTrainingConfig = field(default_factory=SelfTrainingConfig)
    bags: BagsConfig = field(default_factory=BagsConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optim: DetectorOptimConfig = field(default_factory=DetectorOptimConfig)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    tracking: TrackingConfig = field(default_factory=lambda: TrackingConfig(log_with=()))

    def __post_init__(self) -> None:
        for name in ("log_every", "validate_every", "save_every", "keep_states"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 < self.validation_fraction < 1:
            raise UserError(f"validation_fraction is {self.validation_fraction}; it must lie in (0, 1)")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or not all(0 <= s <= MAX_SEED for s in self.seeds):
            raise UserError(f"seeds are {list(self.seeds)}; give one or more different numbers, 0 to {MAX_SEED}")
        if not 0 <= self.split_seed <= MAX_SEED:
            raise UserError(f"split_seed is {self.split_seed}; it must lie in [0, {MAX_SEED}]")
        if self.self_training.teacher is not None and self.videos.backbone is None:
            raise UserError(
                f"self_training.teacher is {self.self_training.teacher}, and videos.backbone is not set: on stored "
                "features nothing was gained by it (docs/results.md). Leave self_training out; scripts/finetune.py "
                "takes it with videos.backbone, the backbone that is to learn"
            )
        if self.self_training.teacher is not None and self.ceiling:
            raise UserError("ceiling and self_training.teacher are both set: labels of frames, or those of a teacher")
        refuse_not_finite(self)

    @property
    def supervision(self) -> Supervision:
        """What the detector is told."""
        return "frames" if self.ceiling else "videos"


def refuse_not_finite(config: Any, prefix: str = "") -> None:
    """UserError naming the first setting of a configuration that is NaN or infinite: no run can be saved with one."""
    for entry in dataclasses.fields(config):
        value, name = getattr(config, entry.name), f"{prefix}{entry.name}"
        if dataclasses.is_dataclass(value):
            refuse_not_finite(value, f"{name}.")
        elif any(isinstance(item, float) and not math.isfinite(item) for item in _items(value)):
            raise UserError(f"{name} is {value}; it must be finite: give a number, or leave it out")


def _items(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


FREE_TO_CHANGE = {"output", "resume", "seeds", "device", "log_every", "save_every", "keep_states", "bags.cache"}
FREE_TO_CHANGE |= {"videos.workers", "videos.cache", "videos.max_bad_fraction"}
FREE_TO_CHANGE |= {"plots", "references"} | {
    f"evaluation.{entry.name}" for entry in dataclasses.fields(EvaluationSettings)
}
FREE_TO_CHANGE |= {f"tracking.{entry.name}" for entry in dataclasses.fields(TrackingConfig)}
"""What may differ between a run and the run that goes on from it, because it changes no figure."""
