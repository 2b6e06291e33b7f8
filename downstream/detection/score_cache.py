"""Scores of videos that are done, kept: a folder of thousands goes on after a kill, and another threshold needs no GPU.

    OUT/scored/3f2a90....json           of whole pictures (or .safetensors: of cells)

A kept score counts for the same detectors and the same file: path, size and time of change.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from downstream.detection.model import Model, ScoredFile
from downstream.scores.map_file import read_maps, write_maps
from downstream.scores.score_file import read_scores, write_scores
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Video
from pretrain.data.remote import RemoteError, file_state
from pretrain.data.video import FrameClock, VideoInfo
from pretrain.errors import UserError
from pretrain.json_shapes import WrongShape, check, every, mapping, number, of_type, record, text, whole
from pretrain.names import name_bytes

logger = logging.getLogger(__name__)

FOLDER = "scored"
_SIDE = whole(1, 1 << 16)
_INFO = record({"num_frames": whole(1), "fps": number(1e-6, 1e6), "width": _SIDE, "height": _SIDE})
_META = record({"of": mapping(), "info": every(of_type(VideoInfo), _INFO), "digest": text})


def digest_of(scores: VideoScores) -> str:
    """Of every number: one that was changed on a disk would be believed."""
    digest = hashlib.sha256(scores.scores.tobytes() + scores.edges.tobytes())
    if scores.map is not None:
        digest.update(np.float64(scores.map.scores).tobytes())
    return digest.hexdigest()


class ScoreCache:
    """The scores in one folder, of one model."""

    def __init__(self, folder: Path, model: Model) -> None:
        specs = [source.encoder.spec(source.settings).as_json() for source in model.sources]
        identity = model.identity
        content: list[Any] = [identity.pop("sha256"), specs, [source.dtype for source in model.sources]]
        if identity:
            content.append(identity)
        if model.zones is not None:
            content.append(model.zones.as_json())
        if model.camera is not None:
            content.append({"camera": model.camera})
        self._model = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        self._folder, self._cells = folder, model.grid is not None

    def load(self, video: Video) -> ScoredFile | None:
        """What was scored of exactly this file by exactly this model; None where nothing was, or it is damaged."""
        file = self._file(video.name)
        if not file.is_file():
            return None
        try:
            kept = (read_maps if self._cells else read_scores)(file)
            check(kept.meta, _META)
            if kept.meta["of"] != self._of(video):
                return None
            if len(kept.videos) != 1 or kept.videos[0].name != video.name:
                raise WrongShape("holds another video")
            if digest_of(kept.videos[0]) != kept.meta["digest"]:
                raise WrongShape("holds other numbers than were written")
        except (UserError, WrongShape) as error:
            logger.warning("kept scores of '%s' are damaged, it is scored again: %s", video.name, error)
            return None
        except OSError:
            return None  # the video itself is gone: what reads it says so
        info, clock = VideoInfo(**kept.meta["info"]), FrameClock.of_json(kept.meta["clock"])
        return ScoredFile(video.name, video.path, kept.videos[0], info, "", clock, from_cache=True)

    def store(self, scored: ScoredFile, video: Video) -> None:
        """Keep it, atomically. What could not be scored, or is gone by now, is tried again next time."""
        if scored.scores is None or scored.info is None or scored.clock is None:
            return
        try:
            of = self._of(video)
        except (OSError, RemoteError):
            return
        meta: dict[str, Any] = {"of": of, "info": dataclasses.asdict(scored.info)}
        meta |= {"clock": scored.clock.as_json(), "digest": digest_of(scored.scores)}
        write = write_maps if self._cells else write_scores
        write(self._file(video.name), [scored.scores], meta)

    def _file(self, name: str) -> Path:
        # names may hold any character; a digest is a file name everywhere
        digest = hashlib.sha256(name_bytes(name)).hexdigest()[:32]
        return self._folder / f"{digest}.{'safetensors' if self._cells else 'json'}"

    def _of(self, video: Video) -> dict[str, Any]:
        state = file_state(video.path)
        size = len(os.listdir(video.path)) if os.path.isdir(video.path) else state.size
        return {"model": self._model, "path": state.shown, "size": size, "changed": state.mtime_ns}
