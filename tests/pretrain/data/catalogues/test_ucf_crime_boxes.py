from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from pretrain.data.catalogue import Box, Catalogue, CatalogueConfig
from pretrain.data.catalogues.ucf_crime import open_ucf_crime
from pretrain.errors import UserError

Make = Callable[[str], Path]


def opened(root: Path) -> Catalogue:
    return open_ucf_crime(CatalogueConfig(kind="ucf_crime", root=root))


def write(root: Path, boxes: object, counts: object = None) -> None:
    (root / "test_boxes.json").write_text(json.dumps(boxes))
    if counts is not None:
        (root / "test_num_frames.json").write_text(json.dumps(counts))


def test_boxes_count_frames_and_pixels_from_one_and_the_last_is_inside(make: Make) -> None:
    root = make("ucf_crime")
    write(root, {"Abuse028_x264": {"240": [1, 1, 320, 240], "165": [3, 83, 3, 150]}}, {"Abuse028_x264": 239, "x": 1})
    with pytest.raises(UserError, match=r"frame 240: box .* lies beyond the last of 239 frames"):
        opened(root)
    write(root, {"Abuse028_x264": {"240": [1, 1, 320, 240], "165": [3, 83, 3, 150]}}, {"Abuse028_x264": 240, "x": 1})
    video = opened(root).by_name("Abuse028_x264")
    assert video.boxes == (Box(164, 2, 82, 3, 150), Box(239, 0, 0, 320, 240))
    assert (video.num_frames, video.spans) == (240, ((164, 240),))


def test_a_little_too_far_out_is_cut(make: Make) -> None:
    root = make("ucf_crime")
    write(root, {"Abuse028_x264": {"200": [-1, 0, 322, 241.5]}})
    assert opened(root).by_name("Abuse028_x264").boxes == (Box(199, 0, 0, 320, 240),)


def test_abnormal_videos_without_boxes_are_said(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    root = make("ucf_crime")
    with caplog.at_level(logging.WARNING):
        opened(root)
        assert not caplog.text
        write(root, {"Abuse028_x264": {"200": [1, 1, 2, 2]}})
        opened(root)
    assert "no boxes of 1 abnormal test video(s): Vandalism017_x264" in caplog.text


def test_everything_wrong_is_said_at_once(make: Make) -> None:
    root = make("ucf_crime")
    frames = {
        "170": [9, 2, 3, 4],
        "171": [1, 1, 323, 9],
        "172": [1, 1, 2],
        "241": [1, 1, 2, 2],
        "0": [1, 1, 2, 2],
        "x": 3,
        "173": [321, 5, 322, 9],
        "174": [1, -2, 2, 2],
    }
    write(
        root,
        {"Abuse028_x264": frames, "Normal_Videos_003_x264": {}, "Abuse001_x264": {}, "Vandalism017_x264": [1]},
        {"Abuse028_x264": 0, "Vandalism017_x264": 779},
    )
    with pytest.raises(UserError) as error:
        opened(root)
    said = str(error.value).splitlines()
    where = "  - test_boxes.json: 'Abuse028_x264', frame "
    limit = "is not within the picture (0 <= x <= 320, 0 <= y <= 240; up to 2 pixels more are cut)"
    assert said[0].startswith("13 problem(s) in UCF-Crime")
    assert said[1:] == [
        "  - test_num_frames.json: 'Abuse028_x264': 0 is not a number of frames above 0",
        "  - Temporal_Anomaly_Annotation.txt:3: 'Vandalism017_x264': start 780 lies beyond its 779 frames"
        " (test_num_frames.json)",
        f"{where}170: box [9, 2, 3, 4] is reversed or empty; it needs x1 < x2 and y1 < y2",
        f"{where}171: box [1, 1, 323, 9] {limit}",
        f"{where}172: box [1, 1, 2] is not [x1, y1, x2, y2]",
        f"{where}241: box [1, 1, 2, 2] is outside of the annotated anomalies (frames 165 to 240)",
        f"{where}'0' is not a whole number from 1 on",
        f"{where}'x' is not a whole number from 1 on",
        f"{where}173: box [321, 5, 322, 9] {limit}",
        f"{where}174: box [1, -2, 2, 2] {limit}",
        "  - test_boxes.json: 'Normal_Videos_003_x264': boxes of a normal video; remove them",
        "  - test_boxes.json: 'Abuse001_x264': boxes of a video that is not in the list of test videos; remove them",
        "  - test_boxes.json: 'Vandalism017_x264': its entry is not an object of FRAME: [x1, y1, x2, y2]",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "test_boxes.json is not JSON"),
        ("[]", "test_boxes.json: it must be an object with one entry per video name"),
        (
            '{"Abuse028_x264": {"200": [1, 1, 2, 2], "200": [1, 1, 3, 3]}}',
            "test_boxes.json: standing twice in one object: '200'; keep one",
        ),
    ],
)
def test_what_is_no_box_file(text: str, said: str, make: Make) -> None:
    root = make("ucf_crime")
    (root / "test_boxes.json").write_text(text)
    with pytest.raises(UserError) as error:
        opened(root)
    assert said in str(error.value)


def test_the_real_file_counts_from_one(real: Path) -> None:
    lists = real / "ucf_crime"
    written = json.loads((lists / "test_boxes.json").read_text())
    config = CatalogueConfig(kind="ucf_crime", root=lists, annotations=lists, check_files=False)
    catalogue = open_ucf_crime(config)
    boxes = {video.name: video.boxes for video in catalogue if video.boxes}
    assert (len(boxes), sum(map(len, boxes.values()))) == (140, 3102)
    assert all((video.label, video.split) == (1, "test") for video in catalogue if video.boxes)
    # Counted from 1 every box is in a span (or opening would fail); from 0 three would be one frame behind their span.
    behind = [
        name
        for name in boxes
        for frame in written[name]
        if any(int(frame) == end for _, end in spans_of(catalogue, name))
    ]
    assert behind == ["Arrest039_x264", "Arson009_x264", "Shoplifting022_x264"]
    left = [box[0] for frames in written.values() for box in frames.values()]
    assert (left.count(0), left.count(1)) == (0, 248)
    # Nothing is cut: the published boxes are all within 320x240.
    assert [(box.x1 + 1, box.y1 + 1, box.x2, box.y2) for box in boxes["Arson009_x264"]] == [
        tuple(box) for box in written["Arson009_x264"].values()
    ]
    assert max(box.x2 for found in boxes.values() for box in found) == 320


def spans_of(catalogue: Catalogue, name: str) -> tuple[tuple[int, int], ...]:
    return catalogue.by_name(name).spans
