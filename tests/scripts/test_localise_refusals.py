"""What scripts/localise.py refuses: one message each, and nothing is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scripts.located_world import Entries, call, copied, frames_run, other_list


def renamed(entries: Entries) -> None:
    for name in [name for name, entry in entries.items() if entry["split"] == "test"]:
        entries[f"other_{name}"] = entries.pop(name)


def trained_on(entries: Entries) -> None:
    for name in ("v00", "v01"):
        entries[name]["split"] = "test"


def outside(entries: Entries) -> None:
    entries["v17"]["boxes"][0][3] = 90


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            renamed,
            r"6 of the 6 test videos of .*list\.json.* have no scores in .*run; give the catalogue.*\n.*other_v16",
        ),
        (trained_on, r"2 of the 8 video\(s\) to be scored .* are trained on .*take them out.*\n.*v00.*\n.*v01"),
        (outside, r"'v17': in frame 32 the box \(.*90.*\) reaches out of a picture of 72x48 pixels"),
        (lambda entries: [entry.update(split="train") for entry in entries.values()], "no video of split 'test'"),
        (lambda entries: entries["v18"].pop("group"), "--unseen-groups: the catalogue says no group of 1 of the 6"),
    ],
)
def test_catalogues_that_do_not_fit(
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Entries], object],
    message: str,
) -> None:
    flags = other_list(world, tmp_path / "list.json", change)
    groups = ["--unseen-groups"] if "unseen-groups" in message else []
    assert call(world / "run", tmp_path / "out", *flags, *groups) == 2
    error = capsys.readouterr().err
    assert error.count("error:") == 1
    assert re.search(message, error), error
    assert not (tmp_path / "out").exists()


def test_runs_that_do_not_fit(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(run: Path, *flags: str) -> str:
        assert call(run, tmp_path / "out", *flags) == 2
        return capsys.readouterr().err

    assert "nothing': give a run folder of scripts/finetune.py" in told(tmp_path / "nothing")
    catalogue = other_list(world, tmp_path / "list.json", lambda _: None)
    assert "holds no score maps: its features are of whole pictures" in told(world / "frames", *catalogue)
    broken = copied(world, tmp_path / "broken")
    (broken / "seed-1" / "validation_maps.safetensors").unlink()
    assert "seeds without validation_maps.safetensors or test_maps.safetensors" in told(broken)
    (broken / "seed-1" / "test_scores.json").unlink()
    assert "seeds without test_scores.json; finish them" in told(broken)
    few = frames_run(tmp_path, "few", ["v16", "v17", "v18", "v19", "v20"])
    said = told(world / "run", "--whole-frame", str(few))
    assert f"--whole-frame {few} did not score 1 of the 6 videos to be evaluated" in said
    assert "'v21'" in said
    card = {"trained_on": ["v17_x264"], "selected_on": ["w1"]}
    (few / "seed-0" / "detector").mkdir()
    (few / "seed-0" / "detector" / "detector.json").write_text(json.dumps(card))
    said = told(world / "run", "--whole-frame", str(few))
    assert f"are trained on (the training list of {few})" in said
    assert "  - v17\n" in said
    said = told(world / "run", "--alarm-share", "1", "--strips", "-1")
    assert "alarm_share is 1.0; it must lie in [0, 1)" in said
    assert "strips is -1; it must be 0 or more" in said
    assert not (tmp_path / "out").exists()
