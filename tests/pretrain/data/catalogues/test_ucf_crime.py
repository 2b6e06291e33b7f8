from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues.ucf_crime import Annotation, open_ucf_crime, parse_annotation
from pretrain.errors import UserError


def opened(root: Path) -> Catalogue:
    return open_ucf_crime(CatalogueConfig(kind="ucf_crime", root=root))


def test_a_small_copy(make: Callable[[str], Path]) -> None:
    root = make("ucf_crime")
    catalogue = opened(root)
    assert [video.name for video in catalogue.subset("train")] == ["Abuse001_x264", "Normal_Videos001_x264"]
    assert catalogue.by_name("Normal_Videos001_x264").label == 0
    assert catalogue.by_name("Normal_Videos_003_x264").class_name == "Normal"
    assert catalogue.by_name("Vandalism017_x264") == Video(
        "Vandalism017_x264", str(root / "Vandalism017_x264.mp4"), 1, "test", "Vandalism", None, ((269, 330), (779, 840))
    )


def test_the_end_frame_is_inside_and_frames_count_from_one() -> None:
    item = parse_annotation("Abuse028_x264.mp4  Abuse  165  240  -1  -1  ")
    assert item == Annotation("Abuse028_x264", "Abuse", ((164, 240),))
    assert parse_annotation("a.mp4 Abuse 0 1 -1 -1") == Annotation("a", "Abuse", ((0, 1),))


def test_the_variant_with_a_frame_count() -> None:
    line = "RoadAccidents/RoadAccidents021_x264.mp4 155 RoadAccidents 30 90 -1 -1"
    assert parse_annotation(line) == Annotation("RoadAccidents021_x264", "RoadAccidents", ((29, 90),), 155)
    assert parse_annotation(line.replace("90", "156")) == Annotation(
        "RoadAccidents021_x264", "RoadAccidents", ((29, 155),), 155
    )


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 500)), min_size=1, max_size=4))
def test_spans_hold_exactly_the_listed_frames(pairs: list[tuple[int, int]]) -> None:
    numbers = [number for start, length in pairs for number in (start, start + length)]
    item = parse_annotation(f"a.mp4 Arson {' '.join(map(str, numbers))}")
    assert isinstance(item, Annotation)
    wanted = {frame - 1 for start, length in pairs for frame in range(start, start + length + 1)}
    assert {frame for start, end in item.spans for frame in range(start, end)} == wanted


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.mp4 Arson", "is not: file, class, then pairs"),
        ("a.mp4 Arson 1 x", "is not: file, class, then pairs"),
        ("a.mp4 Arson 1 2 3", "is not: file, class, then pairs"),
        ("a.mp4 Arson 20 10 -1 -1", "start 20 and end 10 are not frames with 0 <= start <= end"),
        ("a.mp4 Arson -1 10 -1 -1", "start -1 and end 10 are not frames"),
        ("a.mp4 100 Arson 101 110 -1 -1", "start 101 lies beyond its 100 frames"),
        ("a.mp4 Normal 1 2 -1 -1", "class Normal with 1 anomalous span(s)"),
        ("a.mp4 Arson -1 -1 -1 -1", "class Arson with 0 anomalous span(s)"),
    ],
)
def test_malformed_lines(line: str, said: str) -> None:
    wrong = parse_annotation(line)
    assert isinstance(wrong, str)
    assert said in wrong


def test_everything_wrong_is_said_at_once(make: Callable[[str], Path]) -> None:
    root = make("ucf_crime")
    with open(root / "Anomaly_Train.txt", "a") as file:
        file.write("Abuse/Abuse028_x264.mp4\nAbuse/Abuse001_x264.mp4\nArson/Arson001_x264.mp4\n001.mp4\n")
    with open(root / "Temporal_Anomaly_Annotation.txt", "a") as file:
        file.write("\nAbuse030_x264.mp4  Abuse  12\nVandalism017_x264.mp4  Vandalism  1  2  -1  -1\n")
    with pytest.raises(UserError) as error:
        opened(root)
    said = str(error.value)
    assert said.startswith("6 problem(s) in UCF-Crime")
    assert "Anomaly_Train.txt:3: 'Abuse028_x264' is a test video; remove the line" in said
    assert "Anomaly_Train.txt:4: 'Abuse/Abuse001_x264.mp4' was listed before, at Anomaly_Train.txt:1" in said
    assert f"Anomaly_Train.txt:5: no video 'Arson001_x264' under {root}" in said
    assert "Anomaly_Train.txt:6: '001.mp4' is not CLASS/VIDEO.mp4" in said
    assert "Temporal_Anomaly_Annotation.txt:5: 'Abuse030_x264.mp4  Abuse  12' is not" in said
    assert "Temporal_Anomaly_Annotation.txt:6: 'Vandalism017_x264' was listed before" in said
    assert "1 listed video(s) are not on disk; allow_missing" in said


def test_of_two_files_the_one_in_the_listed_folder_wins(make: Callable[[str], Path]) -> None:
    root = make("ucf_crime")
    (root / "Normal_Videos_event").mkdir()
    for name in ("Normal_Videos001_x264", "Normal_Videos_003_x264"):
        (root / "Normal_Videos_event" / f"{name}.mp4").touch()
    catalogue = opened(root)
    assert "Training_Normal" in catalogue.by_name("Normal_Videos001_x264").path
    assert "Testing_Normal" in catalogue.by_name("Normal_Videos_003_x264").path
    (root / "copy").mkdir()
    (root / "copy" / "Vandalism017_x264.mp4").touch()
    with pytest.raises(UserError, match=r"2 videos named 'Vandalism017_x264' .*keep one of them"):
        opened(root)


def test_real_lists_give_the_published_counts(real: Path, tmp_path: Path) -> None:
    lists = real / "ucf_crime"
    named = (lists / "Anomaly_Train.txt").read_text().split()
    named += [line.split()[0] for line in (lists / "Temporal_Anomaly_Annotation.txt").read_text().splitlines()]
    for name in named:  # the training videos in class folders, the test videos flat
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    catalogue = open_ucf_crime(CatalogueConfig(kind="ucf_crime", root=tmp_path, annotations=lists))
    train, test = catalogue.subset("train"), catalogue.subset("test")
    assert [sum(video.label == label for video in train) for label in (1, 0)] == [810, 800]
    assert [sum(video.label == label for video in test) for label in (1, 0)] == [140, 150]
    assert len({video.class_name for video in catalogue}) == 14
    # Cut at the last frame, as the authors' evaluation does: 84,345 annotated frames, two of them beyond their video.
    inside = sum(min(end, video.num_frames or 0) - start for video in test for start, end in video.spans)
    assert sum(end - start for video in test for start, end in video.spans) == 84_345
    assert inside == 84_343
    assert sum(video.num_frames or 0 for video in test) == 1_112_032
