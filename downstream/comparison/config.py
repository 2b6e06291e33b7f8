"""The configuration of a comparison: fine-tuning's own settings, which detectors, and what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro

from downstream.ablation.config import AblationConfig, named_features
from downstream.comparison.named import DETECTORS, OURS, Choice, choose
from downstream.evaluation.settings import EvaluationSettings
from downstream.training.config import FinetuneConfig
from pretrain.cli import parse, yaml_flags
from pretrain.errors import UserError


def _own_finetuning() -> FinetuneConfig:
    # metrics that no column shows are left out: events and recalls cost most of an evaluation
    evaluation = EvaluationSettings(max_fpr=(), iou=(), max_alarms_per_hour=())
    return FinetuneConfig(output=Path("runs/comparison"), seeds=(0, 1, 2, 3, 4), plots=False, evaluation=evaluation)


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Train published detectors, by name, and ours on one feature set, with several seeds; compare them in one table.

    Every setting of scripts/finetune.py is a flag here too and holds for all detectors, whatever their presets in
    configs/ say. Run the same command again to go on after a stop: what is done stays, and seeds can be added. Test
    videos are scored by detectors that validation videos selected.

        python scripts/compare.py features/i3d --catalogue.kind ucf_crime --catalogue.root data/UCF-Crime
        python scripts/compare.py features/mine --catalogue.root VIDEOS --detectors ours rtfm ur_dmu --optim.steps 300

    Several folders of features are fused. Published numbers of steps want a GPU; `--optim.steps` gives all of them
    another.
    """

    finetune: Annotated[FinetuneConfig, tyro.conf.arg(name="")] = field(default_factory=_own_finetuning)
    detectors: tuple[str, ...] = tuple(DETECTORS)
    """Which, in the order of the table. NAME=FILE.yaml is one of yours, of a preset for scripts/finetune.py. After a
    plus (`ur_dmu+composed`, `ours+own`): scores composed of which video and when in it, or the detector's own alone.
    All are compared with ours; where it is not among them, with the first."""
    workers: int | None = None
    """Runs at a time, one process each; default: one a core, or `per_gpu` a GPU."""
    per_gpu: int = 1
    """Runs that share a GPU."""
    cost_steps: int = 5
    """Steps that cost is measured over, of each detector alone, after training; 0: it is not measured."""

    def __post_init__(self) -> None:
        if self.cost_steps < 0:
            raise UserError(f"cost_steps is {self.cost_steps}; it must be 0 (cost is not measured) or more")
        if not self.detectors:
            raise UserError(f"detectors are empty; give one or more of {', '.join(DETECTORS)}")
        names = [choice.folder.lower() for choice in self.choices()]
        if len(set(names)) < len(names):
            raise UserError(f"detectors are {list(self.detectors)}; give each once")
        self.ablation()

    def choices(self) -> list[Choice]:
        """What was asked for. UserError as `choose`."""
        return [choose(text) for text in self.detectors]

    def ablation(self) -> AblationConfig:
        """What the machine that trains and evaluates is told. UserError: no features, or what an ablation refuses."""
        return AblationConfig(finetune=self.finetune, workers=self.workers, per_gpu=self.per_gpu)

    @property
    def features(self) -> str:
        """The feature set's name in folders and tables."""
        return next(iter(named_features(self.ablation())))

    def measured_against(self) -> str:
        """The detector that the others are compared with."""
        return OURS if OURS in self.detectors else self.choices()[0].name


class Request(NamedTuple):
    """What was asked for."""

    config: CompareConfig
    given: list[str]
    """All flags, those of YAML files too: they come after every detector's preset."""


def read_request(arguments: Sequence[str], prog: str) -> Request:
    """Of a command line `[FEATURES | FILE.yaml ...] [--flag value ...]`."""
    flags: list[str] = []
    sets: list[str] = []
    rest = list(arguments)
    while rest and not rest[0].startswith("-"):
        first = rest.pop(0)
        if first.endswith((".yaml", ".yml")):
            flags += yaml_flags(Path(first), CompareConfig, prog)
        else:
            sets.append(first)
    given = [*flags, *(["--features.sets", *sets] if sets else []), *rest]
    return Request(parse(CompareConfig, given, prog), given)
