"""What can be told of reading: how clips are augmented, and whether their signal is taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pretrain.errors import UserError

Control = Literal["none", "no_signal", "still"]
CropAt = Literal["anywhere", "motion"]


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Augmentation. All frames of a clip share crop, flip and colour; each frame has its own small jitter and noise."""

    min_crop_area: float = 0.5
    """Smallest share of the frame that a random crop keeps; 1 switches cropping off."""
    max_crop_area: float = 1.0
    """Largest share. Small crops of frames that were read large (`data.decode_margin`) show small things as large as
    they are seen when features are made of larger frames."""
    crop_at: CropAt = "anywhere"
    """Where crops lie: anywhere; or where the clip moves, in proportion to the square of the motion inside, so that
    small ones are seldom empty."""
    flip: bool = True
    """Mirror half of the clips left to right."""
    brightness: float = 0.2
    """Greatest change of brightness of a clip, as a share of full scale."""
    contrast: float = 0.3
    """Greatest relative change of contrast of a clip."""
    colour_cast: float = 0.1
    """Greatest relative change of each colour channel of a clip."""
    frame_jitter: float = 0.03
    """Greatest change of brightness, and relative change of contrast, of single frames (hides speed)."""
    noise: float = 0.03
    """Largest standard deviation of the noise added to every frame anew (hides what compression froze)."""

    def __post_init__(self) -> None:
        if not 0 < self.min_crop_area <= 1:
            raise UserError(f"augment.min_crop_area is {self.min_crop_area}; it must lie in (0, 1]")
        if not self.min_crop_area <= self.max_crop_area <= 1:
            raise UserError(
                f"augment.max_crop_area is {self.max_crop_area}; it must lie in [{self.min_crop_area}, 1], from "
                "augment.min_crop_area on"
            )
        for name in ("brightness", "contrast", "colour_cast", "frame_jitter", "noise"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"augment.{name} is {getattr(self, name)}; it must lie in [0, 1)")


NO_AUGMENTATION = AugmentConfig(
    min_crop_area=1.0, flip=False, brightness=0.0, contrast=0.0, colour_cast=0.0, frame_jitter=0.0, noise=0.0
)
