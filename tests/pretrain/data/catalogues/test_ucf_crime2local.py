from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.world.ground_truth import FilmedVideo, write_ground_truth
from demo.world.plan import PlannedVideo
from demo.world.world import Anomaly
from pretrain.data.catalogue import Box, Catalogue, CatalogueConfig
from pretrain.data.catalogues.json_file import open_json
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.ucf_crime2local import CLASSES, TEST_IDS, open_ucf_crime2local, read_boxes
from pretrain.errors import UserError


def opened(root: Path) -> Catalogue:
    return open_ucf_crime2local(CatalogueConfig(kind="ucf_crime2local", root=root))


def test_a_small_copy(make: Callable[[str], Path]) -> None:
    catalogue = opened(make("ucf_crime2local"))
    assert [(v.name, v.label, v.split, v.class_name) for v in catalogue] == [
        ("Arrest001_x264", 1, "train", "Arrest"),
        ("Normal_Videos_015_x264", 0, "train", "Normal"),
        ("Arrest003_x264", 1, "test", "Arrest"),
        ("Robbery001", 1, "test", "Robbery"),
    ]
    counts_from_0 = catalogue.by_name("Arrest003_x264")
    assert counts_from_0.spans == ((1, 3),)
    assert counts_from_0.boxes == (Box(1, 10, 20, 30, 40, 0), Box(2, 11, 20, 31, 40, 0))
    counts_from_1 = catalogue.by_name("Robbery001")
    assert counts_from_1.boxes == (Box(0, 1, 2, 3, 4, 5),)
    assert counts_from_1.spans == ((0, 1),)
    # A file that begins later than frame 1 counts from 0, as VATIC defines it.
    assert catalogue.by_name("Arrest001_x264").spans == ((7, 8),)


@given(
    frames=st.lists(st.tuples(st.integers(2, 40), st.booleans()), unique_by=lambda item: item[0]),
    base=st.integers(0, 1),
)
def test_both_counting_bases_give_the_same_boxes(
    tmp_path_factory: pytest.TempPathFactory, frames: list[tuple[int, bool]], base: int
) -> None:
    path = tmp_path_factory.mktemp("boxes") / "Arrest003.txt"
    lines = [f'0 1 2 3 4 {base + frame} {int(lost)} 0 0 "Arrest"' for frame, lost in [(0, True), *frames]]
    path.write_text("\n".join(lines))
    boxes = read_boxes(path, Problems("boxes"))
    assert [box.frame for box in boxes] == sorted(frame for frame, lost in frames if not lost)


def test_everything_wrong_is_said_at_once(make: Callable[[str], Path]) -> None:
    root = make("ucf_crime2local")
    with open(root / "Train_split_AD.txt", "a") as file:
        file.write("Assault012\nArrest001_x264\n")
    with open(root / "Test_split_AD.txt", "a") as file:
        file.write("Normal_Videos_015\nVandalism014\n")
    with open(root / "annotation" / "Robbery001.txt", "a") as file:
        file.write('5 1 2 3 4 1 0 0 0 "x"\nnonsense\n5 9 2 3 4 8 0 0 0 "x"\n5 1 2 3 4 -2 0 0 0 "x"\n')
        file.write('5 1 -3 3 4 9 0 0 0 "x"\n5 1 2 323 4 10 0 0 0 "x"\n5 nan 2 3 4 11 0 0 0 "x"\n')
    for stray in ("Assault999.txt", "copy/Arrest003.txt", "Burglary998.txt", "Readme1.txt"):
        (root / stray).parent.mkdir(exist_ok=True)
        (root / stray).touch()
    (root / "annotation" / "Normal_Videos_015.txt").write_text('0 1 2 3 4 0 0 0 0 "x"\n')
    with pytest.raises(UserError) as error:
        opened(root)
    said = str(error.value)
    assert "Train_split_AD.txt:3: 'Assault012' is a known test video; remove it" in said
    assert "Train_split_AD.txt:4: 'Arrest001' was listed before, at Train_split_AD.txt:1" in said
    assert "Test_split_AD.txt:3: 'Normal_Videos_015' was listed before, at Train_split_AD.txt:2" in said
    assert "Test_split_AD.txt:4: 'Vandalism014' has no box file Vandalism014.txt" in said
    assert "Test_split_AD.txt:4: no video 'Vandalism014" in said
    assert "Robbery001.txt:3: a second line for frame 1 of track 5" in said
    assert "Robbery001.txt:4: 'nonsense' is not: track xmin" in said
    assert "Robbery001.txt:5: box 9 2 3 4 is reversed or empty; it needs x1 < x2 and y1 < y2" in said
    assert "Robbery001.txt:6: frame -2 is below 0" in said
    assert "Robbery001.txt:7: box 1 -3 3 4 is not within the picture (0 <= x <= 320, 0 <= y <= 240; up to 2" in said
    assert "Robbery001.txt:8: box 1 2 323 4 is not within the picture" in said
    assert "Robbery001.txt:9: box nan 2 3 4 is reversed or empty" in said
    assert "'Normal_Videos_015' is normal, yet" in said
    assert "2 box file(s) of videos that are in neither list: Assault999, Burglary998; list them, remove" in said
    assert "Test_split_AD.txt:1: 'Arrest003' has 2 box files" in said


def test_stray_box_files_can_be_allowed(make: Callable[[str], Path], caplog: pytest.LogCaptureFixture) -> None:
    root = make("ucf_crime2local")
    (root / "Assault999.txt").touch()
    catalogue = open_ucf_crime2local(CatalogueConfig(kind="ucf_crime2local", root=root, allow_missing=True))
    assert len(catalogue) == 4
    assert "in neither list: Assault999: left out" in caplog.text


def test_a_little_too_far_out_is_cut_and_lost_lines_may_say_anything(tmp_path: Path) -> None:
    path = tmp_path / "Arrest003.txt"
    path.write_text('0 -2 -1 321 242 0 0 0 0 "x"\n0 -50 9 7 999 1 1 0 0 "x"\n')
    problems = Problems("boxes")
    assert read_boxes(path, problems) == (Box(0, 0, 0, 320, 240, 0),)
    problems.stop_if_any()


def test_frames_beyond_the_end(make: Callable[[str], Path]) -> None:
    root = make("ucf_crime2local")
    counts = root / "test_num_frames.json"
    counts.write_text('{"Arrest003_x264": 3, "Robbery001": 2, "Arrest001_x264": 7, "Abuse028_x264": 9}')
    catalogue = opened(root)
    assert [video.num_frames for video in catalogue] == [7, None, 3, 2]
    # Its one line is for frame 7 of 7: it counts from 1.
    assert catalogue.by_name("Arrest001_x264").spans == ((6, 7),)
    counts.write_text('{"Arrest003_x264": 2, "Arrest001_x264": 6}')
    with pytest.raises(UserError) as error:
        opened(root)
    assert "Arrest003.txt:3: frame 2 lies beyond the last of 2 (counted from 0)" in str(error.value)
    assert "Arrest001.txt:1: frame 7 lies beyond the last of 6 (counted from 0)" in str(error.value)


corners = st.tuples(st.integers(0, 300), st.integers(0, 220), st.integers(1, 20), st.integers(1, 20))


@settings(max_examples=25)
@given(
    tracks=st.dictionaries(
        st.integers(0, 3), st.dictionaries(st.integers(0, 30), corners, min_size=1, max_size=8), max_size=3
    ),
    at_start=corners,
)
def test_the_demo_writes_the_same_boxes_in_both_forms(
    tmp_path_factory: pytest.TempPathFactory,
    tracks: dict[int, dict[int, tuple[int, int, int, int]]],
    at_start: tuple[int, int, int, int],
) -> None:
    """Read back from VATIC lines, counted from 0 or from 1, and from our JSON."""
    folder = tmp_path_factory.mktemp("truth")
    tracks = tracks | {9: {0: at_start}}  # the smallest number written decides between the bases
    by_frame: dict[int, list[tuple[int, int, int, int, int]]] = {}
    for track, boxes in tracks.items():
        for frame, (x, y, width, height) in boxes.items():
            by_frame.setdefault(frame, []).append((x, y, x + width, y + height, track))
    anomalies = tuple(Anomaly(frame, tuple(boxes)) for frame, boxes in sorted(by_frame.items()))
    write_ground_truth(folder, [FilmedVideo(PlannedVideo("Robbery001", 0, 0, "Robbery", "test", 40), anomalies)])
    truth = open_json(CatalogueConfig(kind="json", root=folder, check_files=False))[0]
    wanted = tuple(sorted(truth.boxes, key=lambda box: (box.frame, box.track)))
    assert len(wanted) == sum(map(len, tracks.values()))
    path = folder / "annotations" / "ucf_crime2local" / "Robbery001.txt"
    assert read_boxes(path, Problems("boxes")) == wanted
    rows = [line.split() for line in path.read_text().splitlines()]
    path.write_text("".join(" ".join([*row[:5], str(int(row[5]) + 1), *row[6:]]) + "\n" for row in rows))
    assert read_boxes(path, Problems("boxes")) == wanted


def test_the_known_test_ids_are_all_in_the_training_list_of_ucf_crime(real: Path) -> None:
    listed = {Path(line).stem for line in (real / "ucf_crime" / "Anomaly_Train.txt").read_text().split()}
    assert len(TEST_IDS) == 31
    assert {f"{video_id}_x264" for video_id in TEST_IDS} <= listed
    assert {video_id[:-3] for video_id in TEST_IDS} == set(CLASSES)
