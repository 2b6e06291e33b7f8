"""A trained detector at work, from Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly_pretext.arguments import as_path, in_python, shortly
from downstream.detection.inputs import find_videos, is_stream
from downstream.detection.model import Model, ScoredFile, score_files
from downstream.detection.open_model import open_model, with_camera
from downstream.detection.records import EventRecord
from downstream.detection.unfitted import UNFITTED_FOLDER
from downstream.detection.video_events import find_video_events
from downstream.events.rule import AlarmRule, RuleChanges
from pretrain.addresses import address_label
from pretrain.errors import UserError, nearest


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """What a detector says of one video: a score in [0, 1] for each snippet, higher is more anomalous."""

    name: str
    path: str
    scores: NDArray[np.float64]
    """(S,)."""
    frames: NDArray[np.int64]
    """(S, 2): the frames `[start, end)` that a score stands for."""
    seconds: NDArray[np.float64]
    """(S, 2): the same by the times at which these frames are shown."""
    cells: NDArray[np.float64] | None
    """(S, rows, columns) of a detector that says where in the picture; None of one of whole pictures."""

    @property
    def per_frame(self) -> NDArray[np.float64]:
        """(frames,): the score of each frame that a snippet covers."""
        return np.repeat(self.scores, self.frames[:, 1] - self.frames[:, 0])


class Detector:
    """What `load_detector` opens. Score many videos with one: opening takes seconds."""

    def __init__(self, model: Model) -> None:
        if not isinstance(model, Model):
            raise UserError(f"a Detector of {shortly(model)}: open one with load_detector(PATH), or first_look()")
        self.model = model

    def __repr__(self) -> str:
        return f"<Detector {self.model.describe()}>"

    @property
    def rule(self) -> AlarmRule:
        """When scores are an event: calibrated where `calibrate` was run, else guessed from training videos."""
        return self.model.rule

    @in_python
    def score(self, video: str | Path) -> Scores:
        """Score one video: a file, or a folder of frames. UserError where it cannot be read."""
        return _scores(self._score_one(video))

    @in_python
    def score_all(self, videos: str | Path | Iterable[str | Path]) -> Iterator[Scores]:
        """Score videos, and all that lie in folders, each as soon as it is done: `score_all("recordings/")`. UserError
        at the first that cannot be read."""
        if not isinstance(videos, Iterable):
            raise UserError(f"videos are {shortly(videos)}; give paths of videos or of folders of them")
        given = [videos] if isinstance(videos, (str, Path)) else videos
        for scored in self._scored(find_videos([_file(video) for video in given])):
            yield _scores(scored)

    @in_python
    def detect(self, video: str | Path, **rule: float) -> list[EventRecord]:
        """Events in one video, in order. `rule`: of `AlarmRule`, what is not to be as it is (`threshold=0.8`)."""
        wanted = _changes(rule).applied_to(self.rule)  # what is wrong with it is said before any work
        return list(find_video_events(self._score_one(video), wanted, zones=self.model.zones).record.events)

    def _score_one(self, video: str | Path) -> ScoredFile:
        found = find_videos([_file(video)])
        if len(found) != 1:
            raise UserError(f"{video} holds {len(found)} videos; `score_all` scores them all")
        return next(self._scored(found))

    def _scored(self, found: Sequence[tuple[str, str]]) -> Iterator[ScoredFile]:
        with closing(score_files(self.model, found)) as results:
            for scored in results:
                if scored.scores is None:
                    raise UserError(scored.problem)
                yield scored


def _file(video: object) -> str:
    if isinstance(video, str) and is_stream(video):
        raise UserError(f"{address_label(video)} is a stream, which scripts/detect.py watches; give a file")
    as_path("video", video, "the path of a video; of several: score_all")
    return str(video)


def _changes(rule: dict[str, Any]) -> RuleChanges:
    known = [field.name for field in fields(RuleChanges)]
    for name, value in rule.items():
        if name not in known:
            raise UserError(f"a rule has no {name}{nearest(name, known)} (known: {', '.join(known)})")
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float, np.number))):
            raise UserError(f"{name} is {shortly(value)}; give a number")
    return RuleChanges(**rule)


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError, ValueError):
        raise UserError(f"device is {shortly(name)}; give cpu, cuda, or another name that torch has for one") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device is {name}, and there are {torch.cuda.device_count()} CUDA devices here; give cpu")
    return device


@in_python
def load_detector(
    path: str | Path,
    *,
    device: str | None = None,
    backbone: str | Path | None = None,
    camera: str | None = None,
) -> Detector:
    """A detector to score videos with: a run (all its seeds together), one seed's folder, or a package.

    `device`: as torch names them; default: a GPU where there is one. `backbone`: where it lies now, if not where it was
    when features were extracted. `camera`: whose videos it is to score, one that a label-free detector knows; default:
    any. UserError: nothing there, a backbone with other weights, a camera that it does not know.
    """
    what = "a run, one seed's folder or a package; first_look() needs none"
    folder, chosen = as_path("path", path, what), _device(device)
    own = [] if backbone is None else [as_path("backbone", backbone, "the folder of a backbone")]
    if camera is not None and not isinstance(camera, str):
        raise UserError(f"camera is {shortly(camera)}; give its name")
    return Detector(with_camera(open_model(folder, own, chosen), camera))


def first_look(*, device: str | None = None) -> Detector:
    """The detector that needs no training: what is unlike the rest of the same video. It knows no anomaly."""
    return load_detector(UNFITTED_FOLDER, device=device)


def _scores(scored: ScoredFile) -> Scores:
    assert scored.scores is not None
    assert scored.info is not None
    assert scored.clock is not None
    edges = np.minimum(scored.scores.edges, scored.info.num_frames)  # the last snippet may reach beyond
    where = scored.scores.map
    return Scores(
        name=scored.name,
        path=scored.path,
        scores=scored.scores.scores,
        frames=np.stack([edges[:-1], edges[1:]], axis=1),
        seconds=np.stack([scored.clock.begins_of(edges[:-1]), scored.clock.ends_of(edges[1:])], axis=1),
        cells=None if where is None else where.scores,
    )
