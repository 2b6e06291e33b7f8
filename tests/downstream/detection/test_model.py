"""A score of detection is the score of evaluation: whatever the features, the seeds, the length."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from downstream.detection.model import Model, ScoredFile, score_files
from downstream.detection.open_model import open_model
from downstream.detection.package import make_package
from downstream.features import pipeline, scratch
from downstream.scores.ensemble import ensemble, mean_scores
from downstream.scores.map_file import read_maps
from downstream.scores.score_file import ScoreFile, read_scores
from pretrain.errors import UserError
from tests.downstream.detection.world import TEST


def files(world: Path, *names: str) -> list[tuple[str, str]]:
    return [(name, str(world / "videos" / f"{name}.mp4")) for name in names]


def scored(model: Model, videos: list[tuple[str, str]]) -> dict[str, ScoredFile]:
    return {each.name: each for each in score_files(model, videos)}


def evaluated(run: Path, kind: str) -> ScoreFile:
    folders = sorted(run.glob("seed-*"))
    if kind == "cells":
        return ensemble([read_maps(folder / "test_maps.safetensors") for folder in folders])
    return ensemble([read_scores(folder / "test_scores.json") for folder in folders])


@pytest.mark.parametrize("kind", ["whole", "large", "cells"])
def test_scores_are_those_of_evaluation(world: Path, kind: str) -> None:
    found = scored(open_model(world / "runs" / kind), files(world, *TEST))
    for expected in evaluated(world / "runs" / kind, kind).videos:
        mine = found[expected.name].scores
        assert mine is not None
        assert np.array_equal(mine.edges, expected.edges)
        np.testing.assert_allclose(mine.scores, expected.scores, atol=1e-4)
        if kind == "cells":
            assert mine.map is not None
            assert expected.map is not None
            np.testing.assert_allclose(mine.map.scores, expected.map.scores, atol=1e-4)
            assert (mine.map.size, mine.map.seen) == (expected.map.size, expected.map.seen)


def test_one_seed_alone_is_that_seed(world: Path) -> None:
    model = open_model(world / "runs" / "whole" / "seed-1")
    expected = read_scores(world / "runs" / "whole" / "seed-1" / "test_scores.json").videos
    found = scored(model, files(world, *TEST))
    assert len(model.detectors) == 1
    for each in expected:
        mine = found[each.name].scores
        assert mine is not None
        np.testing.assert_allclose(mine.scores, each.scores, atol=1e-4)


def test_in_scratch_files_and_in_parts_they_are_the_same(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = open_model(world / "runs" / "cells")
    before = scored(model, files(world, "v9"))["v9"].scores
    monkeypatch.setattr(scratch.scratch_array, "__defaults__", (0,))
    monkeypatch.setattr(pipeline, "DROP_BYTES", 1)
    monkeypatch.setattr("downstream.detector.inference.score_parts.__defaults__", (12,))
    after = scored(model, files(world, "v9"))["v9"].scores
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(after.scores, before.scores, atol=1e-6)


def test_several_encoders_read_each_video_in_turn(world: Path) -> None:
    """Two groups with a backbone each, as an end-to-end run has: both say what they say alone, averaged."""
    both = open_model(world / "runs" / "whole")
    group = both.groups[0]
    alone = [
        dataclasses.replace(group, detectors=(detector,), names=(name,), runs=(run,))
        for detector, name, run in zip(group.detectors, group.names, group.runs, strict=True)
    ]
    split = dataclasses.replace(both, groups=tuple(alone))
    assert len(split.sources) == 2
    videos = files(world, *TEST)
    once, twice = scored(both, videos), scored(split, videos)
    for name in TEST:
        first, second = once[name].scores, twice[name].scores
        assert first is not None
        assert second is not None
        np.testing.assert_allclose(second.scores, first.scores, atol=1e-6)


def test_it_says_what_detects_and_by_whose_rule(world: Path) -> None:
    model = open_model(world / "runs" / "cells")
    facts = model.facts(model.rule)
    assert (facts.detector, facts.sha256) == (str(world / "runs" / "cells"), tuple(model.names))
    assert (facts.encoders, facts.cells) == (("small3d",), (2, 3))
    assert (facts.rule, facts.rule_from) == (model.rule, model.rule_from)
    other = model.facts(model.rule.moved_to(0.123))
    assert (other.rule.threshold, other.rule_from) == (0.123, "given on the command line")


def test_what_cannot_be_read_comes_with_its_problem(world: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"this is no video")
    videos = [*files(world, "v8"), ("bad", str(tmp_path / "bad.mp4")), ("gone", str(tmp_path / "gone.mp4"))]
    found = scored(open_model(world / "runs" / "whole"), videos)
    assert found["v8"].scores is not None
    assert "not a video" in found["bad"].problem
    assert "no such file" in found["gone"].problem
    assert found["bad"].scores is None


@pytest.mark.parametrize("kind", ["cells", "large"])
def test_a_package_says_the_same_from_anywhere_and_names_no_place(
    kind: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_package([world / "runs" / kind], tmp_path / "made" / "package", title="Street")
    moved = shutil.move(tmp_path / "made" / "package", tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    first = scored(open_model(world / "runs" / kind), files(world, "v9"))["v9"].scores
    second = scored(open_model(Path(moved)), files(world, "v9"))["v9"].scores
    assert first is not None
    assert second is not None
    assert np.array_equal(first.scores, second.scores)
    assert made.names == open_model(Path(moved)).names
    text = "".join(
        path.read_text(encoding="utf-8") for path in Path(moved).rglob("*") if path.suffix in (".json", ".md")
    )
    assert str(world) not in text
    assert "# Street" in text
    assert not [path for path in Path(moved).rglob("*") if path.suffix not in (".json", ".md", ".safetensors", "")]


def test_runs_in_one_package_count_alike_however_many_detectors_they_have(world: Path, tmp_path: Path) -> None:
    """On features of two sizes of frames: two detectors on the one, one on the other."""
    runs = [world / "runs" / "whole", world / "runs" / "large" / "seed-0"]
    made = make_package(runs, tmp_path / "both")
    assert f"{len(made.detectors)} detector(s) of 2 runs, each run counting as one, on small3d" in made.describe()
    assert made.weights == [1.0, 1.0, 2.0]
    assert "parts the validation videos best, on average over 3 detectors; " in made.rule_from
    assert not (tmp_path / "both" / "calibration.json").exists()
    found = scored(made, files(world, *TEST))
    alone = [scored(open_model(run), files(world, *TEST)) for run in runs]
    for name in TEST:
        apart = [each[name].scores for each in alone]
        together = found[name].scores
        assert together is not None
        expected = mean_scores([each.scores for each in apart if each is not None])
        np.testing.assert_allclose(together.scores, expected, atol=1e-9)
    card = (tmp_path / "both" / "README.md").read_text(encoding="utf-8")
    assert "- detectors: 3, their log odds averaged: of 2 runs, each counting as one\n" in card
    assert card.count("- trained with: ") == 2
    make_package(runs[1:], tmp_path / "second")  # and packages are put together as runs are
    again = make_package([runs[0], tmp_path / "second"], tmp_path / "again")
    assert (again.names, again.weights) == (made.names, made.weights)


def test_runs_on_the_same_features_read_a_video_once(world: Path, tmp_path: Path) -> None:
    """As runs, whose backbone lies in one place, and as packages, which bring one each."""
    seeds = [world / "runs" / "whole" / f"seed-{number}" for number in (0, 1)]
    of_runs = make_package(seeds, tmp_path / "of_runs")
    packages = [tmp_path / "0", tmp_path / "1"]
    for seed, package in zip(seeds, packages, strict=True):
        make_package([seed], package)
    of_packages = make_package(packages, tmp_path / "of_packages")
    for name, made in (("of_runs", of_runs), ("of_packages", of_packages)):
        assert (made.runs, len(made.sources)) == ([0, 1], 1)
        assert len(list((tmp_path / name / "encoders").iterdir())) == 1
    both = scored(open_model(world / "runs" / "whole"), files(world, "v8"))["v8"].scores
    found = scored(of_packages, files(world, "v8"))["v8"].scores
    assert both is not None
    assert found is not None
    np.testing.assert_allclose(found.scores, both.scores, atol=1e-12)


def test_runs_that_do_not_go_together_are_refused(world: Path, tmp_path: Path) -> None:
    whole, cells = world / "runs" / "whole", world / "runs" / "cells"
    with pytest.raises(UserError, match=r"whole/seed-0\S* scores whole pictures of .* of 16 frames, and \S*cells/"):
        make_package([whole, cells], tmp_path / "package")
    with pytest.raises(UserError, match=r"is in this list twice: .*; give each once"):
        make_package([whole, whole / "seed-0"], tmp_path / "package")
    with pytest.raises(UserError, match="--backbone is given for 2 runs"):
        make_package([whole, world / "runs" / "large"], tmp_path / "package", [world / "backbone"])
    assert list(tmp_path.iterdir()) == []


def test_a_package_is_never_half_there(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("downstream.detection.package.write_text", full)
    with pytest.raises(OSError, match="No space"):
        make_package([world / "runs" / "whole"], tmp_path / "package")
    assert list(tmp_path.iterdir()) == []


def test_refusals_say_what_to_do(world: Path, tmp_path: Path) -> None:
    run = world / "runs" / "whole"
    with pytest.raises(UserError, match=r"there is no file or folder .*; give a run"):
        open_model(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"holds no detector: no package\.json"):
        open_model(tmp_path)
    with pytest.raises(UserError, match="2 --backbone for a detector on 1"):
        open_model(run, [tmp_path, tmp_path])
    make_package([run], tmp_path / "package")
    with pytest.raises(UserError, match="is there already"):
        make_package([run], tmp_path / "package")
    with pytest.raises(UserError, match="is a package already"):
        make_package([tmp_path / "package"], tmp_path / "other")
    with pytest.raises(UserError, match="leave --backbone out"):
        open_model(tmp_path / "package", [world / "backbone"])


def test_another_backbone_is_refused_by_its_weights(world: Path, tmp_path: Path) -> None:
    from pretrain.backbones import BackboneConfig, build_backbone, save_backbone

    save_backbone(build_backbone(BackboneConfig(height=32, width=48)), tmp_path / "other", {})
    with pytest.raises(UserError, match=r"detector for other features(.|\n)*weights_sha256"):
        open_model(world / "runs" / "whole", [tmp_path / "other"])


def test_imported_features_cannot_be_made_again(world: Path, tmp_path: Path) -> None:
    seed = tmp_path / "seed-0"
    shutil.copytree(world / "runs" / "whole" / "seed-0", seed)
    card = json.loads((seed / "detector" / "detector.json").read_text())
    card["features"]["specs"][0] |= {"encoder": "i3d_rgb", "weights_sha256": None}
    (seed / "detector" / "detector.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match=r"'i3d_rgb'.* was imported: nobody knows the network"):
        open_model(seed)


@pytest.mark.parametrize("kind", ["whole", "large"])
def test_a_detector_that_does_not_say_where_its_backbone_lies_takes_one(kind: str, world: Path, tmp_path: Path) -> None:
    seed = tmp_path / "seed-0"
    shutil.copytree(world / "runs" / kind / "seed-0", seed)
    card = json.loads((seed / "detector" / "detector.json").read_text())
    card["features"]["made_with"] = [None]
    (seed / "detector" / "detector.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match="give --backbone"):
        open_model(seed)
    assert open_model(seed, [world / "backbone"]).names == [card["sha256"]]
