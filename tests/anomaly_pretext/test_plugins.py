"""A package that adds a pretext task, a backbone, a dataset and a loss: installed, its names are there like ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import anomaly_pretext.plugins as facade
from pretext_tasks.plugins import find_plugins, with_fields, wrong_settings
from tests.paths import ROOT
from tests.pretrain.encoding import encode_video

ROAD = """
import anomaly_pretext as ap

videos = {"catalogue": {"kind": "by_first_letter", "root": "videos"}, "device": "cpu"}
run = ap.pretrain(videos, {"backbone.name": "tiny3d", "backbone.height": 32, "backbone.width": 48, "data.workers": 0,
                           "tasks.mirror.weight": 2, "optim.steps": 1, "optim.batch-size": 2, "output": "run"})
print("TASKS", *run.summary["pretext"])
features = ap.extract_features(videos, {"backbone": "run", "out": "features"})
ap.finetune(videos, {"features.sets": "features", "objective.quiet.weight": 0.5, "output": "detector", "plots": False,
                     "optim.steps": 2, "optim.batch-size": 4, "log-every": 1, "validation-fraction": 0.5, "seeds": 0})
print("LOGGED", "quiet" in open("detector/seed-0/log.jsonl").read())
"""


def test_an_installed_package_is_used_by_its_names(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "plugin_package", tmp_path / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps"]
    target = ["--no-build-isolation", "--target", str(tmp_path / "site"), str(tmp_path / "source")]
    subprocess.run([*pip, *target], check=True)
    for number in range(8):
        name = f"{'ab'[number % 2]}{number}{'test_' if number > 5 else ''}.mp4"
        encode_video(tmp_path / "videos" / name, number, num_frames=64)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)])}

    def run(*line: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-W", "error::RuntimeWarning", *line]
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    done = run("-c", ROAD)
    assert done.returncode == 0, done.stderr
    assert "TASKS temporal_order speed arrow_of_time abrupt_change mirror" in done.stdout
    assert "LOGGED True" in done.stdout
    helped = run("-m", "anomaly_pretext", "finetune", "--help")
    assert "--objective.quiet.weight" in helped.stdout
    wrong = run("-m", "anomaly_pretext", "pretrain", "--catalogue.kind", "by_first_lettr", "--catalogue.root", "videos")
    assert (wrong.returncode, "by_first_letter" in wrong.stderr.split("known:")[0]) == (2, True)


class _Entry:
    def __init__(self, name: str, thing: object) -> None:
        self.name, self._thing = name, thing

    def load(self) -> object:
        if isinstance(self._thing, Exception):
            raise self._thing
        return self._thing


def test_what_cannot_be_used_is_left_out_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [_Entry("broken", ImportError("no module named x")), _Entry("speed", int), _Entry("plain", 3)]
    monkeypatch.setattr("pretext_tasks.plugins._declared", lambda kind: {e.name: e.load for e in entries})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert find_plugins("pretext_tasks", ["speed"], wrong_settings) == {}
    assert [str(each.message) for each in caught] == [
        "the plug-in 'broken' (pretext_tasks) is left out: ImportError: no module named x",
        "the plug-in 'plain' (pretext_tasks) is left out: 3 is no dataclass",
        "the plug-in 'speed' (pretext_tasks) is left out: the name 'speed' is taken",
    ]


def test_fields_are_added_only_where_there_are_any() -> None:
    from pretext_tasks import PretextTasks, Speed

    assert with_fields(PretextTasks, {}) is PretextTasks
    wider = with_fields(PretextTasks, {"other": Speed})
    assert list(wider().by_name())[-1] == "other"
    assert wrong_settings(Speed).startswith("its weight must be 0")


def test_every_name_of_the_interface_is_there() -> None:
    assert all(getattr(facade, name) is not None for name in facade.__all__)
    with pytest.raises(AttributeError):
        facade.nothing  # noqa: B018
