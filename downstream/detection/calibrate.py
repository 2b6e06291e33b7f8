"""From normal footage of one's own cameras to a threshold beside the detector. What scripts/calibrate.py does."""

from __future__ import annotations

import os

from downstream.detection.calibrate_config import CalibrateConfig
from downstream.detection.open_model import open_model, with_camera
from downstream.detection.scoring import problems_of, score_all, videos_of
from downstream.events.calibration import calibrate
from downstream.events.calibration_file import Calibration, write_calibration
from downstream.runs.run_folder import RunFolder
from pretrain.accelerator import check_device, make_accelerator
from pretrain.cpu import keep_freed_memory


def run_calibration(config: CalibrateConfig) -> int:
    """Score the footage, find the threshold, write it down. Exit status: 1 where some footage could not be read."""
    keep_freed_memory()
    check_device(config.scoring.device)
    videos = videos_of(config.inputs)
    accelerator = make_accelerator(config.scoring.device, "fp32")
    model = open_model(config.detector, config.backbone, accelerator.device, calibrated=False)
    model = with_camera(model, config.camera)
    accelerator.print(model.describe(), flush=True)
    scored = score_all(model, videos, config.scoring, accelerator)
    footage, folders = [], []
    for video in scored:
        if video.scores is not None and video.clock is not None:
            footage.append((video.scores, video.clock))
            folders.append(os.path.dirname(video.path))
    by_folder = config.group_by == "folder" and len(set(folders)) > 1
    calibration = calibrate(
        footage,
        config.per_hour,
        margin=config.margin,
        min_seconds=config.min_seconds,
        merge_seconds=config.merge_seconds,
        detector=model.identity,
        groups=folders if by_folder else None,
    )
    own = RunFolder(config.detector).calibration
    target = config.out or own
    if accelerator.is_main_process:
        write_calibration(target, calibration)
        print(describe_calibration(calibration, "folder" if by_folder else "video"))
        if failed := [video for video in scored if video.scores is None]:
            print(f"{len(failed)} video(s) could not be scored and take no part:\n{problems_of(failed)}")
        place = "" if target.resolve() == own.resolve() else f" once it lies at {own}"
        print(f"written to {target}; next{place}: python scripts/detect.py VIDEO --detector {config.detector}")
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return int(len(footage) < len(scored))


def describe_calibration(calibration: Calibration, group: str) -> str:
    """What was found and how far to trust it."""
    rule = calibration.rule
    lines = [
        f"threshold {_spelled(rule.threshold, 9)}, an event goes on down to {_spelled(rule.release, 9)}",
        f"{calibration.events} event(s) in {calibration.hours:.3g} hours of {calibration.videos} normal video(s): "
        f"{calibration.per_hour:.3g} an hour, 95 % sure at most {calibration.upper_per_hour:.3g}; wanted: at most "
        f"{calibration.wanted_per_hour:g}",
    ]
    if calibration.left_out is not None:
        left = calibration.left_out
        lines.append(
            f"on a {group} that the threshold was not made of: {left.per_hour:.3g} an hour ({left.folds} turns, "
            f"thresholds {_spelled(left.lowest_threshold, 6)} to {_spelled(left.highest_threshold, 6)})"
        )
    return "\n".join([*lines, *(f"note: {note}" for note in calibration.notes)])


def _spelled(score: float, digits: int) -> str:
    """So many digits; all of them where a score so close to 1 would read as 1."""
    text = f"{score:.{digits}g}"
    return repr(float(score)) if text == "1" and score < 1 else text
