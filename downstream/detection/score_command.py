"""The command `score`: new features through trained detectors, without any video.

OUT/scores.json, scores.csv       a score for each snippet: of several detectors together, as detection takes them
OUT/frame_scores.csv              with --frames: one for each frame, where frames are known
OUT/seed-N/test_scores.json       of several detectors: each one's own, so that evaluation takes OUT like a run
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from downstream.detection.given_features import GivenFeatures, open_given, refuse_unfitting
from downstream.detection.open_model import Trained, open_detectors
from downstream.detection.score_config import ScoreConfig
from downstream.detector.inference import score_by_camera
from downstream.detector.storage import seen_in_training
from downstream.features.import_config import NO_CATALOGUE
from downstream.features.timing import timings_of
from downstream.runs.run_folder import RunFolder
from downstream.scores.ensemble import ensemble, weights_of_runs
from downstream.scores.score_file import CSV_COLUMNS, ScoreFile, write_scores
from downstream.scores.supervision import KEY, most_told, supervision_in
from downstream.scores.video_scores import VideoScores
from pretrain.accelerator import check_device, make_accelerator
from pretrain.data.catalogue import Catalogue, cameras_of
from pretrain.data.catalogues import open_catalogue
from pretrain.errors import UserError, problem_list
from pretrain.files import write_text
from pretrain.names import shown
from pretrain.path_words import what_is_at
from pretrain.tables import table_line


def score(config: ScoreConfig) -> None:
    """Open, check, score, write; print what was taken for what."""
    check_device(config.device)
    if missing := [path for path in config.features if not path.exists()]:
        raise UserError(f"{what_is_at(missing[0])}: give a feature set, or a folder or list file of feature files")
    detectors = open_detectors(config.detector)
    cards = [each.card for each in detectors]
    catalogue = _catalogue(config)
    known = None if catalogue is None else timings_of(catalogue)
    given, notes = open_given(config.features, cards, config.encoder, config.layout, known)
    trusted = refuse_unfitting(given, cards, config.same_encoder)
    if trusted:
        notes.append(f"taken on trust (--same-encoder):\n{problem_list(trusted)}")
    notes += _notes(given, cards)
    print("\n".join([f"{len(given.names)} video(s), {len(detectors)} detector(s)", *notes]), flush=True)
    frames = {name: timing.frames for name, timing in (known or {}).items()}
    device = make_accelerator(config.device, "fp32").device
    files = score_given(given, detectors, frames, device, cameras_of(catalogue or ()))
    lengths = _lengths(given, frames)
    weights = weights_of_runs([each.run for each in detectors])
    print("\n".join(write(config, files, cards, lengths, weights)))


def score_given(
    given: GivenFeatures,
    detectors: Sequence[Trained],
    frames: Mapping[str, int | None],
    device: torch.device,
    cameras: Mapping[str, str],
) -> list[ScoreFile]:
    """The scores of each detector. Snippets that nobody can place count themselves instead of frames."""
    moved = [each.detector.to(device) for each in detectors]
    found: list[list[VideoScores]] = [[] for _ in moved]
    for part in given.parts():
        for own, detector in zip(found, moved, strict=True):
            scored = score_by_camera(detector, part.features, part.names, cameras, device, frames, placed=False)
            own += scored
    return [ScoreFile(own, _meta(each.card)) for own, each in zip(found, detectors, strict=True)]


def write(
    config: ScoreConfig,
    files: Sequence[ScoreFile],
    cards: Sequence[Mapping[str, Any]],
    lengths: Mapping[str, int],
    weights: Sequence[float],
) -> list[str]:
    """The files in `config.out`; what was written, in lines. `lengths`: frames of videos of which they are known;
    `weights`: how much each detector counts."""
    together, run = ensemble(files, weights), RunFolder(config.out)
    unplaced = [video.name for video in together.videos if video.name not in lengths]
    told = most_told(said for file in files if (said := supervision_in(file.meta)) is not None)
    meta = dict(together.meta) | {"detector_sha256": [card["sha256"] for card in cards], "unplaced": unplaced}
    meta |= {KEY: told} if told else {}
    write_scores(config.out / "scores.json", together.videos, meta)
    write_text(config.out / "scores.csv", _snippet_lines(together.videos))
    lines = [f"written to {config.out}: scores.json, scores.csv"]
    if len(files) > 1:
        numbers = [str(card.get("seed", number)) for number, card in enumerate(cards)]
        numbers = numbers if len(set(numbers)) == len(numbers) else [str(number) for number in range(len(files))]
        for number, file in zip(numbers, files, strict=True):
            run.seed(number).write_scores("test", [_flat(video) for video in file.videos], file.meta)
        lines.append(f"each detector's own: seed-{{{','.join(numbers)}}}/test_scores.json")
    if config.frames:
        placed = [video for video in together.videos if video.name in lengths]
        write_text(config.out / "frame_scores.csv", _frame_lines(placed, lengths))
        lines.append(f"frame_scores.csv: {len(placed)} of {len(together.videos)} videos")
    if unplaced:
        lines.append(
            f"note: frames are not known of {len(unplaced)} video(s), e.g. '{shown(unplaced[0])}': start and end count "
            "snippets there. Their features divide them evenly; give --grid, or --catalogue.root and .kind"
        )
    return lines


def _flat(video: VideoScores) -> VideoScores:
    return dataclasses.replace(video, map=None)


def _meta(card: Mapping[str, Any]) -> dict[str, Any]:
    told = {KEY: card[KEY]} if KEY in card else {}
    return {"threshold": float(card.get("threshold", 0.5)), "unscored": {}} | told


def _catalogue(config: ScoreConfig) -> Catalogue | None:
    if config.catalogue == NO_CATALOGUE:
        return None
    if config.catalogue.root == NO_CATALOGUE.root and config.catalogue.annotations is None:
        raise UserError("--catalogue.root is missing: the folder that holds the videos")
    return open_catalogue(config.catalogue)


def _lengths(given: GivenFeatures, frames: Mapping[str, int | None]) -> dict[str, int]:
    """Frames that count, of each video whose snippets can be placed in it; 0: those that the snippets cover."""
    found: dict[str, int] = {}
    if given.plan is None:
        entries = [(v.name, v.snippet_frames, v.frames) for v in given.sets[0].videos.values()]
    else:
        whole = given.plan.spec.snippet_frames
        entries = [(v.name, v.timing.snippet_frames or whole, v.timing.frames) for v in given.plan.videos]
    for name, snippet_frames, own in entries:
        length = own or frames.get(name)
        if snippet_frames is not None or length is not None:
            found[name] = length or 0
    return found


def _notes(given: GivenFeatures, cards: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader of the scores should know of these videos."""
    seen = {name for card in cards for name in seen_in_training(card)}
    known = [name for name in given.names if name in seen]
    if not known:
        return []
    return [
        f"note: {len(known)} of these videos the detector was trained on or selected by, e.g. '{shown(known[0])}': "
        "their scores are no test"
    ]


def _snippet_lines(videos: Sequence[VideoScores]) -> str:
    lines = [table_line(CSV_COLUMNS)]
    for video in videos:
        edges = video.edges.tolist()
        for start, end, value in zip(edges[:-1], edges[1:], video.scores.tolist(), strict=True):
            lines.append(table_line((video.name, start, end, repr(value))))
    return "".join(lines)


def _frame_lines(videos: Sequence[VideoScores], lengths: Mapping[str, int]) -> str:
    """A frame has the score of its snippet, frames after the last snippet that of the last."""
    lines = [table_line(("name", "frame", "score"))]
    for video in videos:
        frames = np.arange(lengths[video.name] or video.covered_frames)
        snippets = np.minimum(np.searchsorted(video.edges[1:], frames, side="right"), len(video.scores) - 1)
        values = [repr(value) for value in video.scores.tolist()]
        lines += [table_line((video.name, frame, values[snippet])) for frame, snippet in enumerate(snippets.tolist())]
    return "".join(lines)
