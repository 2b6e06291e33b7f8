"""Three forms of one truth."""

from __future__ import annotations

from pathlib import Path

from demo.world.build import LONGEST_ANOMALY
from demo.world.cameras import FPS, HEIGHT, WIDTH
from demo.world.ground_truth import FilmedVideo, two_spans, write_ucf_crime2local
from demo.world.plan import PlannedVideo
from demo.world.world import Anomaly
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.ucf_crime2local import read_boxes
from tests.demo.world.conftest import Truth


def test_boxes_lie_in_the_frame_and_spans_are_their_frames(truth: Truth) -> None:
    for name, facts in truth.items():
        assert facts["path"] == f"videos/{name}.mp4"
        assert (facts["class_name"] != "Normal") == bool(facts["label"]) == bool(facts["spans"])
        assert facts["group"] in name
        inside = {frame for start, end in facts["spans"] for frame in range(start, end)}
        assert {box[0] for box in facts["boxes"]} == inside
        assert all(0 <= frame < facts["num_frames"] for frame in inside)
        assert not inside or FPS <= len(inside) <= LONGEST_ANOMALY
        for _, x1, y1, x2, y2, _ in facts["boxes"]:
            assert 0 <= x1 < x2 <= WIDTH
            assert 0 <= y1 < y2 <= HEIGHT


def test_the_three_forms_agree(small_set: Path, truth: Truth) -> None:
    folder = small_set / "annotations"
    lines = (folder / "ucf_crime" / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt").read_text().splitlines()
    listed = {}
    for line in lines:
        file, class_name, *numbers = line.rstrip().split("  ")
        ends = [int(number) for number in numbers]
        listed[file.removesuffix(".mp4")] = (class_name, [[a - 1, b] for a, b in (ends[:2], ends[2:]) if a >= 0])
    assert listed == {n: (e["class_name"], e["spans"]) for n, e in truth.items() if e["split"] == "test"}
    train = (folder / "ucf_crime" / "Anomaly_Train.txt").read_text().split()
    assert {Path(line).stem for line in train} == {name for name, facts in truth.items() if facts["split"] == "train"}
    for name, facts in truth.items():
        boxes = folder / "ucf_crime2local" / f"{name}.txt"
        assert boxes.is_file() == bool(facts["label"])
        if facts["label"]:
            rows = [line.split() for line in boxes.read_text().splitlines()]
            seen = sorted([int(r[5]), *map(int, r[1:5]), int(r[0])] for r in rows if r[6] == "0")
            assert seen == sorted(facts["boxes"])
            assert {row[9] for row in rows} == {f'"{facts["class_name"]}"'}
    ids = [(folder / "ucf_crime2local" / f"{split}_split_AD.txt").read_text().split() for split in ("Train", "Test")]
    assert sorted(ids[0] + ids[1]) == sorted(truth)


def test_box_files_show_the_number_of_their_first_frame(tmp_path: Path) -> None:
    """VATIC's lost lines begin at the video's first frame; so the same boxes come out whichever number it has."""
    planned = PlannedVideo("Fall_camera00_000", 0, 0, "Fall", "train", 400)
    boxes = {7: ((1, 2, 30, 40, 0),), 8: ((2, 3, 31, 41, 0), (5, 5, 9, 9, 1)), 11: ((3, 4, 32, 42, 0),)}
    filmed = FilmedVideo(planned, tuple(Anomaly(frame, shown) for frame, shown in boxes.items()))
    write_ucf_crime2local(tmp_path, [filmed])
    path = tmp_path / "Fall_camera00_000.txt"
    rows = [line.split() for line in path.read_text().splitlines()]
    assert [(row[0], int(row[5]), row[6]) for row in rows] == [
        *[("0", frame, str(int(frame not in (7, 8, 11)))) for frame in range(12)],
        *[("1", frame, str(int(frame != 8))) for frame in range(9)],
    ]
    read = [read_boxes(path, Problems("demo"))]
    path.write_text("".join(" ".join([*row[:5], str(int(row[5]) + 1), *row[6:]]) + "\n" for row in rows))
    read.append(read_boxes(path, Problems("demo")))
    assert [(box.frame, box.x1, box.y1, box.x2, box.y2, box.track) for box in read[0]] == [
        (frame, *box) for frame, shown in boxes.items() for box in shown
    ]
    assert read[0] == read[1]


def test_two_spans_closes_the_smallest_gaps() -> None:
    assert two_spans([(0, 10), (50, 60), (62, 70), (90, 95)]) == [(0, 10), (50, 95)]
    assert two_spans([(5, 9)]) == [(5, 9)]


def test_spans_of_broken_runs_of_frames() -> None:
    planned = PlannedVideo("Fall_camera00_000", 0, 0, "Fall", "train", 400)
    frames = [3, 4, 5, 9, 10]
    filmed = FilmedVideo(planned, tuple(Anomaly(frame, ((0, 0, 5, 5, 0),)) for frame in frames))
    assert filmed.spans == [(3, 6), (9, 11)]
