"""Settings of the loss, apart from it: every command line reads them, and PyTorch takes long to load."""

from dataclasses import dataclass

from anomaly_pretext.plugins import check_weight


@dataclass(frozen=True, kw_only=True)
class QuietConfig:
    """Every snippet of a normal video scores low."""

    weight: float = 0.0
    """Weight of the term in the objective; 0 switches it off."""

    def __post_init__(self) -> None:
        check_weight("quiet", self.weight)
