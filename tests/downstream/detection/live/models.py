"""Small models for tests of live detection: a real encoder with random weights, random detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from downstream.detection.model import DetectorGroup, EncoderSource, Model
from downstream.detector.model import Detector, DetectorConfig
from downstream.events.rule import AlarmRule
from downstream.features.encoders import Encoder, EncoderConfig, open_encoder
from downstream.features.snippets import SnippetSettings


def small_encoder(**settings: Any) -> Encoder:
    return open_encoder(EncoderConfig(backbone="small3d", height=32, width=48, **settings))


def small_group(
    encoder: Encoder,
    *,
    crops: Literal[1, 5, 10] = 1,
    tail: Literal["drop", "pad"] = "drop",
    snippet_frames: int = 16,
    temporal: Literal["none", "multi_scale", "transformer"] = "none",
    normalise: Any = "none",
    pool_cells: tuple[int, int] | None = None,
    seeds: tuple[int, ...] = (0,),
    more: tuple[EncoderSource, ...] = (),
    **detector: Any,
) -> DetectorGroup:
    """Features in single precision: rounding to half of it may go either way."""
    settings = SnippetSettings(snippet_frames=snippet_frames, crops=crops, tail=tail)
    sources = (EncoderSource(encoder=encoder, settings=settings, dtype="float32"), *more)
    dim, detectors = sum(source.encoder.dim for source in sources), []
    for seed in seeds:
        torch.manual_seed(seed)
        shape = {"width": 12, "hidden": 4, "score_smoothing": 0, "composition": "none"} | detector
        config = DetectorConfig(temporal=temporal, **shape)
        detectors.append(Detector(config, dim, grid=pool_cells or encoder.grid))
    return DetectorGroup(
        sources=sources,
        normalise=normalise,
        pool_cells=pool_cells,
        detectors=tuple(detectors),
        names=tuple(map(str, seeds)),
        runs=(0,) * len(detectors),
    )


def small_model(*groups: DetectorGroup, rule: AlarmRule | None = None) -> Model:
    return Model(
        path=Path("run"),
        groups=groups,
        rule=rule or AlarmRule(threshold=0.5, release=0.5),
        rule_from="test",
        device=torch.device("cpu"),
    )
