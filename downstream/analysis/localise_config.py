"""What scripts/localise.py can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from downstream.evaluation.settings import LocalisationSettings
from downstream.events.boxes import BoxSettings
from pretrain.data.catalogue import CatalogueConfig
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class LocaliseConfig:
    """Boxes, tubes and pictures from a run of scripts/finetune.py on features of cells; figures where boxes are known.

    The catalogue is that of the run, unless another is given.

        python scripts/localise.py runs/cells
        python scripts/localise.py runs/cells --whole-frame runs/detector   # beside a detector of whole frames
        python scripts/localise.py runs/cells --ensemble                    # all seeds as one detector
    """

    run: tyro.conf.Positional[Path]
    """Folder of a fine-tuning run whose features have cells (scripts/extract_features.py --grid map)."""
    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    whole_frame: Path | None = None
    """A run with the same test videos on features of whole pictures: how well it would do by always pointing at the
    middle. Default: the highest cell of each snippet stands in for its score."""
    ensemble: bool = False
    """Take the detectors of all seeds as one, as scripts/detect.py does: the mean of their log odds. Default: each by
    itself, figures averaged."""
    alarm_share: float = 0.05
    """At most this share of the frames of normal validation videos shows a box: the threshold follows from it."""
    boxes: Annotated[BoxSettings, tyro.conf.arg(name="")] = field(default_factory=BoxSettings)
    settings: Annotated[LocalisationSettings, tyro.conf.arg(name="")] = field(default_factory=LocalisationSettings)
    unseen_groups: bool = False
    """Look only at videos of cameras, scenes or sources (the catalogue's `group`) that no training video is of."""
    strips: int = 3
    """Pictures of the videos that score highest, of the first seed. Only these and films need the video files."""
    films: int = 1
    """Films of them."""
    abnormal_only: bool = False
    """Strips and films of abnormal videos alone. Default: of whatever scores highest; a false alarm is worth a look."""
    out: Path | None = None
    """Default: RUN/localisation."""

    def __post_init__(self) -> None:
        wrong = [f"{name} is {getattr(self, name)}; it must be 0 or more" for name in ("strips", "films")]
        problems = [text for text, number in zip(wrong, (self.strips, self.films), strict=True) if number < 0]
        if not 0 <= self.alarm_share < 1:
            problems.append(f"alarm_share is {self.alarm_share}; it must lie in [0, 1), for example 0.05")
        if problems:
            raise UserError("\n".join(problems))
