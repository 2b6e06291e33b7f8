"""Ground truth under seal: any look at it where training has no business to look raises."""

from __future__ import annotations

from typing import Any

import pytest

from downstream.training.loop import SeedRun
from pretrain.data.catalogue import Video


class Opened(Exception):
    """Somebody looked."""


class _Sealed:
    """Stands before a field of `Video`: sets it, and gives it away only where the seal allows."""

    def __init__(self, name: str, state: dict[str, bool]) -> None:
        self.name, self.state = name, state
        self.slot: Any = vars(Video)[name]

    def __set__(self, video: Video, value: Any) -> None:
        self.slot.__set__(video, value)

    def __get__(self, video: Video | None, owner: type[Video]) -> Any:
        if video is None:
            return self
        if video.split == "train" or self.state["training"]:
            raise Opened(f"{self.name} of {video.split} video '{video.name}'")
        return self.slot.__get__(video, owner)


def seal(patch: pytest.MonkeyPatch) -> None:
    """From now on boxes and spans of training videos raise when read, those of test videos while a detector trains."""
    state = {"training": False}
    original = SeedRun.train

    def train(self: SeedRun) -> int:
        state["training"] = True
        try:
            return original(self)
        finally:
            state["training"] = False

    patch.setattr(SeedRun, "train", train)
    for name in ("boxes", "spans"):
        patch.setattr(Video, name, _Sealed(name, state))
