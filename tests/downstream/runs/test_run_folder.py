"""What lies where in a run's folder, and what is said of folders that are none."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from downstream.detector.storage import CARD_FILE
from downstream.runs.localisation_folder import LocalisationFolder
from downstream.runs.run_folder import RunFolder, scores_by_seed
from downstream.runs.seed_folder import SeedFolder
from downstream.scores.score_file import write_scores
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.errors import UserError
from tests.paths import ROOT

DOWNSTREAM = ROOT / "downstream"


def mapped(name: str, snippets: int = 2) -> VideoScores:
    cells = np.linspace(0, 1, snippets * 6).reshape(snippets, 2, 3)
    score_map = ScoreMap(cells, (30, 20), (0.0, 0.0, 30.0, 20.0))
    return VideoScores(name, score_map.frame_scores(), np.arange(snippets + 1) * 16, score_map)


def finished(folder: Path, seeds: tuple[int, ...] = (0, 2, 10), cells: bool = False) -> RunFolder:
    """A run whose seeds have scored a video each."""
    run = RunFolder(folder)
    for number in seeds:
        seed = run.seed(number)
        scored = [mapped("a") if cells else make_scores("a", [0.1 * number / 10, 0.5], [0, 16, 32])]
        for part in ("validation", "test"):
            seed.write_scores(part, scored, {"seed": number})  # type: ignore[arg-type]
        seed.write_summary({"seed": number})
        seed.detector.mkdir()
        (seed.detector / CARD_FILE).write_text(json.dumps({"trained_on": [f"t{number}"], "selected_on": ["s"]}))
    return run


def test_seeds_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    assert [seed.seed for seed in run.seeds()] == ["0", "2", "10"]
    assert list(run.test_scores()) == ["0", "2", "10"]
    assert [folder.parent.name for folder in run.detectors()] == ["seed-0", "seed-2", "seed-10"]
    assert all(seed.is_done and seed.has_detector and not seed.has_maps("test") for seed in run.seeds())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    seed = SeedFolder(tmp_path / "seed-3")
    scored = [mapped("a"), mapped("b", 3)]
    seed.write_scores("test", scored, {"threshold": 0.25})
    assert seed.has_scores("test")
    assert seed.has_maps("test")
    assert not seed.has_maps("validation", "test")
    plain, maps = seed.read_scores("test"), seed.read_maps("test")
    for video, bare, whole in zip(scored, plain.videos, maps.videos, strict=True):
        assert np.array_equal(video.scores, bare.scores)
        assert whole.map is not None
        assert video.map is not None
        assert np.array_equal(video.map.scores, whole.map.scores)
    assert plain.meta == maps.meta == {"threshold": 0.25}
    assert seed.read_inputs() is None
    seed.write_inputs({"training videos": "3"})
    assert seed.read_inputs() == {"training videos": "3"}


def test_a_seeds_own_folder_is_a_run_with_that_seed(tmp_path: Path) -> None:
    finished(tmp_path / "run", cells=True)
    own = RunFolder(tmp_path / "run" / "seed-2")
    assert list(own.test_scores()) == ["2"]
    assert own.detectors() == [tmp_path / "run" / "seed-2" / "detector"]
    with pytest.raises(UserError, match=r"is a part of a run; give the folder that holds seed-\* and config\.json"):
        own.score_maps()


def test_score_maps_of_both_parts(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", cells=True)
    maps = run.score_maps()
    assert list(maps) == ["0", "2", "10"]
    assert all(file.videos[0].map is not None for pair in maps.values() for file in pair)
    (tmp_path / "run" / "seed-2" / "validation_maps.safetensors").unlink()
    with pytest.raises(UserError, match=r"seeds without validation_maps(?s:.*)seed-2"):
        run.score_maps()
    with pytest.raises(UserError, match="holds no score maps: its features are of whole pictures"):
        finished(tmp_path / "plain").score_maps()


def test_what_is_no_run_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"there is no file or folder '.*gone': give a run folder of scripts/finetune\.py, or a score file",
    ):
        scores_by_seed(tmp_path / "gone")
    with pytest.raises(UserError, match=r"holds no seed-\*/test_scores\.json"):
        scores_by_seed(tmp_path)
    with pytest.raises(UserError, match=r"holds no config\.json"):
        RunFolder(tmp_path).catalogue()
    run = finished(tmp_path / "run")
    (tmp_path / "run" / "seed-2" / "test_scores.json").unlink()
    with pytest.raises(UserError, match=r"seeds without test_scores\.json; finish them .*--resume(?s:.*)seed-2"):
        run.test_scores()
    (tmp_path / "run" / "seed-10" / "detector" / CARD_FILE).unlink()
    with pytest.raises(UserError, match=r"1 of its seeds are not finished(?s:.*)seed-10"):
        run.detectors()
    (tmp_path / "run" / "seed-0" / "summary.json").write_text("{")
    with pytest.raises(UserError, match=r"summary\.json is damaged .*delete it and run the same command with --resume"):
        run.seed(0).read_summary()


def test_a_score_file_stands_for_one_seed(tmp_path: Path) -> None:
    write_scores(tmp_path / "scores.json", [make_scores("a", [0.5], [0, 16])])
    assert list(scores_by_seed(tmp_path / "scores.json")) == ["0"]


def test_the_catalogue_is_that_of_the_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.read_config() is None
    assert run.catalogue_flags() == []
    wanted = CatalogueConfig(kind="json", root=tmp_path / "videos", check_files=False)
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "catalogue.kind": "json",
                "catalogue.root": str(tmp_path / "videos"),
                "catalogue.check_files": False,
                "x": 1,
            }
        )
    )
    assert run.catalogue() == wanted


def test_videos_that_detectors_have_seen_are_refused(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    run.refuse_seen_in_training(Catalogue([Video("new", "")], "list"))
    for name in ("t10", "s"):
        with pytest.raises(UserError, match=name):
            run.refuse_seen_in_training(Catalogue([Video(name, "")], "list"))
    with pytest.raises(UserError, match="t2"):
        RunFolder(tmp_path / "run" / "seed-2").refuse_seen_in_training(Catalogue([Video("t2", "")], "list"))
    RunFolder(tmp_path).refuse_seen_in_training(Catalogue([Video("t2", "")], "list"))  # holds no detector


def test_films_by_the_name_of_their_video(tmp_path: Path) -> None:
    folder = LocalisationFolder(tmp_path)
    folder.films.mkdir()
    for name in ("01-a_b.mp4", "02-c-d.mp4", "note.mp4"):
        (folder.films / name).touch()
    assert folder.film_of() == {"a_b": folder.films / "01-a_b.mp4", "c-d": folder.films / "02-c-d.mp4"}


OWN_NAMES = (
    "seed-",
    "test_scores",
    "validation_scores",
    "_maps.safetensors",
    "inputs.json",
    "output.log",
    "references",
)


def test_nobody_else_knows_the_names_in_a_run_folder() -> None:
    """Their texts (help, errors, docstrings) may; code that builds a path from one may not."""
    offenders = []
    for path in sorted(DOWNSTREAM.rglob("*.py")):
        if path.parent.name == "runs":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_path = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
            is_glob = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "glob"
            parts = [node.right] if is_path else node.args if is_glob else []  # type: ignore[attr-defined]
            texts = [leaf.value for part in parts for leaf in ast.walk(part) if isinstance(leaf, ast.Constant)]
            offenders += [f"{path.name}: {text}" for text in texts if str(text).startswith(OWN_NAMES)]
    assert not offenders
