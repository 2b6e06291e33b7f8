"""The training objective: one MIL base and any combination of added terms, each with a weight."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from downstream.detector.bags import Bags, LossParts
from downstream.detector.config import DetectorConfig
from downstream.detector.dual_memory import MEMORIES
from downstream.detector.gather import gather_bags
from downstream.detector.heads import BatchNormHead
from downstream.detector.loss_config import ObjectiveConfig
from downstream.detector.model import Detector
from downstream.detector.terms import BASES, TERMS, terms_on
from pretrain.errors import UserError

TEACHER_MOMENTUM = 0.99
"""Of the moving average of the detector that soft labels come from: about the last 100 steps [ours, not studied]."""


def check_objective(objective: ObjectiveConfig, grid: tuple[int, int] | None) -> None:
    """UserError where a term that is on needs cells, and there are none."""
    weights = {name: getattr(objective, name).weight for name, term in terms_on(objective).items() if term.needs_cells}
    if grid is None and weights:
        which = " and ".join(f"objective.{name}.weight is {weight}" for name, weight in weights.items())
        raise UserError(
            f"{which}, but the features have no cells: extract them with --grid map (end to end: set videos.grid), or "
            "set it to 0"
        )


def build_detector(
    config: DetectorConfig,
    objective: ObjectiveConfig,
    dim: int,
    grid: tuple[int, int] | None = None,
    motion: tuple[int, ...] = (),
    num_classes: int = 2,
) -> Detector:
    """The detector for features of `dim` numbers, with branch, memories and batch norms where the objective asks for
    them.

    `grid`: rows and columns where instances are cells. `motion`, `num_classes`: see `Detector`. Its weights come from
    torch's global generator (`torch.manual_seed` is the caller's). UserError for a detector or a term that does not go
    with the grid.
    """
    check_objective(objective, grid)
    if not config.memories and any(term.needs_memories for term in terms_on(objective).values()):
        config = dataclasses.replace(config, memories=MEMORIES)
    if BASES[objective.base].needs_batch_norms:
        config = dataclasses.replace(config, head="batch_norm")
    for name, term in terms_on(objective).items():
        if term.needs_clusters:
            clusters = getattr(objective, name)
            return Detector(config, dim, clusters.guidance, clusters.temperature, grid, motion, num_classes)
    return Detector(config, dim, grid=grid, motion=motion, num_classes=num_classes)


class DetectorTraining(nn.Module):
    """Detector and objective as one module: what DDP wraps, and what a training state holds.

    In several processes every one of them sees the bags of all (`gather_bags`) and computes the whole loss, so that
    pairs, prototypes, centres and memories are those of one process with the whole batch.
    """

    def __init__(
        self,
        detector: Detector,
        config: ObjectiveConfig,
        base: Callable[[Bags], tuple[Tensor, LossParts]] | None = None,
    ) -> None:
        """`base`: a loss to stand on instead of the configured one."""
        super().__init__()
        self.detector, self.config = detector, config
        terms = terms_on(config)
        self.base = base or BASES[config.base].make(getattr(config, config.base), detector)
        self.terms = nn.ModuleDict({name: term.make(getattr(config, name), detector) for name, term in terms.items()})
        self.teacher: Detector | None = None
        if any(term.needs_teacher for term in terms.values()):
            self.teacher = Detector(
                *(detector.config, detector.dim, detector.guidance, detector.cluster_temperature),
                *(detector.grid, detector.motion),
            )
            self.teacher.load_state_dict(detector.state_dict())
            self.teacher.requires_grad_(False)
            if isinstance(self.teacher.head, BatchNormHead):
                self.teacher.head.amends = False

    def forward(
        self,
        features: Tensor,
        mask: Tensor,
        labels: Tensor,
        step: int,
        instance_labels: Tensor | None = None,
        classes: Tensor | None = None,
    ) -> tuple[Tensor, LossParts]:
        """Training bags (B, T, D), bool (B, T), (B,) of this process -> the loss over all processes, and its parts.

        `instance_labels` (B, T): of a ceiling or a teacher. `classes` (B, C): see `Bags`.
        """
        output = self.detector.per_snippet(features, mask)
        teacher_scores = None
        if self.teacher is not None:
            with torch.no_grad():
                teacher_scores = self.teacher.eval().per_snippet(features, mask).scores.float()
        bags = Bags(
            labels=labels,
            mask=mask,
            log_scores=output.log_scores.float(),
            features=output.features.float(),
            embeddings=None if output.embeddings is None else output.embeddings.float(),
            teacher_scores=teacher_scores,
            instance_labels=instance_labels,
            before_norms=output.before_norms,
            classes=classes,
            grid=self.detector.grid or (1, 1),
        )
        return self.objective(gather_bags(bags), step)

    def objective(self, bags: Bags, step: int) -> tuple[Tensor, LossParts]:
        """The weighted sum of the base and of the terms that take part in this step."""
        # autocast ends with the forward pass of the network: prototypes and distances want float32
        with torch.autocast(bags.labels.device.type, enabled=False):
            loss, base_parts = self.base(bags)
            parts = {"base": loss.detach()} | {f"base/{key}": value for key, value in base_parts.items()}
            for name, module in self.terms.items():
                config = getattr(self.config, name)
                if step >= TERMS[name].first_step(config):
                    term, term_parts = module(bags)
                    loss = loss + config.weight * term
                    parts |= {name: term.detach()} | {f"{name}/{key}": value for key, value in term_parts.items()}
        return loss, parts

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
