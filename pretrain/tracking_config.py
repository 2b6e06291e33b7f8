"""The settings of where a run is followed; what they do: `trackers.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pretrain.errors import UserError

TrackerName = Literal["tensorboard", "wandb", "mlflow", "comet_ml", "aim", "clearml", "dvclive"]


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where a run is followed, beside log.jsonl, which is always written."""

    log_with: tuple[TrackerName, ...] = ("tensorboard",)
    """Trackers, each with its own package, key and offline mode; none: log.jsonl alone."""
    project: str = "anomaly-pretext"
    """Project (experiment) that the run belongs to there. Not for tensorboard and dvclive, whose files lie in the run's
    folder."""
    name: str | None = None
    """Name of the run there; default: that of its folder."""
    tags: tuple[str, ...] = ()
    """Tags of the run there."""

    def __post_init__(self) -> None:
        if len(set(self.log_with)) < len(self.log_with):
            raise UserError(f"tracking.log_with is {list(self.log_with)}; name each tracker once")
        if not self.project.strip():
            raise UserError("tracking.project is empty; give it a name")
