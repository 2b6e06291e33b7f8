"""Every list that is written is read back to the same names, whatever bytes they are: all writers at once."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from downstream.detection.live.live_output import LiveOutput
from downstream.detection.output_files import write_output_files
from downstream.detection.records import FailedVideo
from downstream.detection.writers.events_jsonl import read_ended
from downstream.evaluation.ground_truth import LabelledVideo
from downstream.evaluation.per_video import per_video_csv
from downstream.evaluation.settings import EvaluationSettings
from downstream.events.box_file import read_boxes, write_boxes
from downstream.features.exporting import LIST_FILE, export_features
from downstream.features.extract import FAILED_FILE, ExtractConfig, finish
from downstream.features.feature_spec import FeatureSpec
from downstream.features.find_files import find_files
from downstream.features.importing import ImportOptions, import_features, plan_import
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import FeatureSet
from downstream.features.timing import read_grid
from downstream.report.content import Report, ReportVideo, relative_link
from downstream.report.page import write_report
from downstream.scores.map_file import read_maps, write_maps
from downstream.scores.score_file import read_scores, write_scores
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.data.catalogues.json_file import FORMAT
from pretrain.data.check import VideoReport, read_quarantine, write_quarantine
from pretrain.data.motion import cached_motion_profile
from pretrain.files import write_json
from pretrain.names import shown_lines
from pretrain.tables import cell_text, table_line
from tests.downstream.detection.made import FACTS, detection, make_rule, stream_event
from tests.odd_names import FILE_NAMES, ODD_NAMES

SPEC = FeatureSpec(encoder="made", weights_sha256=None, dim=3, crops=("centre",), snippet_frames=16)


def scored(name: str) -> VideoScores:
    return make_scores(name, [0.25, 0.5], np.arange(3) * 16)


def text_of(path: Path) -> str:
    """Whoever reads it as UTF-8 can, and nothing in it is obeyed by a terminal."""
    text = path.read_bytes().decode("utf-8")
    assert shown_lines(plain := text.replace("\t", " ")) == plain
    return text


def test_quarantine_lists(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.txt"
    write_quarantine(path, [VideoReport(name, "p", (f"unreadable: {name}",)) for name in ODD_NAMES], "x\n#y")
    assert read_quarantine(path).keys() == set(ODD_NAMES)
    assert len(text_of(path).splitlines()) == 1 + len(ODD_NAMES)


def test_lists_of_failed_videos_and_feature_sets(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path, SPEC)
    for name in ODD_NAMES:
        writer.add(name, np.ones((2, 1, 3), np.float16), frames=32, fps=25.0)
    writer = FeatureWriter(tmp_path, SPEC)  # goes on
    assert all(writer.has(name) for name in ODD_NAMES)
    videos = [Video(name, "p") for name in ODD_NAMES]
    finish(cast(ExtractConfig, SimpleNamespace(out=tmp_path)), writer, videos, dict.fromkeys(ODD_NAMES, "no\nvideo"))
    assert read_quarantine(tmp_path / FAILED_FILE) == dict.fromkeys(ODD_NAMES, "no video")
    assert list(FeatureSet.open(tmp_path).videos) == list(ODD_NAMES)
    text_of(tmp_path / "manifest.json")


def test_exported_features_and_their_list(tmp_path: Path) -> None:
    names = list(FILE_NAMES)
    writer = FeatureWriter(tmp_path / "set", SPEC)
    for name in names:
        writer.add(name, np.full((2, 1, 3), len(name), np.float16), frames=32, fps=25.0)
    features = writer.finish(names)
    composed = [name for name in names if name != "cafe\u0301"]  # catalogues have one form of each name
    listed = export_features(features, "snippets_dim", tmp_path / "files", names=composed)
    assert listed.name == LIST_FILE
    found = find_files([listed])
    assert [Path(path).name for path in found.paths] == [f"{name}.npy" for name in composed]
    plan = plan_import(found.paths, ImportOptions(encoder="made", snippet_frames=16))
    assert set(import_features(plan, tmp_path / "again").videos) == set(composed)


def test_score_files_maps_and_boxes(tmp_path: Path) -> None:
    videos = [scored(name) for name in ODD_NAMES]
    write_scores(tmp_path / "s.json", videos, {"unscored": dict.fromkeys(ODD_NAMES, "why")})
    kept = read_scores(tmp_path / "s.json")
    assert [video.name for video in kept.videos] == list(ODD_NAMES) == list(kept.unscored)
    assert len(text_of(tmp_path / "s.json").splitlines()) == len(ODD_NAMES) + 4
    cells = ScoreMap(np.full((2, 1, 2), 0.5), (64, 48), (0.0, 0.0, 64.0, 48.0))
    mapped = [VideoScores(name, cells.frame_scores(), np.arange(3) * 16, cells) for name in ODD_NAMES]
    write_maps(tmp_path / "m.safetensors", mapped, {"of": ODD_NAMES[0]})
    assert [video.name for video in read_maps(tmp_path / "m.safetensors").videos] == list(ODD_NAMES)
    write_boxes(tmp_path / "b.json", {}, videos)
    assert list(read_boxes(tmp_path / "b.json").videos) == list(ODD_NAMES)


def test_what_detection_writes_of_files(tmp_path: Path) -> None:
    videos = [detection(name, [0.1, 0.7], 40) for name in ODD_NAMES]
    failed = [FailedVideo(name=name, path=f"{name}.mp4", problem="cut off") for name in ODD_NAMES]
    write_output_files(tmp_path, FACTS, videos, failed, ["frame_scores.csv"])
    assert [video.name for video in read_scores(tmp_path / "scores.csv").videos] == list(ODD_NAMES)
    content = json.loads(text_of(tmp_path / "events.json"))
    for part in ("videos", "failed"):
        assert [video["name"] for video in content[part]] == list(ODD_NAMES)
        assert [video["path"] for video in content[part]] == [f"{name}.mp4" for name in ODD_NAMES]
    with open(tmp_path / "frame_scores.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(dict.fromkeys(cell_text(row["name"]) for row in rows)) == list(ODD_NAMES)
    assert len(rows) == 40 * len(ODD_NAMES)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_what_detection_writes_of_a_stream(tmp_path: Path, name: str) -> None:
    with LiveOutput(tmp_path, name, FACTS) as output:
        output.add_event(stream_event(stream=name))
        assert [event.stream for event in output.ended_events()] == [name]
    assert [event.stream for event in read_ended(tmp_path / "events.jsonl")] == [name]
    assert len(text_of(tmp_path / "events.jsonl").splitlines()) == 1


def test_tables_of_videos_and_grids(tmp_path: Path) -> None:
    edges = np.array([0, 16])
    one = np.array([16])
    videos = [LabelledVideo(name, 0, name, 25.0, np.array([0.5]), edges, one * 0, one, ()) for name in ODD_NAMES]
    evaluation = cast(Any, SimpleNamespace(videos=[videos], settings=EvaluationSettings()))
    path = tmp_path / "per_video.csv"
    path.write_text(per_video_csv(evaluation), encoding="utf-8", newline="")
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [cell_text(row["name"]) for row in rows] == list(ODD_NAMES) == [cell_text(row["class_name"]) for row in rows]
    names = [name for name in ODD_NAMES if name == name.strip() and name != "cafe\u0301"]
    lines = ["name,snippet_frames\n", *(table_line([name, 16]) for name in names)]
    path.write_text("".join(lines), encoding="utf-8", newline="")
    assert list(read_grid(path)) == names


def test_reports_hold_every_name_and_link(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    videos = tuple(
        ReportVideo(name=name, fps=25.0, scores=scored(name), link=relative_link(folder / name, tmp_path / "r.html"))
        for name in ODD_NAMES
        if "\ud83d" not in name
    )
    write_report(tmp_path / "r.html", Report(title="\udce9", subtitle="", rule=make_rule(0.4), videos=videos))
    page = (tmp_path / "r.html").read_bytes().decode("utf-8")
    data = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[0]
    assert [video["name"] for video in json.loads(data)["videos"]] == [video.name for video in videos]
    assert all(re.fullmatch(r"films/[\w.~%/-]*", video.link or "", re.ASCII) for video in videos)


def test_catalogues_find_files_of_every_name(tmp_path: Path) -> None:
    names = list(FILE_NAMES)
    for name in names:
        (tmp_path / f"{name}.mp4").touch()
    assert {video.name for video in open_catalogue(CatalogueConfig(root=tmp_path))} == set(names)
    entries = {name: {"path": f"{name}.mp4"} for name in names}
    write_json(tmp_path / "truth.json", {"format": FORMAT, "videos": entries})
    opened = open_catalogue(CatalogueConfig(kind="json", root=tmp_path, annotations=tmp_path / "truth.json"))
    assert [(video.name, video.path) for video in opened] == [(name, f"{tmp_path}/{name}.mp4") for name in names]
    names.remove("cafe\u0301")  # the name that it gets from its path is that of another
    lines = ["path\n", *(table_line([f"{name}.mp4"]) for name in names)]
    (tmp_path / "videos.csv").write_text("".join(lines), encoding="utf-8", newline="")
    opened = open_catalogue(CatalogueConfig(kind="csv", root=tmp_path))
    assert [(video.name, video.path) for video in opened] == [(name, f"{tmp_path}/{name}.mp4") for name in names]


def test_caches_of_files_of_every_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretrain.data.motion.motion_profile", lambda path, **_: np.array([len(path)], np.float32))
    (tmp_path / "in").mkdir()
    for name in FILE_NAMES:
        (tmp_path / "in" / name).touch()
        for _ in range(2):
            assert cached_motion_profile(f"{tmp_path}/in/{name}", tmp_path / "motion") == [len(f"{tmp_path}/in/{name}")]


def test_a_motion_profile_that_is_not_what_was_written_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    profile = np.array([1, 2, 3, 4], np.float32)
    monkeypatch.setattr("pretrain.data.motion.motion_profile", lambda path, **_: profile)
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert np.array_equal(cached_motion_profile(str(tmp_path / "a.mp4"), tmp_path / "motion"), profile)
    (file,) = (tmp_path / "motion").rglob("*.npy")
    stored = np.load(file)
    stored[1] = 0
    np.save(file, stored)
    assert np.array_equal(cached_motion_profile(str(tmp_path / "a.mp4"), tmp_path / "motion"), profile)
    assert "its content is not what was written" in caplog.text
    assert np.load(file)[1] != 0
