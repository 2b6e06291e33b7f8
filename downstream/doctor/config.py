"""What scripts/doctor.py can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pretrain.data.catalogue import CatalogueConfig
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """Compare feature sets with a dataset's lists and ground truth, and name every disagreement by video.

    Wrong is what training or evaluation would refuse, or what would falsify its figures; notes are worth knowing.
    Exit status: 0 nothing wrong, 1 something wrong, 2 the input cannot be used at all. The videos themselves are not
    needed.

        python scripts/doctor.py --features data/i3d data/clip --catalogue.kind ucf_crime \\
            --catalogue.annotations data/ucf_lists
    """

    features: tuple[Path, ...]
    """Folders of feature sets; several are also compared with the first, as if to be fused."""
    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    split: Literal["all", "train", "test"] = "all"
    """The videos that should have features."""
    top_k: int = 3
    """Videos with fewer snippets than the losses choose are noted."""
    json: Path | None = None
    """Write the findings to this file too."""

    def __post_init__(self) -> None:
        if not self.features:
            raise UserError("--features names no folder; give the folder of at least one feature set")
        if self.top_k < 1:
            raise UserError(f"top_k is {self.top_k}; it must be at least 1")
