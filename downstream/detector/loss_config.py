"""The settings of all losses of a detector; the losses themselves are a file each, see `terms`.

They are apart from these because every command line reads them, and PyTorch is what a command line takes longest for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from pretrain.errors import UserError, nearest
from pretrain.plugins import find_plugins, with_fields, wrong_settings


def check_weight(name: str, weight: float, published: str = "") -> None:
    """UserError unless the weight of the term `name` is one; `published`: the paper's, to be told beside the limit."""
    if not 0 <= weight < math.inf:
        beside = f" ({published} as published)" if published else ""
        raise UserError(f"{name}.weight is {weight}; it must be a finite number of 0 or more{beside}")


def check_not_negative(loss: str, settings: object, *names: str) -> None:
    """UserError unless these settings of a loss are finite numbers of 0 or more."""
    for name in names:
        value = getattr(settings, name)
        if not 0 <= value < math.inf:
            raise UserError(f"{loss}.{name} is {value}; it must be a finite number of 0 or more")


@dataclass(frozen=True, kw_only=True)
class MilRankingConfig:
    """The ranking base (Sultani 2018)."""

    k: int | None = 1
    """Instances whose mean score stands for the bag; 1 is the maximum, as published; None: count // divisor + 1."""
    divisor: int = 16
    """With k None."""
    margin: float = 1.0
    """What the hinge asks for between an abnormal and a normal bag; scores lie in [0, 1]."""

    def __post_init__(self) -> None:
        if self.k is not None and self.k < 1:
            raise UserError(f"mil_ranking.k is {self.k}; it must be 1 or more, or None for count // divisor + 1")
        if self.divisor < 1:
            raise UserError(f"mil_ranking.divisor is {self.divisor}; it must be 1 or more")
        if not 0 < self.margin < math.inf:
            raise UserError(f"mil_ranking.margin is {self.margin}; it must be a finite number above 0 (1 as published)")


@dataclass(frozen=True, kw_only=True)
class TopKBCEConfig:
    """The common modern base."""

    k: int | None = None
    """Instances whose mean score stands for the bag; None: count // divisor + 1."""
    divisor: int = 16
    """With k None. An anomaly that lasts long, or cells of which it takes many, want a smaller one."""

    def __post_init__(self) -> None:
        if self.k is not None and self.k < 1:
            raise UserError(f"topk_bce.k is {self.k}; it must be 1 or more, or None for count // divisor + 1")
        if self.divisor < 1:
            raise UserError(f"topk_bce.divisor is {self.divisor}; it must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class FeatureMagnitudeConfig:
    """The feature magnitude base (Tian 2021)."""

    k: int | None = 3
    """Instances taken of each bag, by the length of their feature vector; None: count // 16 + 1."""
    margin: float = 100.0
    """The magnitude that abnormal bags are drawn to; in units of the features that the scoring head sees."""
    alpha: float = 1e-4
    """Weight of the magnitude term beside the cross-entropy."""

    def __post_init__(self) -> None:
        if self.k is not None and self.k < 1:
            raise UserError(f"feature_magnitude.k is {self.k}; it must be 1 or more, or None for count // 16 + 1")
        if not 0 < self.margin < math.inf:
            raise UserError(
                f"feature_magnitude.margin is {self.margin}; it must be a finite number above 0 (100 as published)"
            )
        if not 0 <= self.alpha < math.inf:
            raise UserError(
                f"feature_magnitude.alpha is {self.alpha}; it must be a finite number of 0 or more"
                " (0 leaves the cross-entropy alone)"
            )


@dataclass(frozen=True, kw_only=True)
class MagnitudeContrastConfig:
    """The magnitude contrastive base (MGFN, Chen 2023)."""

    k: int = 3
    """Instances taken of each bag, by the L2 length of their feature vector."""
    margin: float = 200.0
    """By which magnitudes of the two classes shall differ; in units of the features that the scoring head sees."""
    contrast_weight: float = 0.001
    """Of the contrast beside the cross-entropy."""
    between_weight: float = 0.001
    """Within the contrast: of the two classes' difference, beside the likeness of bags of one class."""

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UserError(f"magnitude_contrast.k is {self.k}; it must be 1 or more")
        check_not_negative("magnitude_contrast", self, "margin", "contrast_weight", "between_weight")


@dataclass(frozen=True, kw_only=True)
class BatchNormDistanceConfig:
    """The base of BN-WVAD (Zhou 2023); gives the detector a head with batch norms."""

    bag_ratio: float = 0.2
    """Share of every abnormal bag that is taken for abnormal, by its distance from the mean."""
    batch_ratio: float = 0.4
    """Share of all abnormal bags together that is, too: more of a video in which more happens."""
    first_weight: float = 5.0
    """Of the pushing apart at the first batch norm."""
    second_weight: float = 20.0
    """At the second."""
    margin: float = 1.0
    """By which distances shall differ, in deviations."""

    def __post_init__(self) -> None:
        for name in ("bag_ratio", "batch_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"batch_norm_distance.{name} is {getattr(self, name)}; it must lie in [0, 1]")
        check_not_negative("batch_norm_distance", self, "first_weight", "second_weight", "margin")


@dataclass(frozen=True, kw_only=True)
class HardMiningConfig:
    """Which instances are mined, and what is asked of them. All constants are ours."""

    weight: float = 0.0
    """Weight of the term in the objective; 0 switches it off."""
    warmup_steps: int = 200
    """The objective leaves the term out of this many first steps, until scores mean something. Not studied."""
    k: int | None = None
    """Instances of a bag taken by score, at either end; None: count // 16 + 1."""
    ratio: int = 1
    """r: of the others, the `r * k` nearest to a prototype are candidates."""
    margin: float = 1.0
    """Of the triplets, on squared distances of unit vectors (which lie in [0, 4])."""
    mine_abnormal: bool = True
    """Mine hard positives in abnormal bags."""
    mine_normal: bool = True
    """Mine hard negatives in normal bags."""
    triplet_weight: float = 1.0
    """Weight of the triplets within the term."""
    bce_weight: float = 1.0
    """Weight of the cross-entropies of the mined instances within the term."""

    def __post_init__(self) -> None:
        for name in ("weight", "triplet_weight", "bce_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(
                    f"hard_mining.{name} is {getattr(self, name)}; it must be a finite number of 0 or more (0 = off)"
                )
        if self.warmup_steps < 0:
            raise UserError(
                f"hard_mining.warmup_steps is {self.warmup_steps}; it must be 0 or more (0 = from the start)"
            )
        if self.k is not None and self.k < 1:
            raise UserError(f"hard_mining.k is {self.k}; it must be 1 or more, or None for count // 16 + 1")
        if self.ratio < 1:
            raise UserError(
                f"hard_mining.ratio is {self.ratio}; it must be 1 or more"
                " (to mine nothing, switch off mine_abnormal or mine_normal)"
            )
        if not 0 < self.margin < math.inf:
            raise UserError(f"hard_mining.margin is {self.margin}; it must be a finite number above 0")


@dataclass(frozen=True, kw_only=True)
class ContrastiveClusteringConfig:
    """All values are ours and not studied, except where docs/results.md says so."""

    weight: float = 0.0
    """0 switches the term off; scripts/ablate.py switches it on with 0.1, which is not tuned."""
    clusters: int = 4
    """Centres per class; a class with fewer instances in a batch has fewer."""
    temperature: float = 0.1
    """Cosine similarities are divided by it."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise UserError(
                f"contrastive_clustering.weight is {self.weight}; it must be a finite number of 0 or more (0 = off)"
            )
        if not 0 < self.temperature < math.inf:
            raise UserError(
                f"contrastive_clustering.temperature is {self.temperature}; it must be a finite number above 0"
            )
        if self.clusters < 1:
            raise UserError(f"contrastive_clustering.clusters is {self.clusters}; it must be 1 or more")


Guidance = Literal["none", "product", "mean"]


@dataclass(frozen=True, kw_only=True)
class CrossBatchClusteringConfig:
    """All values are ours and not studied, except where docs/results.md says so."""

    weight: float = 0.0
    """0 switches the term, and the branch, off."""
    memory: int = 16
    """Past batches whose centres are averaged with the current one's; 0: the batch alone. About one epoch of steps."""
    guidance: Guidance = "product"
    """How `q` of the branch enters the scores, in training and at test: `none`, `product` or `mean` of both."""
    temperature: float = 1.0
    """Squared distances to the centres are divided by it."""
    margin: float = 2.0
    """The centres are pushed apart while they are nearer than this."""
    compactness: float = 0.1
    """Weight of the mean squared distance of instances to their own centre."""

    def __post_init__(self) -> None:
        check_not_negative("cross_batch_clustering", self, "weight", "margin", "compactness")
        if self.memory < 0:
            raise UserError(
                f"cross_batch_clustering.memory is {self.memory}; it must be 0 (the batch alone) or more batches"
            )
        if not 0 < self.temperature < math.inf:
            raise UserError(
                f"cross_batch_clustering.temperature is {self.temperature}; it must be a finite number above 0"
            )
        if self.guidance not in get_args(Guidance):
            known = ", ".join(get_args(Guidance))
            raise UserError(
                f"cross_batch_clustering.guidance is {self.guidance!r}; it must be one of {known}"
                f"{nearest(str(self.guidance), get_args(Guidance))}"
            )


DUAL_MEMORY_PARTS = ("memory", "triplet", "divergence", "magnitude")


@dataclass(frozen=True, kw_only=True)
class DualMemoryConfig:
    """The losses that train the two memories of the detector; the weights of the parts are as published."""

    weight: float = 0.0
    """0 switches the term off; 1 as published. A detector without memories gets 60 vectors each (detector.memories)."""
    memory_weight: float = 0.1
    """Of the four cross-entropies: each class of bags is found in its own memory and not in the other."""
    triplet_weight: float = 0.1
    """Of the triplets: what abnormal bags hold of normal lies nearer to normal bags than what they hold of abnormal."""
    divergence_weight: float = 0.001
    """Of the divergence between the latent of normal snippets and the standard Gaussian."""
    magnitude_weight: float = 0.0001
    """Of the distance of magnitudes: what abnormal bags read of their memory is long, what normal ones read short."""
    triplet_margin: float = 1.0
    """On distances of unit vectors, which lie in [0, 2]."""
    magnitude_margin: float = 100.0
    """By which the lengths of what is read shall differ."""

    def __post_init__(self) -> None:
        check_weight("dual_memory", self.weight, "1")
        weights = (f"{part}_weight" for part in DUAL_MEMORY_PARTS)
        check_not_negative("dual_memory", self, *weights, "triplet_margin", "magnitude_margin")


@dataclass(frozen=True, kw_only=True)
class ClassAlignmentConfig:
    """The alignment of snippets with learnt class embeddings (after VadCLIP, Wu 2024)."""

    weight: float = 0.0
    """0 switches the term off; 1 as published."""
    temperature: float = 0.07
    """That cosines are divided by."""
    separation: float = 0.1
    """Weight of the mean absolute cosine of the normal embedding and the others."""

    def __post_init__(self) -> None:
        check_weight("class_alignment", self.weight, "1")
        if not 0 < self.temperature < math.inf:
            raise UserError(f"class_alignment.temperature is {self.temperature}; it must be a finite number above 0")
        check_not_negative("class_alignment", self, "separation")


@dataclass(frozen=True, kw_only=True)
class SmoothnessConfig:
    """The smoothness term of MIL ranking (Sultani 2018)."""

    weight: float = 0.0
    """Weight of the term in the objective; 0 switches it off, 8e-5 as published."""

    def __post_init__(self) -> None:
        check_weight("smoothness", self.weight, "8e-5")


@dataclass(frozen=True, kw_only=True)
class SparsityConfig:
    """The sparsity term of MIL ranking (Sultani 2018)."""

    weight: float = 0.0
    """Weight of the term in the objective; 0 switches it off, 8e-5 as published."""

    def __post_init__(self) -> None:
        check_weight("sparsity", self.weight, "8e-5")


@dataclass(frozen=True, kw_only=True)
class SpatialSmoothnessConfig:
    """For cells: neighbours that score alike."""

    weight: float = 0.0
    """Weight of the term in the objective; 0 switches it off."""

    def __post_init__(self) -> None:
        check_weight("spatial_smoothness", self.weight)


@dataclass(frozen=True, kw_only=True)
class EntropyConfig:
    """For cells: pictures in which the score sits in few of them."""

    weight: float = 0.0
    """Weight of the term in the objective; 0 switches it off."""

    def __post_init__(self) -> None:
        check_weight("entropy", self.weight)


BaseName = Literal["mil_ranking", "topk_bce", "feature_magnitude", "magnitude_contrast", "batch_norm_distance"]


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What the detector is trained for. A term whose weight is 0 is off."""

    base: BaseName = "topk_bce"
    """The loss that every combination stands on."""
    mil_ranking: MilRankingConfig = field(default_factory=MilRankingConfig)
    topk_bce: TopKBCEConfig = field(default_factory=TopKBCEConfig)
    feature_magnitude: FeatureMagnitudeConfig = field(default_factory=FeatureMagnitudeConfig)
    magnitude_contrast: MagnitudeContrastConfig = field(default_factory=MagnitudeContrastConfig)
    batch_norm_distance: BatchNormDistanceConfig = field(default_factory=BatchNormDistanceConfig)
    hard_mining: HardMiningConfig = field(default_factory=HardMiningConfig)
    contrastive_clustering: ContrastiveClusteringConfig = field(default_factory=ContrastiveClusteringConfig)
    cross_batch_clustering: CrossBatchClusteringConfig = field(default_factory=CrossBatchClusteringConfig)
    dual_memory: DualMemoryConfig = field(default_factory=DualMemoryConfig)
    class_alignment: ClassAlignmentConfig = field(default_factory=ClassAlignmentConfig)
    smoothness: SmoothnessConfig = field(default_factory=SmoothnessConfig)
    sparsity: SparsityConfig = field(default_factory=SparsityConfig)
    spatial_smoothness: SpatialSmoothnessConfig = field(default_factory=SpatialSmoothnessConfig)
    entropy: EntropyConfig = field(default_factory=EntropyConfig)


_OWN = [entry.name for entry in fields(ObjectiveConfig)]
ADDED_TERMS = find_plugins("loss_settings", _OWN, wrong_settings)
"""Settings of terms that other packages add."""
ObjectiveConfig = with_fields(ObjectiveConfig, ADDED_TERMS)  # type: ignore[misc]

TERM_NAMES = tuple(entry.name for entry in fields(ObjectiveConfig) if entry.name not in ("base", *get_args(BaseName)))
"""What is added to a base by its weight."""
DEFAULT_BASES: tuple[BaseName, ...] = ("mil_ranking", "topk_bce", "feature_magnitude")
"""Bases of scripts/ablate.py unless told otherwise; the others go with the network of one published method."""
DEFAULT_GRID = ("hard_mining", "contrastive_clustering", "cross_batch_clustering")
"""Terms with a row of their own in scripts/ablate.py unless told otherwise; `all` there is all of these together."""
