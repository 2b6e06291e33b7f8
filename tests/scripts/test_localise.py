"""The command that says where: what it writes and prints, and what its threshold depends on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from downstream.events.box_file import read_boxes
from downstream.events.box_threshold import box_threshold
from downstream.scores.ensemble import ensemble
from downstream.scores.map_file import read_maps, write_maps
from downstream.scores.score_map import ScoreMap
from pretrain.data.video import IndexCache, probe
from scripts.localise import main
from tests.scripts.located_world import (
    LENGTH,
    SNIPPETS,
    TRAIN,
    Entries,
    call,
    copied,
    entries_of,
    json_files,
    other_list,
)


def test_boxes_figures_and_pictures(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert call(world / "run", out, "--whole-frame", str(world / "frames"), pictures=(2, 1)) == 0
    shown = capsys.readouterr().out
    document = json.loads((out / "localisation.json").read_text())
    cells, centre, alike = document["methods"]
    assert [method["method"] for method in document["methods"]] == ["run", "always the centre", "everywhere alike"]
    assert (cells["seeds"], centre["seeds"], cells["test_set"]["boxed_videos"]) == (["0", "1"], ["0"], 3)
    assert cells["metrics"]["pointing_chance"]["value"] == pytest.approx(1 / 6)
    assert cells["metrics"]["pointing"]["value"] > 0.9
    assert alike["metrics"]["pointing"]["value"] == pytest.approx(1 / 6)
    assert "mean_iou" not in centre["metrics"]
    gain = document["comparisons"][0]["second_less_first"]["pointing"]["difference"]
    assert gain == pytest.approx(cells["metrics"]["pointing"]["value"] - centre["metrics"]["pointing"]["value"])
    assert (out / "table.md").read_text().startswith("| method | seeds | pixel AUC |")
    for words in (f"(scores of frames: {world / 'frames'}):", "run less always the centre", f"written to {out} in 0:0"):
        assert words in shown
    for seed in ("0", "1"):
        boxes = read_boxes(out / f"seed-{seed}" / "boxes.json")
        assert list(boxes.videos) == list(entries_of(world))[TRAIN:]
        assert boxes.meta == {"threshold": document["thresholds"][seed], "seed": seed}
        for name, entry in entries_of(world).items():
            if entry.get("boxes"):
                best = max(boxes.videos[name], key=lambda tube: tube.score)
                assert 2 * LENGTH <= best.span[0] < best.span[1] <= 4 * LENGTH
                assert any(tuple(box.box) == tuple(entry["boxes"][0][1:5]) for box in best.boxes)
    (first, second), (film,) = (sorted(out.glob(f"{kind}/*")) for kind in ("strips", "films"))
    assert first.stem == film.stem
    assert {first.stem[3:], second.stem[3:]} < {name for name, entry in entries_of(world).items() if entry["label"]}
    assert Image.open(first).width == 1600
    assert probe(str(film), cache=IndexCache(None)).num_frames == SNIPPETS * LENGTH


def test_pictures_of_abnormal_videos_alone(world: Path, tmp_path: Path) -> None:
    assert call(world / "run", tmp_path / "out", "--abnormal-only", pictures=(6, 0)) == 0
    drawn = {path.stem[3:] for path in (tmp_path / "out" / "strips").iterdir()}
    tested = list(entries_of(world))[TRAIN:]
    assert drawn == {name for name in tested if entries_of(world)[name]["label"] == 1}


def test_all_seeds_as_one_detector(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert call(world / "run", out, "--ensemble") == 0
    assert "ensemble: boxes from a score of" in capsys.readouterr().out
    document = json.loads((out / "localisation.json").read_text())
    files = [read_maps(world / "run" / f"seed-{seed}" / "test_maps.safetensors") for seed in (0, 1)]
    validation = [read_maps(world / "run" / f"seed-{seed}" / "validation_maps.safetensors") for seed in (0, 1)]
    labels = {name: int(entry["label"]) for name, entry in entries_of(world).items()}
    assert document["methods"][0]["seeds"] == ["ensemble"]
    assert document["thresholds"] == {"ensemble": box_threshold(ensemble(validation).videos, labels, 0.05)}
    boxes = read_boxes(out / "ensemble" / "boxes.json")
    assert list(boxes.videos) == [video.name for video in ensemble(files).videos]
    assert document["methods"][0]["metrics"]["pointing"]["value"] > 0.9


def test_again_the_same_bytes_and_no_old_pictures(world: Path, tmp_path: Path) -> None:
    assert call(world / "run", tmp_path / "a", pictures=(2, 0)) == 0
    before = json_files(tmp_path / "a")
    assert len(before) == 3
    assert call(world / "run", tmp_path / "a", pictures=(1, 0)) == 0
    assert call(world / "run", tmp_path / "b") == 0
    assert json_files(tmp_path / "a") == json_files(tmp_path / "b") == before
    assert len(list((tmp_path / "a" / "strips").iterdir())) == 1
    assert not (tmp_path / "b" / "strips").exists()
    assert call(world / "run", tmp_path / "a") == 0  # asks for none: those that are there stay
    assert len(list((tmp_path / "a" / "strips").iterdir())) == 1


def test_boxes_of_the_catalogue_change_figures_and_nothing_that_was_found(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def move(entries: Entries) -> None:
        for entry in entries.values():
            if "boxes" in entry:
                entry["spans"], entry["boxes"] = [[0, 5]], [[0, 1, 1, 20, 20, 0]]

    def drop(entries: Entries) -> None:
        for entry in entries.values():
            entry.pop("boxes", None)

    for name in ("plain", "moved", "none"):
        change = {"plain": lambda _: None, "moved": move, "none": drop}[name]
        flags = other_list(world, tmp_path / f"{name}.json", change)
        out = tmp_path / ("plain" if name == "none" else name)
        kept = {} if name != "none" else json_files(out)
        assert call(world / "run", out, *flags) == 0
        if kept:  # what an earlier call with boxes evaluated is gone, the boxes found are the same
            assert json_files(out) == {path: text for path, text in kept.items() if path != "localisation.json"}
            assert not (out / "table.md").exists()
        elif name == "moved":
            one, other = json_files(tmp_path / "plain"), json_files(out)
            assert one.keys() == other.keys()
            assert {path for path in one if one[path] != other[path]} == {"localisation.json"}
    assert "holds no boxes: what was found is written, not evaluated" in capsys.readouterr().out


def test_the_threshold_is_that_of_validation_normal_videos(world: Path, tmp_path: Path) -> None:
    run = copied(world, tmp_path / "run")
    rng = np.random.default_rng(3)

    def change(part: str, label: int) -> None:
        file = read_maps(run / "seed-0" / f"{part}_maps.safetensors")
        made = []
        for entry in file.videos:
            assert entry.map is not None
            if part == "test" or entries_of(world)[entry.name]["label"] == label:
                cells = rng.random(entry.map.scores.shape)
                score_map = ScoreMap(cells, entry.map.size, entry.map.seen)
                entry = dataclasses.replace(entry, map=score_map, scores=score_map.frame_scores())
            made.append(entry)
        write_maps(run / "seed-0" / f"{part}_maps.safetensors", made, file.meta)

    def threshold(*flags: str) -> float:
        assert call(run, tmp_path / "out", *flags) == 0
        value = read_boxes(tmp_path / "out" / "seed-0" / "boxes.json").meta["threshold"]
        assert isinstance(value, float)
        return value

    labels = {name: entry["label"] for name, entry in entries_of(world).items()}
    validation = read_maps(run / "seed-0" / "validation_maps.safetensors").videos
    first = threshold()
    assert first == box_threshold(validation, labels, 0.05)
    assert threshold("--alarm-share", "0.3") == box_threshold(validation, labels, 0.3) < first
    boxes = (tmp_path / "out" / "seed-0" / "boxes.json").read_bytes()
    change("test", 0)
    change("validation", 1)
    assert threshold() == first
    assert (tmp_path / "out" / "seed-0" / "boxes.json").read_bytes() != boxes
    change("validation", 0)
    assert threshold() != first


def test_only_groups_that_training_never_saw(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def regroup(*seen: str) -> Callable[[Entries], None]:
        def change(entries: Entries) -> None:
            for name, entry in entries.items():
                entry["group"] = "old" if entry["split"] == "train" or name in seen else "new"

        return change

    flags = other_list(world, tmp_path / "list.json", regroup("v16", "v17"))
    frames = ("--whole-frame", str(world / "frames"))
    assert call(world / "run", tmp_path / "out", *flags, *frames, "--unseen-groups") == 0
    assert "4 of 6 videos are of groups that no training video is of" in capsys.readouterr().out
    assert list(read_boxes(tmp_path / "out" / "seed-1" / "boxes.json").videos) == ["v18", "v19", "v20", "v21"]
    document = json.loads((tmp_path / "out" / "localisation.json").read_text())
    assert [method["test_set"]["videos"] for method in document["methods"]] == [4, 4, 4]
    flags = other_list(world, tmp_path / "list.json", regroup(*list(entries_of(world))[TRAIN:]))
    assert call(world / "run", tmp_path / "out", *flags, "--unseen-groups") == 2
    assert "--unseen-groups: training videos come from all 1 groups, none is new" in capsys.readouterr().err


def test_without_video_files_all_but_pictures_is_there(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def move(entries: Entries) -> None:
        for entry in entries.values():
            entry["path"] = f"elsewhere/{entry['path']}"

    flags = other_list(world, tmp_path / "list.json", move)
    assert call(world / "run", tmp_path / "quiet", *flags) == 0
    assert "no pictures" not in capsys.readouterr().out
    assert call(world / "run", tmp_path / "out", *flags, pictures=(2, 1)) == 0
    assert "no pictures of 2 video(s) whose files are not there:\n" in capsys.readouterr().out
    assert json_files(tmp_path / "out").keys() == json_files(tmp_path / "quiet").keys()
    assert not (tmp_path / "out" / "strips").exists()


def test_a_damaged_video_costs_its_pictures_alone(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "damaged.mp4").write_bytes(b"no video")

    def damage(entries: Entries) -> None:
        entries["v17"]["path"] = str(tmp_path / "damaged.mp4")

    flags = other_list(world, tmp_path / "list.json", damage)
    assert call(world / "run", tmp_path / "out", *flags, pictures=(3, 0)) == 2
    told = capsys.readouterr().err
    assert "boxes and figures are written, but 1 video(s) cannot be drawn" in told
    assert "damaged.mp4" in told
    assert len(list((tmp_path / "out" / "strips").iterdir())) == 2
    assert (tmp_path / "out" / "localisation.json").exists()


def test_the_catalogue_is_that_of_the_run_and_not_of_the_other(world: Path, tmp_path: Path) -> None:
    flags = ["--out", str(tmp_path), "--resamples", "0", "--strips", "0", "--films", "0"]
    with pytest.raises(SystemExit) as left:
        main(["--whole-frame", str(world / "frames"), *flags, str(world / "run")])
    assert not left.value.code
    assert (tmp_path / "localisation.json").exists()


def test_some_of_the_scored_videos(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = other_list(world, tmp_path / "list.json", lambda entries: entries.pop("v16"))
    assert call(world / "run", tmp_path / "out", *flags) == 0
    assert "1 of the 6 scored videos are not in" in capsys.readouterr().out
    assert "v16" not in read_boxes(tmp_path / "out" / "seed-0" / "boxes.json").videos


def test_tubes_too_short_count_nowhere(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(world / "run", tmp_path, "--min-snippets", "99", pictures=(1, 0)) == 0
    assert "0 in 0 tube(s), in 0 of 6 videos" in capsys.readouterr().out
    assert not any(read_boxes(tmp_path / "seed-0" / "boxes.json").videos.values())
    cells = json.loads((tmp_path / "localisation.json").read_text())["methods"][0]["metrics"]
    assert (cells["mean_iou"]["value"], cells["recall_iou_0.1"]["value"]) == (0, 0)
