from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.data.catalogues.xd_violence import CLASSES, classes_from_name, open_xd_violence
from pretrain.errors import UserError


def opened(root: Path) -> Catalogue:
    return open_xd_violence(CatalogueConfig(kind="xd_violence", root=root))


def test_a_small_copy(make: Callable[[str], Path]) -> None:
    catalogue = opened(make("xd_violence"))
    riot = catalogue.by_name("v=S-7rRLrxnVQ__#1_label_B4-0-0")
    assert (riot.label, riot.split, riot.class_name, riot.group) == (1, "test", "Riot", "v=S-7rRLrxnVQ")
    assert riot.spans == ((0, 1517), (1970, 3038))
    odd = catalogue.by_name("Élite ülke__#00-01_label_G-B2-B6")
    assert (odd.class_name, odd.group, odd.spans) == ("Explosion+Shooting+CarAccident", "Élite ülke", ((150, 779),))
    normal = catalogue.by_name("A.Beautiful.Mind.2001__#00-01-45_00-02-50_label_A")
    assert (normal.label, normal.split, normal.class_name) == (0, "train", "Normal")
    assert catalogue.by_name("v=4FzhVu2PR8Y__#1_label_B1").class_name == "Fighting"


@given(st.lists(st.sampled_from(sorted(set(CLASSES) - {"A"})), min_size=1, max_size=3), st.text("ab =#._é", max_size=9))
def test_labels_come_back_from_any_name(codes: list[str], stem: str) -> None:
    name = f"{stem}_label_{'-'.join([*codes, '0', '0'][:3])}"
    assert classes_from_name(name) == [CLASSES[code] for code in codes]


@pytest.mark.parametrize("name", ["film", "film_label_", "film_label_C-0-0", "film_label_0-0-0", "film_label_A-B1-0"])
def test_names_without_a_label(name: str) -> None:
    assert classes_from_name(name) is None


def test_a_training_list_may_say_what_is_train(make: Callable[[str], Path]) -> None:
    root = make("xd_violence")
    (root / "1-1004" / "no_label_at_all.mp4").touch()
    with pytest.raises(UserError, match="'no_label_at_all' holds no label such as _label_A"):
        opened(root)
    (root / "train_videos.txt").write_text("v=4FzhVu2PR8Y__#1_label_B1.mp4\n")
    assert [video.name for video in opened(root).subset("train")] == ["v=4FzhVu2PR8Y__#1_label_B1"]


def test_everything_wrong_is_said_at_once(make: Callable[[str], Path]) -> None:
    root = make("xd_violence")
    (root / "train_videos.txt").write_text("Fury.2014__#2_label_A\nlost__#1_label_G-0-0\n")
    with open(root / "test_videos.txt", "a") as file:
        file.write("Fury.2014__#2_label_A.mp4\nnew__#1_label_B1-0-0\n")
    with open(root / "annotations.txt", "a") as file:
        file.write("strange__#1_label_B1-0-0 1 2\nnumbers 1 2 3\nback__#1_label_G-0-0 9 5\n")
    with pytest.raises(UserError) as error:
        opened(root)
    said = str(error.value)
    assert said.startswith("7 problem(s) in XD-Violence")
    assert "train_videos.txt:1: 'Fury.2014__#2_label_A' is a test video; remove the line" in said
    assert "train_videos.txt:2: no video 'lost__#1_label_G-0-0'" in said
    assert "test_videos.txt:4: 'Fury.2014__#2_label_A' was listed before, at test_videos.txt:3" in said
    assert "test_videos.txt:5: 'new__#1_label_B1-0-0' is Fighting but has no line in annotations.txt" in said
    assert "annotations.txt:3: 'strange__#1_label_B1-0-0' is not in the test list" in said
    assert "annotations.txt:4: 'numbers 1 2 3' is not a name and pairs" in said
    assert "annotations.txt:5: 'back__#1_label_G-0-0': start 9 and end 5 are not 0 <= start < end" in said


@pytest.mark.parametrize("with_train_list", [True, False])
def test_real_lists_give_the_published_counts(real: Path, tmp_path: Path, with_train_list: bool) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    for name in ("annotations.txt", "test_videos.txt") + ("train_videos.txt",) * with_train_list:
        (lists / name).write_text((real / "xd_violence" / name).read_text(encoding="utf-8"), encoding="utf-8")
    videos = tmp_path / "videos"
    videos.mkdir()
    for split in ("train", "test"):
        for name in (real / "xd_violence" / f"{split}_videos.txt").read_text(encoding="utf-8").splitlines():
            (videos / f"{name}.mp4").touch()
    catalogue = open_xd_violence(CatalogueConfig(kind="xd_violence", root=videos, annotations=lists))
    train, test = catalogue.subset("train"), catalogue.subset("test")
    assert [sum(video.label == label for video in train) for label in (1, 0)] == [1905, 2049]
    assert [sum(video.label == label for video in test) for label in (1, 0)] == [500, 300]
    assert sum(end - start for video in test for start, end in video.spans) == 538_324
    assert len({video.group for video in train}) == 1630
