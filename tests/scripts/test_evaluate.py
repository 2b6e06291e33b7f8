from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from downstream.analysis.evaluate_config import EvaluateConfig
from downstream.analysis.evaluate_runs import default_folder, method_names
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import FeatureSet
from downstream.scores.ensemble import ensemble
from downstream.scores.map_file import read_maps, write_maps
from downstream.scores.score_file import read_scores, write_scores
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.errors import UserError
from scripts import finetune, localise, reference_scores, report
from scripts.evaluate import main
from tests.downstream.evaluation.reference import random_test_set
from tests.downstream.simulated import CELLS_SPEC, make_features
from tests.paths import REAL

UCF = REAL / "annotations" / "ucf_crime"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Two runs of two seeds each, and the ground truth; no video is on disk."""
    for run, first in (("base", 0), ("all", 2)):
        for seed in range(2):
            scores, videos = random_test_set(np.random.default_rng(9), 5, 5)
            rng = np.random.default_rng(first + seed)
            scores = [type(entry)(entry.name, rng.random(len(entry.scores)), entry.edges) for entry in scores]
            write_scores(tmp_path / run / f"seed-{seed}" / "test_scores.json", scores)
    entries = {
        video.name: {
            "path": video.path,
            "label": video.label,
            "split": "test",
            "class_name": video.class_name,
            "num_frames": video.num_frames,
            "fps": video.fps,
            "spans": [list(span) for span in video.spans],
        }
        for video in videos
    }
    entries["trained_on"] = {"path": "t.mp4", "label": 1}
    truth = {"format": "anomaly-pretext/ground-truth/1", "videos": entries}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    return tmp_path


def run(world: Path, *arguments: str) -> int:
    catalogue = ["--catalogue.kind", "json", "--catalogue.annotations", str(world / "truth.json")]
    with pytest.raises(SystemExit) as left:
        main([*arguments, *catalogue, "--resamples", "50"])
    return int(left.value.code or 0)


def test_one_run_is_evaluated_into_its_own_folder(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world, str(world / "base")) == 0
    out = world / "base" / "evaluation"
    assert {path.name for path in out.iterdir()} == {
        *("evaluation.json", "table.md", "per_video.csv", "roc.png", "pr.png", "scores.png"),
        "operating_curve.png",
    }
    document = json.loads((out / "evaluation.json").read_text())
    (method,) = document["methods"]
    points = method["operating_curve"]["points"]
    assert [len(point["thresholds"]) for point in points] == [2] * len(points)
    assert (method["method"], method["seeds"], document["comparisons"]) == ("base", ["0", "1"], [])
    shown = capsys.readouterr().out
    assert re.search(rf"^frame AUC +{method['metrics']['frame_auc']['value']:.3f} ", shown, re.MULTILINE)


def test_scores_of_a_whole_set_are_evaluated_on_the_split_alone(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(world, str(world / "base"), "--no-plots") == 0
    of_the_test_videos = capsys.readouterr().out
    for file in (world / "base").glob("seed-*/test_scores.json"):
        scores = read_scores(file).videos
        write_scores(file, [*scores, make_scores("trained_on", [0.2, 0.9], [0, 8, 16])])
    assert run(world, str(world / "base"), "--no-plots") == 0
    said, found = capsys.readouterr().out.split("\n", maxsplit=1)
    assert said == "1 of the 11 scored videos are not of split 'test' and are left out (--split)"
    assert found.strip() == of_the_test_videos.strip()
    assert run(world, str(world / "base"), "--no-plots", "--split", "all") == 2  # its frames are not annotated
    assert "'trained_on': label 1 (abnormal), but its anomalous frames are not annotated" in capsys.readouterr().err


def test_all_seeds_as_one_detector(world: Path) -> None:
    assert run(world, str(world / "base"), "--ensemble", "--no-plots") == 0
    (method,) = json.loads((world / "base" / "evaluation" / "evaluation.json").read_text())["methods"]
    files = [read_scores(world / "base" / f"seed-{seed}" / "test_scores.json") for seed in (0, 1)]
    write_scores(world / "one.json", ensemble(files).videos)
    assert run(world, str(world / "one.json"), "--no-plots") == 0
    (alone,) = json.loads((world / "evaluation" / "evaluation.json").read_text())["methods"]
    assert method["seeds"] == ["ensemble"]
    assert method["metrics"]["frame_auc"] == alone["metrics"]["frame_auc"] | {
        "per_seed": method["metrics"]["frame_auc"]["per_seed"]
    }


def test_several_runs_as_one_detector_stand_first(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two seeds of the one and the first of the other: each run counts as one."""
    inputs = [str(world / "base"), str(world / "all" / "seed-0" / "test_scores.json")]
    assert run(world, *inputs, "--as-one", "--no-plots", "--out", str(world / "out")) == 0
    both, *alone = json.loads((world / "out" / "evaluation.json").read_text())["methods"]
    assert [both["method"], len(alone)] == ["base + test_scores", 2]
    base = ensemble([read_scores(world / "base" / f"seed-{seed}" / "test_scores.json") for seed in (0, 1)])
    write_scores(world / "one.json", ensemble([base, read_scores(Path(inputs[1]))]).videos)
    assert run(world, str(world / "one.json"), "--no-plots") == 0
    (expected,) = json.loads((world / "evaluation" / "evaluation.json").read_text())["methods"]
    for key in ("frame_auc", "per_video_auc", "video_auc"):
        assert both["metrics"][key]["value"] == pytest.approx(expected["metrics"][key]["value"], abs=1e-9)
    assert "base less base + test_scores, paired over videos" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"the only input; its seeds are one by --ensemble"):
        EvaluateConfig(inputs=(world / "base",), as_one=True)


def test_as_one_takes_a_file_of_the_whole_set_beside_a_run(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scores of a whole set are those of the split's videos, of several inputs too."""
    test = read_scores(world / "all" / "seed-0" / "test_scores.json").videos
    write_scores(world / "whole_set.json", [*test, make_scores("trained_on", [0.5], [0, 16])])
    given = [str(world / "base"), str(world / "whole_set.json")]
    assert run(world, *given, "--as-one", "--no-plots", "--out", str(world / "out")) == 0
    assert "are not of split 'test' and are left out" in capsys.readouterr().out
    methods = json.loads((world / "out" / "evaluation.json").read_text())["methods"]
    assert [method["method"] for method in methods] == ["base + whole_set", "base", "whole_set"]


def test_detectors_of_cells_are_one_cell_by_cell(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a package of them scores: the highest of the mean, not the mean of the highest."""
    folders = [world / "cells" / f"seed-{seed}" for seed in (0, 1)]
    for number, folder in enumerate(folders):
        videos = [mapped(video, number) for video in read_scores(world / "base" / "seed-0" / "test_scores.json").videos]
        write_scores(folder / "test_scores.json", videos)
        write_maps(folder / "test_maps.safetensors", videos, {})
    found = {}
    for way in (("--ensemble", str(world / "cells")), ("--as-one", *map(str, folders))):
        assert run(world, *way, "--no-plots", "--out", str(world / "out")) == 0
        found[way[0]] = json.loads((world / "out" / "evaluation.json").read_text())["methods"][0]["metrics"]
    together = ensemble([read_maps(folder / "test_maps.safetensors") for folder in folders])
    apart = ensemble([read_scores(folder / "test_scores.json") for folder in folders])
    assert not np.allclose(together.videos[0].scores, apart.videos[0].scores, atol=0.01)
    write_scores(world / "one.json", together.videos)
    assert run(world, str(world / "one.json"), "--no-plots", "--out", str(world / "out")) == 0
    (expected,) = json.loads((world / "out" / "evaluation.json").read_text())["methods"]
    for metrics in found.values():
        assert metrics["frame_auc"]["value"] == pytest.approx(expected["metrics"]["frame_auc"]["value"], abs=1e-9)
    assert run(world, str(world / "base"), str(world / "cells"), "--as-one") == 2
    assert "'cells' scores cells of the picture, and of 'base' scores of whole pictures" in capsys.readouterr().err


def mapped(video: VideoScores, number: int) -> VideoScores:
    """Of two cells, each seen by one of two detectors."""
    cells = np.full((len(video.scores), 1, 2), 0.01)
    cells[:, 0, number] = np.random.default_rng(number).uniform(0.1, 0.9, len(cells))
    own = ScoreMap(cells, (64, 48), (0.0, 0.0, 64.0, 48.0))
    return dataclasses.replace(video, scores=own.frame_scores(), map=own)


def test_two_runs_are_compared(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = [str(world / "base"), str(world / "all")]
    assert run(world, *inputs, "--no-plots", "--out", str(world / "out")) == 0
    document = json.loads((world / "out" / "evaluation.json").read_text())
    (pair,) = document["comparisons"]
    values = [entry["metrics"]["frame_ap"]["value"] for entry in document["methods"]]
    assert (pair["first"], pair["second"]) == ("base", "all")
    assert pair["second_less_first"]["frame_ap"]["difference"] == pytest.approx(values[1] - values[0])
    assert "all less base, paired over videos" in capsys.readouterr().out
    assert not (world / "out" / "roc.png").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda world: [world / "nothing"], "there is no"),
        (lambda world: [world], "holds no seed-*/test_scores.json"),
        (lambda world: [world / "base", world / "base"], "one input stands twice"),
    ],
)
def test_wrong_inputs(world: Path, capsys: pytest.CaptureFixture[str], make: object, message: str) -> None:
    assert run(world, *map(str, make(world))) == 2  # type: ignore[operator]
    assert message in capsys.readouterr().err


def test_a_run_that_is_not_finished_is_refused(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (world / "base" / "seed-1" / "test_scores.json").unlink()
    assert run(world, str(world / "base")) == 2
    assert "seeds without test_scores.json" in capsys.readouterr().err


def test_a_run_that_was_trained_on_what_is_to_be_scored_is_refused(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with UCF-Crime2Local, whose abnormal test videos are in UCF-Crime's training list."""
    names = [
        name for name, entry in json.loads((world / "truth.json").read_text())["videos"].items() if "split" in entry
    ]
    for part, name in (("trained_on", names[0]), ("selected_on", f"{names[1]}_x264")):
        card = world / "all" / "seed-1" / "detector" / "detector.json"
        card.parent.mkdir(parents=True, exist_ok=True)
        card.write_text(json.dumps({"trained_on": ["trained_on"], "selected_on": []} | {part: [name]}))
        assert run(world, str(world / "base"), str(world / "all"), "--no-plots") == 2
        told = capsys.readouterr().err
        assert f"1 of the {len(names)} video(s) to be scored" in told
        assert f"are trained on (the training list of {world / 'all'}); take them out of the training list" in told
        assert told.rstrip().endswith(f"  - {name.removesuffix('_x264')}")
        assert not (world / "evaluation").exists()
    card.write_text(json.dumps({"trained_on": ["trained_on"], "selected_on": ["another"]}))
    assert run(world, str(world / "base"), str(world / "all"), "--no-plots") == 0


def test_names_tell_methods_apart(tmp_path: Path) -> None:
    assert method_names([tmp_path / "x" / "run", tmp_path / "y" / "run"]) == ["x/run", "y/run"]
    (tmp_path / "run").mkdir()
    files = [tmp_path / "run", tmp_path / "run.csv", tmp_path / "run.json"]
    for file in files[1:]:
        file.touch()
    assert method_names(files) == ["run", "run.csv", "run.json"]


def test_seeds_of_a_run_do_not_take_the_place_of_its_evaluation(world: Path) -> None:
    (world / "all" / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"evaluation is the evaluation of the run .* itself; say where with --out"):
        default_folder([world / "all" / "seed-0", world / "all" / "seed-1"])
    assert default_folder([world / "all" / "seed-0" / "test_scores.json"]) == world / "all" / "seed-0" / "evaluation"


@pytest.mark.skipif(not UCF.is_dir(), reason="real data (../shared/real) is not here")
def test_ucf_crime_needs_its_lists_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = json.loads((UCF / "test_num_frames.json").read_text())
    lines = ["name,start,end,score"]
    for name, count in frames.items():
        level = 0.2 if name.startswith("Normal") else 0.8
        lines += [f"{name},0,{count // 2},{level}", f"{name},{count // 2},{count},{level / 2}"]
    (tmp_path / "peer.csv").write_text("\n".join(lines))
    catalogue = ["--catalogue.kind", "ucf_crime", "--catalogue.annotations", str(UCF)]
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path / "peer.csv"), *catalogue, "--resamples", "20", "--fps", "30", "--no-plots"])
    assert not left.value.code
    shown = capsys.readouterr().out
    assert "290 videos (140 abnormal), 1112032 frames" in shown
    document = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    assert document["methods"][0]["metrics"]["video_auc"]["value"] == 1


def test_only_groups_that_training_never_saw(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world, str(world / "base"), "--unseen-groups", "--no-plots") == 2
    assert "the catalogue says no group of 10 of the 10 videos" in capsys.readouterr().err
    content = json.loads((world / "truth.json").read_text())
    tests = [name for name, entry in content["videos"].items() if entry.get("split") == "test"]
    for name, entry in content["videos"].items():
        entry["group"] = "seen" if name == "trained_on" or name in tests[:2] else "new"
    (world / "truth.json").write_text(json.dumps(content))
    assert run(world, str(world / "base"), str(world / "all"), "--unseen-groups", "--no-plots") == 0
    assert "8 of 10 videos are of groups that no training video is of" in capsys.readouterr().out
    document = json.loads((world / "evaluation" / "evaluation.json").read_text())
    assert [method["test_set"]["videos"] for method in document["methods"]] == [8, 8]
    for entry in content["videos"].values():
        entry["group"] = "seen"
    (world / "truth.json").write_text(json.dumps(content))
    assert run(world, str(world / "base"), "--unseen-groups", "--no-plots") == 2
    assert "none is new" in capsys.readouterr().err


def write_reference(world: Path, run_name: str, name: str, seed: int, drop: int = 0) -> None:
    """Scores out of nothing, of all videos but some."""
    scores, _ = random_test_set(np.random.default_rng(9), 5, 5)
    rng = np.random.default_rng(seed)
    made = [type(entry)(entry.name, 9 * rng.random(len(entry.scores)), entry.edges) for entry in scores]
    write_scores(world / run_name / "references" / f"{name}.json", made[drop:], {"reference": name})


def test_references_of_a_run_stand_below_it(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_reference(world, "base", "feature_change", 50)
    write_reference(world, "base", "motion_energy", 51, drop=1)
    for given in (world / "base", world / "base" / "seed-1"):  # a seed's own folder finds those of its run
        assert run(world, str(given), "--no-plots") == 0
        shown = capsys.readouterr().out
        assert re.search(r"^feature change \(reference\) +0\.\d{3} \(", shown, re.MULTILINE)
        assert "the reference motion energy is left out: it has no score of 1 of 10 videos" in shown
        assert re.search(rf"^{given.name}, frame AUC: (not )?above the best reference \(feature change 0", shown, re.M)
    document = json.loads((world / "base" / "evaluation" / "evaluation.json").read_text())
    (method,), (reference,) = document["methods"], document["references"]
    assert reference["method"] == "feature change"
    best = {entry["metric"]: entry for entry in document["best_reference"]}
    assert best["frame_auc"]["value"] == reference["metrics"]["frame_auc"]["value"]
    expected = method["metrics"]["per_video_auc"]["value"] - reference["metrics"]["per_video_auc"]["value"]
    assert best["per_video_auc"]["difference"] == pytest.approx(expected)
    assert {"method", "metric", "name", "value", "difference", "ci_low", "ci_high", "clear"} == set(best["frame_auc"])
    table = (world / "base" / "evaluation" / "table.md").read_text()
    assert "| feature change (reference) | - | " in table
    assert "- base, frame AUC: " in table
    assert run(world, str(world / "base"), "--no-plots", "--no-references") == 0
    assert "(reference)" not in (shown := capsys.readouterr().out)
    assert "the best reference" not in shown
    bare = json.loads((world / "base" / "evaluation" / "evaluation.json").read_text())
    assert (bare["references"], bare["best_reference"]) == ([], [])
    assert bare["methods"] == document["methods"]


def test_references_of_several_runs_stand_once_where_they_are_the_same(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("base", "all"):
        write_reference(world, name, "motion_energy", 50)
        write_reference(world, name, "deviation", {"base": 51, "all": 52}[name])
    inputs = [str(world / "base"), str(world / "all"), "--no-plots"]
    assert run(world, *inputs, "--out", str(world / "out")) == 0
    document = json.loads((world / "out" / "evaluation.json").read_text())
    names = [reference["method"] for reference in document["references"]]
    assert names == ["deviation (base)", "deviation (all)", "motion energy"]
    assert {entry["method"] for entry in document["best_reference"]} == {"base", "all"}
    assert len(document["less_references"]) == 2 * 2 * 3


def test_a_run_without_references_is_told_the_command(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world, str(world / "base"), "--no-plots") == 0
    told = f"no reference scores stand beside 'base': python scripts/reference_scores.py {world / 'base'} [--motion]"
    assert told in capsys.readouterr().out
    write_scores(world / "one.json", read_scores(world / "base" / "seed-0" / "test_scores.json").videos)
    assert run(world, str(world / "one.json"), "--no-plots") == 0
    assert "no reference scores" not in capsys.readouterr().out


def partial(source: Path, folder: Path, missing: set[str]) -> Path:
    """The simulated set `source` in `folder`, less the features of some videos."""
    whole = FeatureSet.open(source / "features")
    writer = FeatureWriter(folder / "features", whole.spec, whole.dtype)
    for name, video in whole.videos.items():
        if name not in missing:
            placed = {"size": video.size, "seen": video.seen} if whole.spec.grid else {}
            writer.add(name, whole.read(name), frames=video.frames, fps=video.fps, **placed)
    writer.finish()
    shutil.copytree(source / "annotations", folder / "annotations")
    return folder


def test_a_partial_dataset_goes_all_the_way_and_says_how_much_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five of the listed videos have no features: fine-tuning, evaluation, references, boxes, report take the rest."""
    missing = {"v001", "v025", "v026", "v030", "v033"}
    world = partial(make_features(tmp_path / "whole", spec=CELLS_SPEC), tmp_path / "part", missing)
    out = tmp_path / "run"
    lists = ["--catalogue.kind", "json", "--catalogue.root", str(world)]
    flags = ["--features.sets", str(world / "features"), "--output", str(out), "--device", "cpu", *lists]
    small = ["--optim.steps", "20", "--optim.batch-size", "8", "--detector.width", "16", "--detector.hidden", "8"]
    small += ["--features.allow-missing", "--evaluation.resamples", "50", "--no-plots"]

    assert left_with(finetune.main, *flags, *small) == 0
    said = capsys.readouterr().out
    assert "8 test (4 abnormal); 5 without features left out" in said
    assert f"4 of 12 test video(s) have no scores:\n  - 'v025': it has no features in {world / 'features'}" in said

    assert left_with(main, str(out), "--resamples", "50", "--no-plots") == 0
    said = capsys.readouterr().out
    assert "4 of 12 videos left out (no scores)" in said
    assert "note: 4 of 12 videos could not be scored and are left out, 4 of them as 'v025': it has no features" in said
    assert "- run, 4 of 12 videos left out (no scores)." in (out / "evaluation" / "table.md").read_text()
    (method,) = json.loads((out / "evaluation" / "evaluation.json").read_text())["methods"]
    assert set(method["left_out"]) == missing - {"v001"}
    assert method["test_set"]["videos"] == 8

    assert left_with(reference_scores.main, str(out)) == 0
    assert left_with(localise.main, str(out), "--strips", "0", "--films", "0", "--resamples", "50") == 0
    assert "4 of 12 videos left out" in (out / "localisation" / "table.md").read_text()
    assert left_with(report.main, str(out)) == 0
    assert "4 more have no scores and are in no figure" in (out / "report.html").read_text()


def left_with(command: Callable[[list[str]], None], *arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        command([*arguments])
    return int(left.value.code or 0)
