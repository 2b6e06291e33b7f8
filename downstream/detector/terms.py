"""The tables of all losses of a detector: the MIL bases, of which a run has one, and the terms added to it by weight.

To add a term: its file, its settings and the field of its name in `loss_config`, a line in `TERMS`, its test. To add a
base: its file, its settings, field and name (`BaseName`) in `loss_config`, a line in `BASES`, its test. The objective,
the detector's branch, the ablation, the settings in docs/detectors.md and the tests of what holds of every loss go by
these tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from downstream.detector.bags import Bags, LossParts
from downstream.detector.batch_norm_distance import BatchNormDistance
from downstream.detector.class_alignment import ClassAlignment
from downstream.detector.contrastive_clustering import ContrastiveClustering
from downstream.detector.cross_batch_clustering import CrossBatchClustering
from downstream.detector.dual_memory import DualMemoryLoss
from downstream.detector.entropy import entropy
from downstream.detector.feature_magnitude import feature_magnitude
from downstream.detector.hard_mining import hard_mining
from downstream.detector.heads import BatchNormHead
from downstream.detector.loss_config import (
    ADDED_TERMS,
    BatchNormDistanceConfig,
    ClassAlignmentConfig,
    ContrastiveClusteringConfig,
    CrossBatchClusteringConfig,
    DualMemoryConfig,
    EntropyConfig,
    FeatureMagnitudeConfig,
    HardMiningConfig,
    MagnitudeContrastConfig,
    MilRankingConfig,
    ObjectiveConfig,
    SmoothnessConfig,
    SparsityConfig,
    SpatialSmoothnessConfig,
    TopKBCEConfig,
)
from downstream.detector.magnitude_contrast import magnitude_contrast
from downstream.detector.mil_ranking import mil_ranking
from downstream.detector.model import Detector
from downstream.detector.smoothness import smoothness
from downstream.detector.sparsity import sparsity
from downstream.detector.spatial_smoothness import spatial_smoothness
from downstream.detector.topk_bce import topk_bce
from pretrain.errors import UserError
from pretrain.plugins import find_plugins

Make = Callable[[Any, Detector], nn.Module]
"""(the loss's configuration, the detector it trains) -> a module that takes `Bags` and gives (scalar, its parts)."""


class LossFunction(nn.Module):
    """A loss that is a function of (bags, config), as a module like those that hold weights or a memory."""

    def __init__(self, function: Callable[[Bags, Any], tuple[Tensor, LossParts]], config: Any) -> None:
        super().__init__()
        self.function, self.config = function, config

    def forward(self, bags: Bags) -> tuple[Tensor, LossParts]:
        return self.function(bags, self.config)


def from_function(function: Callable[[Bags, Any], tuple[Tensor, LossParts]]) -> Make:
    """`make` of a loss that needs nothing of the detector."""
    return lambda config, _detector: LossFunction(function, config)


def with_branch(config: CrossBatchClusteringConfig, detector: Detector) -> nn.Module:
    """`make` of the loss that moves the centres of the detector's clustering branch."""
    assert detector.branch is not None, "build_detector gives the branch to a detector whose terms need it"
    return CrossBatchClustering(config, detector.branch)


def with_memories(config: DualMemoryConfig, detector: Detector) -> nn.Module:
    """`make` of the loss that trains the detector's memories."""
    assert detector.memories is not None, "build_detector gives memories to a detector whose terms need them"
    return DualMemoryLoss(config, detector.memories)


def with_batch_norms(config: BatchNormDistanceConfig, detector: Detector) -> nn.Module:
    """`make` of the base that goes by the batch norms of the detector's head."""
    assert isinstance(detector.head, BatchNormHead), "build_detector gives the head to a detector whose base needs it"
    return BatchNormDistance(config, detector.head)


@dataclass(frozen=True, kw_only=True)
class MilBase:
    """A loss that an objective can stand on."""

    config: type[Any]
    """Class of its field in `ObjectiveConfig`."""
    make: Make
    """From that field and the detector to the loss."""
    about: str
    """What it is, in a line of docs/detectors.md."""
    needs_batch_norms: bool = False
    """The detector gets the head with batch norms, whatever its configuration says."""


@dataclass(frozen=True, kw_only=True)
class LossTerm:
    """A loss that is added to any base, times the `weight` of its configuration; 0 is off."""

    config: type[Any]
    """Class of its field in `ObjectiveConfig`; has a `weight`, by default 0."""
    make: Make
    """From that field and the detector to the loss, not yet times the weight."""
    about: str
    """What it is, in a line of docs/detectors.md."""
    ablation_weight: float
    """Its weight in an ablation that has it on and does not say how much."""
    needs_cells: bool = False
    """Is refused for features of whole snippets."""
    needs_clusters: bool = False
    """The detector gets a clustering branch with the `guidance` and `temperature` of this term's configuration."""
    needs_memories: bool = False
    """The detector gets memories of normal and abnormal snippets, where its configuration has none."""
    needs_teacher: bool = False
    """Bags bring the scores of the moving average of the detector."""
    needs_classes: bool = False
    """Bags bring the classes of their videos, where the catalogue names any."""
    warms_up: bool = False
    """Is left out of the first `warmup_steps` of its configuration."""

    def first_step(self, config: Any) -> int:
        """The first step, from 0, that the term of this configuration takes part in."""
        return int(config.warmup_steps) if self.warms_up else 0


BASES: dict[str, MilBase] = {
    "mil_ranking": MilBase(
        config=MilRankingConfig,
        make=from_function(mil_ranking),
        about="the highest scores of an abnormal video lie a margin above the highest of a normal one (2018)",
    ),
    "topk_bce": MilBase(
        config=TopKBCEConfig,
        make=from_function(topk_bce),
        about="cross-entropy of the mean of a video's highest scores with its label",
    ),
    "feature_magnitude": MilBase(
        config=FeatureMagnitudeConfig,
        make=from_function(feature_magnitude),
        about="abnormal snippets have long feature vectors, normal ones short ones (RTFM, 2021)",
    ),
    "magnitude_contrast": MilBase(
        config=MagnitudeContrastConfig,
        make=from_function(magnitude_contrast),
        about="lengths of feature vectors are alike within a class of videos and unlike between them (MGFN, 2023)",
    ),
    "batch_norm_distance": MilBase(
        config=BatchNormDistanceConfig,
        make=with_batch_norms,
        about="abnormal snippets lie far from the mean of the head's batch norms, normal ones near (BN-WVAD, 2023)",
        needs_batch_norms=True,
    ),
}
"""Name -> base."""

TERMS: dict[str, LossTerm] = {
    "smoothness": LossTerm(
        config=SmoothnessConfig,
        make=from_function(smoothness),
        about="neighbouring snippets of an abnormal video score alike; of cells, each with itself",
        ablation_weight=8e-5,  # as published (Sultani 2018)
    ),
    "sparsity": LossTerm(
        config=SparsityConfig,
        make=from_function(sparsity),
        about="few snippets of an abnormal video are abnormal",
        ablation_weight=8e-5,  # as published (Sultani 2018)
    ),
    "spatial_smoothness": LossTerm(
        config=SpatialSmoothnessConfig,
        make=from_function(spatial_smoothness),
        about="neighbouring cells of a snippet of an abnormal video score alike",
        ablation_weight=0.01,  # as in docs/results.md [ours]
        needs_cells=True,
    ),
    "entropy": LossTerm(
        config=EntropyConfig,
        make=from_function(entropy),
        about="the score of a snippet of an abnormal video sits in few cells",
        ablation_weight=0.1,  # as in docs/results.md [ours]
        needs_cells=True,
    ),
    "hard_mining": LossTerm(
        config=HardMiningConfig,
        make=from_function(hard_mining),
        about="hard instance mining (HIMS): the snippets that top-k selection leaves unused teach too",
        ablation_weight=0.1,  # not studied beyond docs/results.md [ours]; so the two below
        needs_teacher=True,
        warms_up=True,
    ),
    "contrastive_clustering": LossTerm(
        config=ContrastiveClusteringConfig,
        make=lambda config, detector: ContrastiveClustering(config, detector.width),
        about="cluster centres attract instances of their own class and repel those of the other",
        ablation_weight=0.1,
    ),
    "cross_batch_clustering": LossTerm(
        config=CrossBatchClusteringConfig,
        make=with_branch,
        about="two centres, remembered over batches, tell normal from abnormal and guide the scores",
        ablation_weight=0.1,
        needs_clusters=True,
    ),
    "dual_memory": LossTerm(
        config=DualMemoryConfig,
        make=with_memories,
        about="memories of normal and of abnormal snippets, and a Gaussian latent of the normal ones (UR-DMU, 2023)",
        ablation_weight=1.0,  # as published
        needs_memories=True,
    ),
    "class_alignment": LossTerm(
        config=ClassAlignmentConfig,
        make=lambda config, detector: ClassAlignment(config, detector.width, detector.num_classes),
        about="snippets align with a learnt embedding of each class of videos (after VadCLIP, 2024, without text)",
        ablation_weight=1.0,  # as published
        needs_classes=True,
    ),
}
"""Name -> term, in the order in which they are summed: another one would change the last digits of a training."""


def _wrong_term(thing: Any) -> str:
    if not isinstance(thing, LossTerm):
        return f"{thing!r} is no LossTerm"
    return "" if thing.config in ADDED_TERMS.values() else "its settings are no entry of anomaly_pretext.loss_settings"


TERMS |= find_plugins("losses", [*TERMS, *BASES], _wrong_term)
if lacking := ADDED_TERMS.keys() - TERMS.keys():
    raise UserError(
        f"plug-in(s) with settings of a loss and no loss: {', '.join(sorted(lacking))}; mend or uninstall it"
    )


def terms_on(objective: ObjectiveConfig) -> dict[str, LossTerm]:
    """The terms with a weight above 0, by name, in the order of the table."""
    return {name: term for name, term in TERMS.items() if getattr(objective, name).weight > 0}
