"""The training objective: one MIL base and any combination of added terms, each with a weight."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from downstream.detector.bags import Bags, LossParts
from downstream.detector.contrastive_clustering import ContrastiveClustering, ContrastiveClusteringConfig
from downstream.detector.cross_batch_clustering import CrossBatchClustering, CrossBatchClusteringConfig
from downstream.detector.entropy import EntropyConfig, entropy
from downstream.detector.feature_magnitude import FeatureMagnitudeConfig, feature_magnitude
from downstream.detector.gather import gather_bags
from downstream.detector.hard_mining import HardMiningConfig, hard_mining
from downstream.detector.mil_ranking import MilRankingConfig, mil_ranking
from downstream.detector.model import Detector, DetectorConfig
from downstream.detector.smoothness import SmoothnessConfig, smoothness
from downstream.detector.sparsity import SparsityConfig, sparsity
from downstream.detector.spatial_smoothness import SpatialSmoothnessConfig, spatial_smoothness
from downstream.detector.topk_bce import TopKBCEConfig, topk_bce
from pretrain.errors import UserError

TEACHER_MOMENTUM = 0.99
"""Of the moving average of the detector that soft labels come from: about the last 100 steps [ours, not studied]."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What the detector is trained for. A term whose weight is 0 is off."""

    base: Literal["mil_ranking", "topk_bce", "feature_magnitude"] = "topk_bce"
    """The loss that every combination stands on."""
    mil_ranking: MilRankingConfig = field(default_factory=MilRankingConfig)
    topk_bce: TopKBCEConfig = field(default_factory=TopKBCEConfig)
    feature_magnitude: FeatureMagnitudeConfig = field(default_factory=FeatureMagnitudeConfig)
    hard_mining: HardMiningConfig = field(default_factory=HardMiningConfig)
    contrastive_clustering: ContrastiveClusteringConfig = field(default_factory=ContrastiveClusteringConfig)
    cross_batch_clustering: CrossBatchClusteringConfig = field(default_factory=CrossBatchClusteringConfig)
    smoothness: SmoothnessConfig = field(default_factory=SmoothnessConfig)
    sparsity: SparsityConfig = field(default_factory=SparsityConfig)
    spatial_smoothness: SpatialSmoothnessConfig = field(default_factory=SpatialSmoothnessConfig)
    entropy: EntropyConfig = field(default_factory=EntropyConfig)


def build_detector(
    config: DetectorConfig, objective: ObjectiveConfig, dim: int, grid: tuple[int, int] | None = None
) -> Detector:
    """The detector for features of `dim` numbers, with the clustering branch where the objective asks for one.

    `grid`: rows and columns where instances are cells. Its weights come from torch's global generator
    (`torch.manual_seed` is the caller's). UserError for a detector or a term that does not go with the grid.
    """
    weights = {name: getattr(objective, name).weight for name in ("spatial_smoothness", "entropy")}
    if grid is None and any(weights.values()):
        which = " and ".join(f"objective.{name}.weight is {weight}" for name, weight in weights.items() if weight)
        raise UserError(
            f"{which}, but the features have no cells: extract them with --grid map (end to end: set videos.grid), or "
            "set it to 0"
        )
    clusters = objective.cross_batch_clustering
    guidance = clusters.guidance if clusters.weight > 0 else None
    return Detector(config, dim, guidance, clusters.temperature, grid)


class DetectorTraining(nn.Module):
    """Detector and objective as one module: what DDP wraps, and what a training state holds.

    In several processes every one of them sees the bags of all (`gather_bags`) and computes the whole loss, so that
    pairs, prototypes, centres and memories are those of one process with the whole batch.
    """

    def __init__(self, detector: Detector, config: ObjectiveConfig) -> None:
        super().__init__()
        self.detector, self.config = detector, config
        width = detector.config.width
        self.contrastive_clustering = (
            ContrastiveClustering(config.contrastive_clustering, width)
            if config.contrastive_clustering.weight > 0
            else None
        )
        self.cross_batch_clustering = (
            CrossBatchClustering(config.cross_batch_clustering, detector.branch)
            if detector.branch is not None
            else None
        )
        self.teacher: Detector | None = None
        if config.hard_mining.weight > 0:
            self.teacher = Detector(
                detector.config, detector.dim, detector.guidance, detector.cluster_temperature, detector.grid
            )
            self.teacher.load_state_dict(detector.state_dict())
            self.teacher.requires_grad_(False)

    def forward(self, features: Tensor, mask: Tensor, labels: Tensor, step: int) -> tuple[Tensor, LossParts]:
        """Training bags (B, T, D), bool (B, T), (B,) of this process -> the loss over all processes, and its parts."""
        output = self.detector(features, mask)
        teacher_scores = None
        if self.teacher is not None:
            with torch.no_grad():
                teacher_scores = self.teacher.eval()(features, mask).scores.float()
        bags = Bags(
            labels=labels,
            mask=mask,
            log_scores=output.log_scores.float(),
            features=output.features.float(),
            embeddings=None if output.embeddings is None else output.embeddings.float(),
            teacher_scores=teacher_scores,
            grid=self.detector.grid or (1, 1),
        )
        return self.objective(gather_bags(bags), step)

    def objective(self, bags: Bags, step: int) -> tuple[Tensor, LossParts]:
        """The weighted sum of the base and the terms that are on."""
        config = self.config
        bases = {"mil_ranking": mil_ranking, "topk_bce": topk_bce, "feature_magnitude": feature_magnitude}
        # autocast ends with the forward pass of the network: prototypes and distances want float32
        with torch.autocast(bags.labels.device.type, enabled=False):
            loss, base_parts = bases[config.base](bags, getattr(config, config.base))  # type: ignore[operator]
            parts = {"base": loss.detach()} | {f"base/{key}": value for key, value in base_parts.items()}
            for name, weight, (term, term_parts) in self._terms(bags, step):
                loss = loss + weight * term
                parts |= {name: term.detach()} | {f"{name}/{key}": value for key, value in term_parts.items()}
        return loss, parts

    def _terms(self, bags: Bags, step: int) -> list[tuple[str, float, tuple[Tensor, LossParts]]]:
        config = self.config
        found: list[tuple[str, float, tuple[Tensor, LossParts]]] = []
        if config.smoothness.weight > 0:
            found.append(("smoothness", config.smoothness.weight, smoothness(bags, config.smoothness)))
        if config.sparsity.weight > 0:
            found.append(("sparsity", config.sparsity.weight, sparsity(bags, config.sparsity)))
        if config.spatial_smoothness.weight > 0:
            term = spatial_smoothness(bags, config.spatial_smoothness)
            found.append(("spatial_smoothness", config.spatial_smoothness.weight, term))
        if config.entropy.weight > 0:
            found.append(("entropy", config.entropy.weight, entropy(bags, config.entropy)))
        mining = config.hard_mining
        if mining.weight > 0 and step >= mining.warmup_steps:
            found.append(("hard_mining", mining.weight, hard_mining(bags, mining)))
        if self.contrastive_clustering is not None:
            found.append(
                ("contrastive_clustering", config.contrastive_clustering.weight, self.contrastive_clustering(bags))
            )
        if self.cross_batch_clustering is not None:
            found.append(
                ("cross_batch_clustering", config.cross_batch_clustering.weight, self.cross_batch_clustering(bags))
            )
        return found

    @torch.no_grad()
    def update_teacher(self, step: int) -> None:
        """After the optimiser's step: move the teacher towards the detector; early on faster, as a plain mean would."""
        if self.teacher is None:
            return
        momentum = min(TEACHER_MOMENTUM, (step + 1) / (step + 10))
        mine = dict(self.detector.state_dict())
        for name, value in self.teacher.state_dict().items():
            if value.is_floating_point():
                value.lerp_(mine[name], 1 - momentum)
            else:
                value.copy_(mine[name])
