"""The demonstration videos: real encoded files, three forms of one truth, the same frames for the same seed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.world import build, effects
from demo.world.build import build_demo_set
from demo.world.cameras import CLOCK_ROWS, FPS, HEIGHT, WIDTH, make_camera
from demo.world.clock import clock_strip
from demo.world.events import ANOMALIES
from demo.world.ground_truth import FilmedVideo, two_spans, write_ucf_crime2local
from demo.world.plan import PlannedVideo, make_plan
from demo.world.poses import joints, run, walk
from demo.world.render import Filming, blend, build_set
from demo.world.sprites import SpriteShelf, make_sprite
from demo.world.world import Anomaly
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.ucf_crime2local import read_boxes
from pretrain.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "set"
    assert build_demo_set(root, seed=3, cameras=2, videos_per_camera=2, workers=1)
    return root


def truth_of(root: Path) -> dict[str, dict]:
    return json.loads((root / "annotations" / "ground_truth.json").read_text())["videos"]


# the files


def test_videos_are_encoded_as_recorders_do(small_set: Path) -> None:
    truth = truth_of(small_set)
    assert len(truth) == 4
    for entry in truth.values():
        with av.open(str(small_set / entry["path"])) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.width, stream.height) == ("h264", WIDTH, HEIGHT)
            assert stream.average_rate == FPS
            kinds = [int(frame.pict_type) for frame in container.decode(stream)]
        assert len(kinds) == entry["num_frames"]
        assert 12 * FPS <= len(kinds) <= 20 * FPS
        intra, between = int(PictureType.I), int(PictureType.B)
        assert kinds[0] == intra
        assert kinds.count(between) > len(kinds) / 4
        assert kinds.count(intra) <= 3


def test_scenes_move_and_hold_still_where_they_should(small_set: Path) -> None:
    """Local motion in front of a fixed background: most pixels hardly change, some change much."""
    entry = next(iter(truth_of(small_set).values()))
    with av.open(str(small_set / entry["path"])) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)][::15]
    change = np.abs(np.diff(np.stack(frames)[:, CLOCK_ROWS:].astype(int), axis=0))
    assert np.median(change) <= 4
    assert (change > 30).any(axis=(1, 2)).all()


# the truth


def test_boxes_lie_in_the_frame_and_spans_are_their_frames(small_set: Path) -> None:
    for name, entry in truth_of(small_set).items():
        assert entry["path"] == f"videos/{name}.mp4"
        assert (entry["class_name"] != "Normal") == bool(entry["label"]) == bool(entry["spans"])
        assert entry["group"] in name
        inside = {frame for start, end in entry["spans"] for frame in range(start, end)}
        assert {box[0] for box in entry["boxes"]} == inside
        assert all(0 <= frame < entry["num_frames"] for frame in inside)
        assert not inside or FPS <= len(inside) <= build.LONGEST_ANOMALY
        for _, x1, y1, x2, y2, _ in entry["boxes"]:
            assert 0 <= x1 < x2 <= WIDTH
            assert 0 <= y1 < y2 <= HEIGHT


def test_the_three_forms_agree(small_set: Path) -> None:
    truth, folder = truth_of(small_set), small_set / "annotations"
    lines = (folder / "ucf_crime" / "Temporal_Anomaly_Annotation_for_Testing_Videos.txt").read_text().splitlines()
    listed = {}
    for line in lines:
        file, class_name, *numbers = line.rstrip().split("  ")
        ends = [int(number) for number in numbers]
        listed[file.removesuffix(".mp4")] = (class_name, [[a - 1, b] for a, b in (ends[:2], ends[2:]) if a >= 0])
    assert listed == {n: (e["class_name"], e["spans"]) for n, e in truth.items() if e["split"] == "test"}
    train = (folder / "ucf_crime" / "Anomaly_Train.txt").read_text().split()
    assert {Path(line).stem for line in train} == {name for name, entry in truth.items() if entry["split"] == "train"}
    for name, entry in truth.items():
        boxes = folder / "ucf_crime2local" / f"{name}.txt"
        assert boxes.is_file() == bool(entry["label"])
        if entry["label"]:
            rows = [line.split() for line in boxes.read_text().splitlines()]
            seen = sorted([int(r[5]), *map(int, r[1:5]), int(r[0])] for r in rows if r[6] == "0")
            assert seen == sorted(entry["boxes"])
            assert {row[9] for row in rows} == {f'"{entry["class_name"]}"'}
    ids = [(folder / "ucf_crime2local" / f"{split}_split_AD.txt").read_text().split() for split in ("Train", "Test")]
    assert sorted(ids[0] + ids[1]) == sorted(truth)


def test_box_files_show_the_number_of_their_first_frame(tmp_path: Path) -> None:
    """VATIC's lost lines begin at the video's first frame; so the same boxes come out whichever number it has."""
    planned = PlannedVideo("Fall_camera00_000", 0, 0, "Fall", "train", 400)
    boxes = {7: ((1, 2, 30, 40, 0),), 8: ((2, 3, 31, 41, 0), (5, 5, 9, 9, 1)), 11: ((3, 4, 32, 42, 0),)}
    filmed = FilmedVideo(planned, tuple(Anomaly(frame, found) for frame, found in boxes.items()))
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
        (frame, *box) for frame, found in boxes.items() for box in found
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


# the same seed, the same frames


def test_same_seed_same_frames_however_much_was_drawn_before() -> None:
    plan = [video for video in make_plan(5, 4, 3) if video.camera == 1]
    warm = build_set(5, 1)
    other = Filming(warm, plan[0], 5)
    for index in range(30):
        other.frame(index)
    fresh = build_set(5, 1)
    first, second = Filming(warm, plan[1], 5), Filming(fresh, plan[1], 5)
    frames = [(first.frame(index), second.frame(index)) for index in range(40)]
    assert all(np.array_equal(a, b) for a, b in frames)
    assert not np.array_equal(Filming(build_set(6, 1), plan[1], 6).frame(0), frames[0][0])


# what was asked is done once


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Filming replaced by writing one byte per video; counts the videos filmed."""
    filmed: Counter = Counter()

    def film(root: Path, videos: list[PlannedVideo], seed: int) -> list[FilmedVideo]:
        (root / "videos").mkdir(exist_ok=True)
        for video in videos:
            (root / "videos" / f"{video.name}.mp4").write_bytes(b"x")
            filmed[video.name] += 1
        return [FilmedVideo(video, ()) for video in videos]

    monkeypatch.setattr(build, "film_videos", film)
    return filmed


def test_second_call_is_up_to_date_until_something_changes(tmp_path: Path, quick: Counter) -> None:
    arguments = {"seed": 0, "cameras": 4, "videos_per_camera": 3, "workers": 1}
    assert build_demo_set(tmp_path / "set", **arguments)
    assert sum(quick.values()) == 12
    assert not build_demo_set(tmp_path / "set", **arguments)
    assert sum(quick.values()) == 12
    next((tmp_path / "set" / "videos").iterdir()).write_bytes(b"longer")
    assert build_demo_set(tmp_path / "set", **arguments)
    assert sum(quick.values()) == 24


def test_smaller_set_leaves_no_stale_videos(tmp_path: Path, quick: Counter) -> None:
    build_demo_set(tmp_path / "set", seed=0, cameras=4, videos_per_camera=3, workers=1)
    build_demo_set(tmp_path / "set", seed=0, cameras=2, videos_per_camera=2, workers=1)
    files = {path.stem for path in (tmp_path / "set" / "videos").iterdir()}
    assert files == {video.name for video in make_plan(0, 2, 2)}


def test_an_interrupted_set_is_made_again(tmp_path: Path, quick: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build.film_videos
    monkeypatch.setattr(build, "film_videos", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        build_demo_set(tmp_path / "set", seed=0, cameras=2, videos_per_camera=2, workers=1)
    monkeypatch.setattr(build, "film_videos", whole)
    assert build_demo_set(tmp_path / "set", seed=0, cameras=2, videos_per_camera=2, workers=1)


# user mistakes


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"holds no demo set .*demo_set\.json.*give a new or an empty folder"):
        build_demo_set(tmp_path, seed=0, cameras=4, videos_per_camera=2, workers=1)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("cameras", "videos", "workers", "text"),
    [
        (1, 6, 1, "--cameras is 1; it must lie between 2 and 99"),
        (4, 1, 1, "--videos-per-camera is 1; it must lie between 2 and 999"),
        (4, 2, 0, "--workers is 0; give 1 or more"),
    ],
)
def test_impossible_sizes(tmp_path: Path, cameras: int, videos: int, workers: int, text: str) -> None:
    with pytest.raises(UserError, match=text):
        build_demo_set(tmp_path / "set", seed=0, cameras=cameras, videos_per_camera=videos, workers=workers)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("way", [["-m", "scripts.make_demo_videos"], ["scripts/make_demo_videos.py"]])
def test_command_line_says_what_is_wrong(tmp_path: Path, way: list[str]) -> None:
    command = [sys.executable, *way, str(tmp_path / "set"), "--cameras", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.rstrip().splitlines()[-1].startswith("error: --cameras is 1;")
    assert "Traceback" not in done.stderr


# the plan


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.integers(2, 24), st.integers(2, 9))
def test_every_plan_separates_cameras_and_balances_labels(seed: int, cameras: int, videos: int) -> None:
    plan = make_plan(seed, cameras, videos)
    assert len({video.name for video in plan}) == len(plan) == cameras * videos
    groups = {split: {video.group for video in plan if video.split == split} for split in ("train", "test")}
    assert groups["train"]
    assert groups["test"] - groups["train"], "no camera is held out"
    for camera in range(cameras):
        labels = [video.label for video in plan if video.camera == camera]
        assert abs(2 * sum(labels) - len(labels)) <= 1
    assert all(12 * FPS <= video.num_frames <= 20 * FPS for video in plan)


def test_default_plan_has_every_class_in_both_splits() -> None:
    plan = make_plan(0, 16, 6)
    for split in ("train", "test"):
        classes = Counter(video.class_name for video in plan if video.split == split)
        assert set(classes) == {"Normal", *ANOMALIES}
        assert classes["Normal"] * 2 == sum(classes.values())
        abnormal = [classes[name] for name in ANOMALIES]
        assert max(abnormal) - min(abnormal) <= 1
    assert 13 <= np.mean([video.num_frames for video in plan]) / FPS <= 15


# the picture


@pytest.mark.parametrize("index", range(12))
def test_clock_stays_in_the_top_rows_and_ticks(index: int) -> None:
    camera = make_camera(0, index)
    shelf = SpriteShelf([], [], camera.light, 0.0)
    now, later = clock_strip(camera, 36000, shelf), clock_strip(camera, 36001, shelf)
    assert now.luma.shape == (CLOCK_ROWS, WIDTH)
    assert now.luma[-1].max() == 0, "ink in the last row: glyphs are cut off"
    assert not np.array_equal(now.luma, later.luma)


@settings(max_examples=60, deadline=None)
@given(st.integers(-30, 70), st.integers(-30, 60), st.integers(0, 2**20))
def test_blending_is_alpha_composition_clipped_to_the_frame(x: int, y: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    alpha = rng.uniform(0, 1, (12, 16)).astype(np.float32)
    colour = rng.uniform(16, 235, (3, 12, 16)).astype(np.float32)
    sprite = make_sprite(colour * alpha, alpha, (8, 6), (0, 0, 1, 1))
    luma = rng.integers(16, 236, (40, 50)).astype(np.uint8)
    chroma = rng.integers(16, 240, (2, 20, 25)).astype(np.uint8)
    expected = luma.astype(float)
    for row in range(12):
        for column in range(16):
            at = (y - 6 + row, x - 8 + column)
            if 0 <= at[0] < 40 and 0 <= at[1] < 50:
                a = alpha[row, column]
                expected[at] = (1 - a) * expected[at] + a * colour[0, row, column]
    blend(luma, chroma, sprite, x, y)
    assert np.abs(luma - expected).max() <= 2.0


# time has a direction


@pytest.mark.parametrize("gait", [walk, run])
def test_the_foot_on_the_ground_moves_backwards(gait) -> None:
    """Stance, the first half of a leg's cycle: relative to the hip the near foot goes from front to back."""
    feet = [joints(gait(u))["near ankle"] for u in np.linspace(0.05, 0.45, 9)]
    assert all(later[0] < earlier[0] for earlier, later in pairwise(feet))
    swing = [joints(gait(u))["near ankle"] for u in np.linspace(0.55, 0.9, 8)]
    assert swing[-1][0] > swing[0][0]
    assert max(ankle[1] for ankle in swing) > max(ankle[1] for ankle in feet[:6]), (
        "the foot is not lifted on its way forward"
    )


def test_exhaust_spreads_and_fades() -> None:
    puff = effects.exhaust(np.random.default_rng(0), 100.0, 120.0, -1, 30.0)
    radii, opacities = [], []
    while puff.step():
        radii.append(puff.radius)
        opacities.append(puff.opacity)
    assert radii == sorted(radii)
    assert radii[-1] > 2 * radii[0]
    assert opacities == sorted(opacities, reverse=True)
    assert puff.x < 100


# no single statistic gives the label away


@pytest.mark.slow
def test_no_frame_statistic_tells_the_label(tmp_path: Path) -> None:
    build_demo_set(tmp_path / "set", seed=0, cameras=16, videos_per_camera=6, workers=2)
    truth = truth_of(tmp_path / "set")
    labels = np.array([entry["label"] for entry in truth.values()])
    rows = []
    for entry in truth.values():
        with av.open(str(tmp_path / "set" / entry["path"])) as container:
            frames = np.stack([frame.to_ndarray(format="gray")[CLOCK_ROWS:] for frame in container.decode(video=0)])
        change = np.array([np.abs(b.astype(np.int16) - a).mean() for a, b in pairwise(frames)])
        brightness = frames.mean(axis=(1, 2))
        rows.append(
            (change.mean(), change.max(), brightness.mean(), brightness.var(), np.abs(np.diff(brightness)).max())
        )
    for name, values in zip(
        ("change", "largest change", "brightness", "its variance", "its jump"), np.array(rows).T, strict=True
    ):
        abnormal, normal = values[labels == 1], values[labels == 0]
        auc = (abnormal[:, None] > normal[None]).mean()
        assert 0.25 < auc < 0.75, f"{name}: AUC {auc:.2f}"


ENCODE_AGAIN = """
import sys
from pathlib import Path
from demo.world.encode import write_mp4
from demo.world.plan import make_plan
from demo.world.render import Filming, build_set

video = next(video for video in make_plan(0, 16, 6) if video.name == "Crash_camera08_000")
filming = Filming(build_set(0, video.camera), video, 0)
pictures = [filming.frame(index).copy() for index in range(60)]
files = [Path(sys.argv[1]) / f"{number}.mp4" for number in range(4)]
for file in files:
    write_mp4(file, pictures)
print(len({file.read_bytes() for file in files}))
"""


def test_the_same_pictures_always_give_the_same_file(tmp_path: Path) -> None:
    """In a process of its own, where with x264's macroblock tree these pictures gave four files in four encodings."""
    done = subprocess.run(
        [sys.executable, "-c", ENCODE_AGAIN, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
