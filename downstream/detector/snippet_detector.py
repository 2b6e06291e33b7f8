"""What every detector is, trained on video labels or on footage alone: features of snippets in, scores out.

    evidence  (B, T, E) of features (B, T, D): depends on `reach` snippets to each side, so a long video goes in parts
    compose   log scores (B, T) of the evidence of the whole video, which is small

A stream has no whole video: there the second step sees the evidence of the last snippets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from einops import rearrange
from torch import Tensor, nn


class SnippetDetector(nn.Module, ABC):
    """Of `dim` numbers a snippet. With a grid the instances are cells, snippet by snippet, row by row."""

    dim: int
    grid: tuple[int, int] | None
    motion: tuple[int, ...]
    """Which of the numbers are logarithms of motion (`features.clip_motion`)."""
    cameras: tuple[str, ...] = ()
    """Those that it knows of their own, see `of_camera`."""
    context_snippets = 0
    """Snippets of the whole video, evenly spaced, that `evidence` compares with; 0: none."""

    @property
    @abstractmethod
    def reach(self) -> int | None:
        """Snippets on each side that the evidence of one depends on; None: all of the video."""

    @property
    @abstractmethod
    def score_reach(self) -> int | None:
        """Snippets on each side whose evidence a score depends on; None: all of the video."""

    @property
    def compares(self) -> bool:
        """Whether a score means nothing before enough of a stream was seen to compare with."""
        return self.context_snippets > 0

    @property
    @abstractmethod
    def score_lookahead(self) -> int:
        """Snippets after it whose evidence the score of one in a stream waits for."""

    @abstractmethod
    def evidence(self, features: Tensor, mask: Tensor, context: Tensor | None = None) -> Tensor:
        """Features (B, T, D), mask bool (B, T) -> float64 (B, T, E): all that a score is composed of.

        Snippets nearer than `reach` to an end of a part of a video are not what they are in the whole. `context`
        (B, N, D): snippets of the video to compare with, of a detector that wants them; default: the features.
        """

    @abstractmethod
    def compose(self, evidence: Tensor, mask: Tensor) -> Tensor:
        """Evidence of whole videos (B, T, E), mask bool (B, T) -> log scores float64 (B, T)."""

    def of_camera(self, name: str | None) -> SnippetDetector:
        """The same for the videos of one camera; itself for None and for a camera that it does not know."""
        return self

    def tracks(self, values: Tensor) -> Tensor:
        """(B, T, ...) as it is; of cells (B, T * cells, ...) -> (B * cells, T, ...), each cell along its own track."""
        if self.grid is None:
            return values
        return rearrange(values, "b (t p) ... -> (b p) t ...", p=self.grid[0] * self.grid[1])

    def untracked(self, values: Tensor, count: int) -> Tensor:
        """The inverse of `tracks`, of so many bags."""
        return values if self.grid is None else rearrange(values, "(b p) t ... -> b (t p) ...", b=count)
