"""Fine-tuning on stored features: the bags of a step, and scores of whole videos."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from accelerate import Accelerator

from downstream.detector.inference import score_videos
from downstream.detector.objective import DetectorTraining, build_detector
from downstream.detector.storage import load_detector, save_detector
from downstream.scores.video_scores import VideoScores
from downstream.training.checks import Prepared
from downstream.training.config import FinetuneConfig
from downstream.training.segments import Batch, TrainBags
from pretrain.data.catalogue import Catalogue


class FromFeatures:
    """What one seed's run trains and scores (`downstream.training.loop.Road`)."""

    unreadable: Mapping[str, str] = MappingProxyType({})
    """None: features that cannot be read stop the run before it begins."""

    def __init__(self, config: FinetuneConfig, seed: int, prepared: Prepared, accelerator: Accelerator) -> None:
        self.source, self.accelerator = prepared.source, accelerator
        cache = config.bags.cache or config.output.parent / "segments"
        batch_size, device = config.optim.batch_size, accelerator.device
        with accelerator.local_main_process_first():  # one process of a machine builds the cache, the others read it
            self.bags = TrainBags(prepared.source, list(prepared.train), config.bags, batch_size, seed, cache, device)
        torch.manual_seed(seed)
        detector = build_detector(config.detector, config.objective, prepared.source.dim, prepared.source.grid)
        if config.detector.standardise != "none":
            detector.standardise(*self.bags.statistics())
        self.module = DetectorTraining(detector, config.objective)

    def batch(self, step: int) -> Batch:
        """This process's bags of a step."""
        return self.bags.batch(step, self.accelerator.process_index, self.accelerator.num_processes)

    def score(self, videos: Catalogue) -> list[VideoScores]:
        """Scores of whole videos by the detector as it is."""
        return self._score(self.module.detector, videos)

    def save(self, folder: Path, details: Mapping[str, Any]) -> None:
        """The detector and its card."""
        source = self.source
        encoders = [(part.made_with, part.dtype) for part in source.sets]
        save_detector(
            self.module.detector, folder, source.kinds, source.normalise, details, source.pool_cells, encoders
        )

    def score_saved(self, folder: Path, videos: Catalogue) -> list[VideoScores]:
        """Scores of whole videos by the detector that was saved in `folder`."""
        return self._score(load_detector(folder)[0].to(self.accelerator.device), videos)

    def _score(self, detector: Any, videos: Catalogue) -> list[VideoScores]:
        frames = {video.name: video.num_frames for video in videos}
        placed = any(video.split == "test" for video in videos)
        names = [video.name for video in videos]
        return score_videos(detector, self.source, names, self.accelerator.device, frames, placed)
