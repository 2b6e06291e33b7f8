"""Every public function says in one clear error what is wrong with its arguments, and names these and no flags."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import anomaly_pretext as ap
from anomaly_pretext.arguments import python_words

bad: Any = None
"""What no function takes; Any, since it is the types that are wrong."""
CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "no detector": (
        lambda: ap.load_detector(bad),
        "path is None (NoneType); give a run, one seed's folder or a package",
    ),
    "empty detector": (lambda: ap.load_detector(""), "path is '' (str); give a run"),
    "no device": (lambda: ap.first_look(device="gpu"), "device is 'gpu' (str); give cpu, cuda"),
    "no such device": (lambda: ap.first_look(device="cuda:99"), "device is cuda:99, and there are"),
    "moved backbone": (lambda: ap.load_detector("x", backbone=bad or 3), "backbone is 3 (int); give the folder"),  # type: ignore[arg-type]
    "a model": (lambda: ap.Detector(bad), "a Detector of None (NoneType): open one with load_detector(PATH)"),
    "no backbone": (lambda: ap.load_backbone(bad), "source is None (NoneType); give a run"),
    "weights": (lambda: ap.load_backbone("r3d_18", weights=3), "weights is 3 (int); give a .safetensors"),  # type: ignore[arg-type]
    "weights twice": (
        lambda: ap.load_backbone("shipped", weights="x"),
        "shipped brings its weights: leave weights out",
    ),
    "a folder": (lambda: ap.open_catalogue("."), ". is a folder; give a YAML file, or keys and values"),
    "no videos": (lambda: ap.open_catalogue({"root": "none"}), "give the folder of the videos (catalogue.root)"),
    "nothing": (lambda: ap.open_catalogue(bad), "a part of CatalogueConfig is None (NoneType); give a YAML file"),
    "no settings": (lambda: ap.settings(bad), "settings of None (NoneType): give PretrainConfig"),
    "others": (
        lambda: ap.settings(ap.PretrainConfig, ap.FinetuneConfig()),  # type: ignore[arg-type]
        "a part of PretrainConfig is FinetuneConfig(",
    ),
    "a typo": (lambda: ap.pretrain({"optim.stps": 3}), "PretrainConfig has no setting optim.stps; did you mean"),
    "a value": (lambda: ap.pretrain({"optim.steps": "x"}), "Error parsing optim.steps: invalid literal"),
    "none given": (lambda: ap.extract_features(), "Missing from ExtractConfig:\nout PATH"),
    "one of them": (lambda: ap.evaluate(bad), "an input is None (NoneType); give a run's folder or a score file"),
    "frames": (lambda: ap.read_frames("x.mp4", [1.5]), "indices are [1.5] (list); give whole numbers"),  # type: ignore[list-item]
    "whose frames": (lambda: ap.read_frames(bad, [1]), "path is None (NoneType); give the path of a video"),
    "cameras": (lambda: ap.render_videos("new", cameras=1), "cameras is 1; it must lie between 2 and 99"),
    "seed": (lambda: ap.render_videos("new", seed=-1), "seed is -1 (int); give a whole number, 0 or more"),
    "features": (lambda: ap.FeatureSet.open(bad), "a feature set is opened by its folder, not by a NoneType"),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_wrong_argument_is_one_clear_error(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call, words = CALLS[what]
    with pytest.raises(ap.UserError) as error:
        call()
    assert words in str(error.value)
    assert not re.search(r"(^|[ (])--", str(error.value)), str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_detector_says_what_it_takes() -> None:
    detector = ap.first_look(device="cpu")
    calls: dict[str, Callable[[], object]] = {
        "video is 3 (int); give the path of a video; of several: score_all": lambda: detector.score(bad or 3),
        "video is ['a.mp4'] (list)": lambda: detector.score(bad or ["a.mp4"]),
        "is a stream, which scripts/detect.py watches": lambda: detector.score("rtsp://me:hidden-word@127.0.0.1:9/x"),
        "videos are None (NoneType); give paths": lambda: list(detector.score_all(bad)),
        "a rule has no thresold; did you mean 'threshold'?": lambda: detector.detect("a.mp4", thresold=0.3),
        "threshold is 'x' (str); give a number": lambda: detector.detect("a.mp4", threshold=bad or "x"),
    }
    for words, call in calls.items():
        with pytest.raises(ap.UserError) as error:
            call()
        assert words in str(error.value)
        assert "hidden-word" not in str(error.value)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("give the folder (--catalogue.root), or --no-plots", "give the folder (catalogue.root), or plots=False"),
        ("--min-seconds is -3", "min_seconds is -3"),
        ("next: python scripts/detect.py VIDEO --detector x", "next: python scripts/detect.py VIDEO --detector x"),
        ("run scripts/a.py; then give --out-dir", "run scripts/a.py; then give out_dir"),
        ("a--b and ---- stay", "a--b and ---- stay"),
    ],
)
def test_flags_become_settings_and_commands_stay(told: str, shown: str) -> None:
    assert python_words(told) == shown
