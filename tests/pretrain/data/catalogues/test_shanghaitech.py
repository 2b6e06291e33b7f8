from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.data.catalogues.shanghaitech import open_shanghaitech, spans_of
from pretrain.errors import UserError


def opened(root: Path) -> Catalogue:
    return open_shanghaitech(CatalogueConfig(kind="shanghaitech", root=root))


def test_a_small_copy(make: Callable[[str], Path]) -> None:
    root = make("shanghaitech")
    catalogue = opened(root)
    assert [(v.name, v.label, v.split, v.group) for v in catalogue] == [
        ("01_001", 0, "train", "01"),
        ("01_0014", 1, "train", "01"),
        ("02_002", 0, "test", "02"),
        ("03_0031", 1, "test", "03"),
    ]
    scored = catalogue.by_name("03_0031")
    assert (scored.path, scored.num_frames, scored.spans) == (str(root / "testing/frames/03_0031"), 5, ((0, 1), (3, 5)))
    assert catalogue.by_name("01_0014").spans == (), "training videos carry no spans: the split is weakly supervised"


def test_a_mask_without_a_mark_is_normal(make: Callable[[str], Path]) -> None:
    root = make("shanghaitech")
    np.save(root / "testing/test_frame_mask/01_0014.npy", np.zeros(5, dtype=np.uint8))
    assert opened(root).by_name("01_0014").label == 0
    (root / "testing/test_frame_mask/01_0014.npy").unlink()
    assert opened(root).by_name("01_0014").label == 1


def test_a_video_wins_over_its_extracted_frames(make: Callable[[str], Path]) -> None:
    root = make("shanghaitech")
    (root / "training/frames/01_001").mkdir(parents=True)
    (root / "training/frames/01_001/000.jpg").touch()
    assert opened(root).by_name("01_001").path == str(root / "training/videos/01_001.avi")


def test_everything_wrong_is_said_at_once(make: Callable[[str], Path]) -> None:
    root = make("shanghaitech")
    with open(root / "SH_Test.txt", "a") as file:
        file.write("01_001\n1_2\n04_0001\n05_0017\n05_0018\n")
    masks = root / "testing" / "test_frame_mask"
    np.save(masks / "05_0017.npy", np.array([0, 2, 1]))
    np.save(masks / "05_0018.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError) as error:
        opened(root)
    said = str(error.value)
    assert "SH_Test.txt:3: '01_001' was listed before, at SH_Train.txt:1; a clip is train or test, not both" in said
    assert "SH_Test.txt:4: '1_2' is no clip id such as 01_001 or 01_0015" in said
    assert "SH_Test.txt:5: '04_0001' has no frame mask" in said
    assert "SH_Test.txt:5: no video '04_0001' under" in said
    assert "05_0017.npy: not a vector of zeros and ones" in said
    assert "05_0018.npy: no readable array (it holds pickled Python objects" in said


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_spans_hold_exactly_the_marked_frames(marks: list[bool]) -> None:
    spans = spans_of(np.array(marks))
    assert [frame for start, end in spans for frame in range(start, end)] == [i for i, mark in enumerate(marks) if mark]
    assert all(a[1] < b[0] for a, b in pairwise(spans))


def test_real_lists_give_the_published_counts(real: Path, tmp_path: Path) -> None:
    lists = real / "shanghaitech"
    for split in ("Train", "Test"):
        for name in (lists / f"SH_{split}.txt").read_text().split():
            (tmp_path / f"{name}.avi").touch()
    catalogue = open_shanghaitech(CatalogueConfig(kind="shanghaitech", root=tmp_path, annotations=lists))
    train, test = catalogue.subset("train"), catalogue.subset("test")
    assert [sum(video.label == label for video in train) for label in (1, 0)] == [63, 175]
    assert [sum(video.label == label for video in test) for label in (1, 0)] == [44, 155]
    assert len({video.group for video in catalogue}) == 13
    marked = {video.name: sum(end - start for start, end in video.spans) for video in test}
    # The masks hold 7,962 anomalous frames; the flat ground truth's 8,028 comes from its padding to whole snippets.
    assert sum(marked.values()) == 7_962
