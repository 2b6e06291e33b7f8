"""What is ordinary for a camera goes on over gaps and restarts, less what alarmed; a file that does not fit is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from downstream.detection.live.ordinary import FORMAT, Ordinary, identity, read_ordinary
from downstream.detection.live.scorer import LiveScore, LiveScorer
from downstream.detection.model import Model
from downstream.detector.normal_detector import NormalConfig, NormalDetector
from downstream.events.rule import AlarmRule
from pretrain.data.video import VideoInfo
from pretrain.errors import UserError
from tests.downstream.detection.live.models import small_encoder, small_group, small_model

INFO = VideoInfo(0, 16.0, 48, 32, 0.0, "h264", 0, False)
NEVER = AlarmRule(threshold=1.0, release=1.0)
ALWAYS = AlarmRule(threshold=0.0, release=0.0)


@pytest.fixture(scope="module")
def model() -> Model:
    """Relative to each camera, with a context: as the detector that comes with the program."""
    group = small_group(small_encoder())
    encoder = group.sources[0].encoder
    config = NormalConfig(parts=("change", "deviation", "motion"), relative_to="video")
    detector = NormalDetector(config, encoder.dim, motion=(encoder.dim - 1,)).eval()
    return small_model(dataclasses.replace(group, detectors=(detector,)))


def scorer_of(model: Model) -> LiveScorer:
    scorer = LiveScorer(model, None, 64, 4, remembers=True)
    scorer.look(INFO)
    return scorer


def fed(scorer: LiveScorer, first: int, snippets: int, seed: int) -> list[LiveScore]:
    rng = np.random.default_rng(seed)
    scores: list[LiveScore] = []
    for number in range(first, first + 16 * snippets):
        scores += scorer.push(number, rng.integers(0, 255, (32, 48, 3), dtype=np.uint8), 0.0)
    return scores


def test_a_restart_goes_on_as_after_a_gap(model: Model, tmp_path: Path) -> None:
    scorer = scorer_of(model)
    ordinary = Ordinary(tmp_path / "ordinary.safetensors", scorer, NEVER, 64)
    assert "not known yet" in ordinary.begin(INFO)
    for score in fed(scorer, 0, 12, 0) + scorer.finish(is_end=False):
        assert not ordinary.take(score)
    ordinary.save()
    again = scorer_of(model)
    told = Ordinary(ordinary.file, again, NEVER, 64).begin(INFO)
    assert "12 snippets in" in told
    first, second = fed(scorer, 500, 6, 1), fed(again, 0, 6, 1)
    assert [score.score for score in first] == [score.score for score in second]
    assert second[0].is_settled  # what it is compared with has been seen
    fresh = scorer_of(model)
    assert [score.score for score in fed(fresh, 0, 6, 1)] != [score.score for score in second]


def test_what_alarms_is_left_out_until_it_has_lasted_half_the_window(model: Model, tmp_path: Path) -> None:
    scorer = scorer_of(model)
    ordinary = Ordinary(tmp_path / "ordinary.safetensors", scorer, ALWAYS, 20)
    ordinary.begin(INFO)
    said, kept = [], []
    for snippet in range(30):
        for score in fed(scorer, 16 * snippet, 1, snippet):
            said.append(ordinary.take(score))
            kept.append(len(scorer.memory().get("0.context", ())))
    settled = 3  # the fourth has four to compare with
    assert max(kept[settled : settled + 10]) <= settled + 1
    assert kept[-1] > kept[settled + 10]
    assert [text for text in said if text] == [
        "it has looked unlike itself for so long that this is taken for ordinary now"
    ]


def test_another_detector_size_or_damage_begins_anew(model: Model, tmp_path: Path) -> None:
    file = tmp_path / "ordinary.safetensors"
    scorer = scorer_of(model)
    ordinary = Ordinary(file, scorer, NEVER, 64)
    ordinary.begin(INFO)
    fed(scorer, 0, 12, 0)
    ordinary.save()
    larger = VideoInfo(0, 16.0, 96, 64, 0.0, "h264", 0, False)
    told = Ordinary(file, scorer_of(model), NEVER, 64).begin(larger)
    assert "of another detector, other zones or another size of picture; it is learnt from now on" in told
    file.write_bytes(file.read_bytes()[:100])
    assert "cannot be used" in Ordinary(file, scorer_of(model), NEVER, 64).begin(INFO)
    file.unlink()
    file.mkdir()
    assert "cannot be used" in Ordinary(file, scorer_of(model), NEVER, 64).begin(INFO)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: {"0.context": rows["0.context"][..., :-1]},
        lambda rows: {"0.context": rows["0.context"][:, :0]},
        lambda rows: {"0.context": rows["0.context"].double()},
        lambda rows: {"0.context": rows["0.context"].bfloat16()},
        lambda rows: {"0.evidence.0": rows["0.evidence.0"].repeat(1, 1, 2)},
        lambda rows: {"0.evidence.0": rows["0.evidence.0"].int()},
        lambda rows: {"0.evidence.0": rows["0.evidence.0"][:0]},
        lambda rows: {"1.context": rows["0.context"]},
        lambda rows: {"0.statistics.0": rows["0.context"]},
    ],
)
def test_rows_of_another_kind_are_refused_and_begun_anew(model: Model, tmp_path: Path, change: Any) -> None:
    file = tmp_path / "ordinary.safetensors"
    scorer = scorer_of(model)
    ordinary = Ordinary(file, scorer, NEVER, 64)
    ordinary.begin(INFO)
    fed(scorer, 0, 12, 0)
    ordinary.save()
    with safe_open(file, framework="pt") as opened:
        header = opened.metadata()
    rows = load_file(file)
    save_file({name: tensor.clone().contiguous() for name, tensor in (rows | change(rows)).items()}, file, header)
    again = scorer_of(model)
    told = Ordinary(file, again, NEVER, 64).begin(INFO)
    assert f"what was ordinary cannot be used: {file} " in told
    assert told.endswith("delete it; it is learnt from now on")
    assert [score.score for score in fed(again, 0, 6, 1)] == [score.score for score in fed(scorer_of(model), 0, 6, 1)]


def test_rows_that_features_are_normalised_by_are_refused_where_they_are_of_another_width(tmp_path: Path) -> None:
    model = small_model(small_group(small_encoder(), normalise="video"))
    scorer = scorer_of(model)
    fed(scorer, 0, 4, 0)
    memory = scorer.memory()
    assert list(memory) == ["0.statistics.0"]
    scorer_of(model).recall(memory)
    with pytest.raises(UserError, match=r"0\.statistics\.0 has rows \(1, 7\) of float32, and this camera's are \(1, "):
        scorer_of(model).recall({"0.statistics.0": memory["0.statistics.0"][..., :7]})


def test_a_file_of_nothing_is_no_memory(model: Model, tmp_path: Path) -> None:
    file = tmp_path / "ordinary.safetensors"
    save_file({}, file, {"format": FORMAT, "of": identity(model, INFO), "saved": "1e999"})
    with pytest.raises(UserError, match=r"is damaged; delete it$"):
        read_ordinary(file, identity(model, INFO))


def test_another_cameras_ordinary_may_be_the_start(model: Model, tmp_path: Path) -> None:
    scorer = scorer_of(model)
    ordinary = Ordinary(tmp_path / "a.safetensors", scorer, NEVER, 64)
    of = ordinary.begin(INFO) and ordinary._of
    fed(scorer, 0, 12, 0)
    ordinary.save()
    own = Ordinary(tmp_path / "b.safetensors", scorer_of(model), NEVER, 64, start=ordinary.file)
    assert f"in {ordinary.file}" in own.begin(INFO)
    own.save()
    memory, _ = read_ordinary(own.file, of)
    assert all(len(rows) for rows in memory.values())
