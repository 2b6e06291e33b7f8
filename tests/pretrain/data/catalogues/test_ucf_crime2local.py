from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.catalogue import Box, Catalogue, CatalogueConfig
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
    assert "Robbery001.txt:5: box 9 2 3 4 is empty" in said
    assert "Robbery001.txt:6: frame -2 is below 0" in said
    assert "'Normal_Videos_015' is normal, yet" in said


def test_the_known_test_ids_are_all_in_the_training_list_of_ucf_crime(real: Path) -> None:
    listed = {Path(line).stem for line in (real / "ucf_crime" / "Anomaly_Train.txt").read_text().split()}
    assert len(TEST_IDS) == 31
    assert {f"{video_id}_x264" for video_id in TEST_IDS} <= listed
    assert {video_id[:-3] for video_id in TEST_IDS} == set(CLASSES)
