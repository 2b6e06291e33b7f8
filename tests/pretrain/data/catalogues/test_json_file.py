from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.catalogue import Box, CatalogueConfig, Video
from pretrain.data.catalogues.json_file import open_json
from pretrain.errors import UserError
from tests.pretrain.data.catalogues.conftest import make_json


def test_every_field_is_read(make: Callable[[str], Path]) -> None:
    root = make("json")
    a, b = open_json(CatalogueConfig(kind="json", root=root))
    spans, boxes = ((10, 20), (40, 50)), (Box(10, 1, 2, 30.5, 40, 7),)
    assert a == Video("a", str(root / "videos/a.mp4"), 1, "test", "Fall", "camera03", spans, boxes, 100, 30.0)
    assert b == Video("b", str(root / "videos/b.mp4"))


BAD = {
    "unknown key 'span'; did you mean 'spans'": {"span": []},
    "'path' is missing or not text": {"path": 3},
    "label 2 is none of 0, 1 or null": {"label": 2},
    "label True is none of": {"label": True},
    "split 'val' is neither": {"split": "val"},
    "'group' is not text": {"group": 3},
    "num_frames 0 is not a whole number above 0": {"num_frames": 0},
    "fps nan is not a number above 0": {"fps": float("nan")},
    "'spans' is not a list": {"spans": 7},
    "is not [start, end) in whole frames": {"spans": [[1.5, 3]]},
    "span [20, 10] is not within 0 <= start < end <= 100 frames": {"spans": [[20, 10]]},
    "span [90, 101] is not within": {"spans": [[90, 101]]},
    "label 0 (normal), yet it has anomalous spans": {"label": 0},
    "is not [frame, x1, y1, x2, y2, track]": {"boxes": [[1, 2, 3]]},
    "0 <= frame < 100": {"boxes": [[100, 0, 0, 1, 1, 0]]},
    "box [0, 5, 0, 5, 1, 0] is reversed or empty; it needs x1 < x2 and y1 < y2": {"boxes": [[0, 5, 0, 5, 1, 0]]},
    "box [1, -1, 0, 5, 1, 0] is not within the picture (0 <= x, 0 <= y)": {"boxes": [[1, -1, 0, 5, 1, 0]]},
    "is not within the picture (0 <= x <= 8, 0 <= y <= 6)": {"boxes": [[1, 0, 0, 8, 6.5, 0]], "width": 8, "height": 6},
    "width 8 and height None are not two whole numbers above 0": {"width": 8},
    "width 8 and height 0 are not two": {"width": 8, "height": 0},
    "label 0 (normal), yet it has 2 box(es)": {"label": 0, "spans": [], "boxes": [[1, 0, 0, 5, 1, 0]] * 2},
    "1 box(es) in frames outside of its spans, first [2, 0, 0, 5, 1, 0]; add the frames": {
        "boxes": [[1, 0, 0, 5, 1, 0], [2, 0, 0, 5, 1, 0]]
    },
}


@pytest.mark.parametrize("said", BAD)
def test_every_value_is_checked(said: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    entry = {"path": "a.mp4", "label": 1, "num_frames": 100, "spans": [[1, 2]], **BAD[said]}
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"format": "anomaly-pretext/ground-truth/1", "videos": {"a": entry, "b": {}}}))
    with pytest.raises(UserError) as error:
        open_json(CatalogueConfig(kind="json", root=tmp_path, annotations=path))
    assert "'a': " in str(error.value)
    assert said in str(error.value)
    assert "'b': 'path' is missing" in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "has the format 'list'"),
        ('{"format": "coco"}', "has the format 'coco', not 'anomaly-pretext/ground-truth/1'"),
        ('{"format": "anomaly-pretext/ground-truth/1", "videos": []}', "'videos' must be an object"),
        (
            '{"format": "anomaly-pretext/ground-truth/1", "videos": {"a": {"path": "a"}, "a": {"path": "b"}}}',
            "standing twice in one object: 'a'",
        ),
        ('{"format": "anomaly-pretext/ground-truth/1", "videos": {}}', "lists no video that is there"),
    ],
)
def test_what_is_no_ground_truth(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        open_json(CatalogueConfig(kind="json", root=tmp_path, annotations=path))
    assert said in str(error.value)


def test_overlapping_spans_are_merged(make: Callable[[str], Path]) -> None:
    root = make("json")
    path = root / "annotations" / "ground_truth.json"
    content = json.loads(path.read_text())
    content["videos"]["a"]["spans"] = [[30, 40], [0, 5], [5, 11], [35, 60]]
    path.write_text(json.dumps(content))
    assert open_json(CatalogueConfig(kind="json", root=root))[0].spans == ((0, 11), (30, 60))


@given(
    spans=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=1, max_size=4), frame=st.integers(0, 60)
)
def test_a_box_must_lie_in_a_span(
    tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int]], frame: int
) -> None:
    path = tmp_path_factory.mktemp("truth") / "truth.json"
    entry = {"path": "a", "label": 1, "spans": [[s, s + n] for s, n in spans], "boxes": [[frame, 0, 0, 8, 6, 0]]}
    path.write_text(json.dumps({"format": "anomaly-pretext/ground-truth/1", "videos": {"a": entry}}))
    config = CatalogueConfig(kind="json", root=path.parent, annotations=path, check_files=False)
    if any(start <= frame < start + length for start, length in spans):
        assert open_json(config)[0].boxes == (Box(frame, 0, 0, 8, 6, 0),)
    else:
        with pytest.raises(UserError, match="outside of its spans"):
            open_json(config)


@pytest.mark.parametrize("spans", [[], None])
def test_boxes_without_spans_make_the_spans(spans: object, tmp_path: Path) -> None:
    make_json(tmp_path, spans=spans, boxes=[[f, 0, 0, 8, 6, 0] for f in (4, 7, 3, 3)], width=8, height=6)
    assert open_json(CatalogueConfig(kind="json", root=tmp_path))[0].spans == ((3, 5), (7, 8))
