from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pretrain.data.catalogue import Box, CatalogueConfig, Video
from pretrain.data.catalogues.json_file import open_json
from pretrain.errors import UserError


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
    "is not within 0 <= x1 < x2": {"boxes": [[0, 5, 0, 5, 1, 0]]},
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
    content["videos"]["a"]["spans"] = [[30, 40], [0, 5], [5, 9], [35, 60]]
    path.write_text(json.dumps(content))
    assert open_json(CatalogueConfig(kind="json", root=root))[0].spans == ((0, 9), (30, 60))
