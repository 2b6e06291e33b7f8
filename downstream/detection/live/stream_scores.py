"""Features of a stream's snippets in, each detector's scores out: what `inference.score_parts` does to a whole video.

First a snippet waits for as many after it as its evidence depends on, then for as many as its score waits for:

features  |. . . . o o o o S o o o o|   evidence of S: `reach` to each side
evidence        |. . . . . . o o S o o|   its score: smoothed, and where it is composed compared with the last `window`
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from downstream.detection.live.rolling_scores import BEFORE, Block, RollingScores
from downstream.detector.inference import block_evidence, compose_scores
from downstream.detector.snippet_detector import SnippetDetector
from pretrain.errors import UserError


class Lookahead(NamedTuple):
    """Snippets waited for."""

    evidence: int
    """By the evidence of one."""
    score: int
    """By its score after that."""

    @property
    def total(self) -> int:
        """By a score in all."""
        return self.evidence + self.score


def split_lookahead(detectors: list[SnippetDetector], wanted: int | None, window: int) -> Lookahead:
    """How long scores of these detectors wait: as far as any of them looks, or as told.

    UserError: longer than does any good.
    """
    reaches = [detector.reach for detector in detectors]
    sees_all = None in reaches
    reach = 0 if sees_all else max(reach or 0 for reach in reaches)
    score = max(detector.score_lookahead for detector in detectors)
    if wanted is None:
        return Lookahead(reach, score)
    limit = window - 1 if sees_all else reach + score
    if not 0 <= wanted <= limit:
        raise UserError(
            f"lookahead is {wanted} snippets; this detector looks at most {limit} ahead: give 0 (score at once) to "
            f"{limit}, or leave it out"
        )
    evidence = wanted if sees_all else min(wanted, reach)
    return Lookahead(evidence, wanted - evidence)


class StreamMemory(NamedTuple):
    """What a stream's scores are compared with."""

    context: Sequence[NDArray[np.float32]]
    """Features (places, dim) of snippets, of detectors that want a context."""
    evidence: Sequence[Sequence[NDArray[np.float64]]]
    """Of each detector (places, E) of snippets; empty of one that does not compare with all that was seen."""


def compares_with_all(detector: SnippetDetector) -> bool:
    """Whether a score depends on the evidence of all that was seen."""
    return detector.score_reach is None


class StreamScores:
    """Detectors on the same features of one stream."""

    def __init__(
        self,
        detectors: tuple[SnippetDetector, ...],
        reach: int | None,
        lookahead: Lookahead,
        window: int,
        device: torch.device,
        remembers: bool = False,
    ) -> None:
        """`reach`: the furthest of any detector of the model, so that all of them answer together. `remembers`: what
        scores are compared with is kept over gaps, and can be taken out and given back."""
        self._detectors, self._device, self._remembers = detectors, device, remembers
        self._features = RollingScores(reach, lookahead.evidence, window)
        self._evidence = [
            RollingScores(detector.score_reach, lookahead.score, window, detector.score_lookahead)
            for detector in detectors
        ]
        self._context: deque[tuple[int, NDArray[np.float32]]] = deque(
            maxlen=max(detector.context_snippets for detector in detectors) or None
        )
        self._scored_to = BEFORE
        self._keeps_context = any(detector.context_snippets for detector in detectors)
        self._compared = 0

    @property
    def compared(self) -> int | None:
        """Snippets that a score is compared with; None where scores are not."""
        return self._compared if any(detector.compares for detector in self._detectors) else None

    def push(self, snippet: int, values: NDArray[np.float32]) -> list[tuple[int, list[NDArray[np.float64]]]]:
        """Features (places, dim) of the next snippet -> snippets that are done: each detector's scores (places,)."""
        if self._keeps_context:
            self._context.append((snippet, np.array(values)))
        self._compared += 1
        return self._scored(self._features.push(snippet, values))

    def flush(self) -> list[tuple[int, list[NDArray[np.float64]]]]:
        """The run is over: the snippets that waited, with what there is. What comes begins anew."""
        done = self._scored(self._features.flush())
        kept = [self._remembers and compares_with_all(detector) for detector in self._detectors]
        blocks = [evidence.flush(keep) for evidence, keep in zip(self._evidence, kept, strict=True)]
        done += [self._composed(of_detectors) for of_detectors in zip(*blocks, strict=True)]
        if not self._remembers:
            self.forget()
        return done

    def leave_out(self, snippet: int) -> None:
        """Nothing that follows is compared with this snippet, whose score is known."""
        for rolling in self._evidence:
            rolling.leave_out(snippet)
        if any(number == snippet for number, _ in self._context):
            kept = [row for row in self._context if row[0] != snippet]
            self._context = deque(kept, maxlen=self._context.maxlen)

    def memory(self) -> StreamMemory:
        """What scores are compared with, of snippets that were scored and not left out."""
        context = [values for snippet, values in self._context if snippet <= self._scored_to]
        evidence = [
            rolling.scored() if compares_with_all(detector) else []
            for detector, rolling in zip(self._detectors, self._evidence, strict=True)
        ]
        return StreamMemory(context, evidence)

    def rows(self, row: NDArray[np.float32]) -> StreamMemory:
        """One row of each kind that `memory` may hold, of zeros, for features like `row` (places, dim)."""
        values = torch.from_numpy(row[None]).to(self._device)
        evidence: list[list[NDArray[np.float64]]] = []
        for detector in self._detectors:
            found = block_evidence(detector, values, values if detector.context_snippets else None)
            evidence.append(list(np.zeros_like(found.cpu().numpy())) if compares_with_all(detector) else [])
        return StreamMemory([row] * self._keeps_context, evidence)

    def recall(self, memory: StreamMemory) -> None:
        """Go on from what `memory` gave, of the same detectors; before the first snippet."""
        self.forget()
        self._context.extend((BEFORE, np.array(values)) for values in memory.context)
        for rolling, rows in zip(self._evidence, memory.evidence, strict=True):
            if len(rows):
                rolling.recall(np.stack(rows))
        counts = [len(self._context)] * self._keeps_context
        counts += [
            len(rows)
            for detector, rows in zip(self._detectors, memory.evidence, strict=True)
            if compares_with_all(detector)
        ]
        self._compared = min(counts, default=0)

    def forget(self) -> None:
        """What was seen says nothing of what comes."""
        for rolling in (self._features, *self._evidence):
            rolling.gap()
        self._context.clear()
        self._compared = 0

    def _scored(self, blocks: list[Block]) -> list[tuple[int, list[NDArray[np.float64]]]]:
        done = []
        for block in blocks:
            values = torch.from_numpy(block.values).to(self._device)
            context = None
            if self._keeps_context:
                context = torch.from_numpy(np.stack([row for _, row in self._context])).to(self._device)
            ready = []
            for detector, rolling in zip(self._detectors, self._evidence, strict=True):
                evidence = block_evidence(detector, values, context if detector.context_snippets else None)
                ready.append(rolling.push(block.snippet, evidence[block.row].cpu().numpy()))
            done += [self._composed(of_detectors) for of_detectors in zip(*ready, strict=True)]
        return done

    def _composed(self, blocks: tuple[Block, ...]) -> tuple[int, list[NDArray[np.float64]]]:
        rows = [
            compose_scores(detector, torch.from_numpy(block.values))[block.row]
            for detector, block in zip(self._detectors, blocks, strict=True)
        ]
        self._scored_to = blocks[0].snippet
        return blocks[0].snippet, rows
