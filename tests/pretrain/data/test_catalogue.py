from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.catalogue import Catalogue, Video, merge_spans
from pretrain.errors import UserError
from tests.paths import ROOT


def test_a_catalogue_is_an_immutable_list_with_unique_names() -> None:
    videos = [Video("a", "a.mp4"), Video("b", "b.mp4", split="test"), Video("c", "c.mp4")]
    catalogue = Catalogue(videos, "three")
    assert list(catalogue) == videos
    assert (len(catalogue), catalogue[1], catalogue[1:]) == (3, videos[1], tuple(videos[1:]))
    assert catalogue.by_name("c") is videos[2]
    assert [video.name for video in catalogue.subset("train")] == ["a", "c"]
    assert [video.name for video in catalogue.without({"a", "nobody"})] == ["b", "c"]
    with pytest.raises(KeyError):
        catalogue.by_name("d")
    with pytest.raises(AttributeError):
        videos[0].split = "test"  # type: ignore[misc]
    with pytest.raises(ValueError, match="split 'val' is neither"):
        catalogue.subset("val")


def test_all_problems_are_listed() -> None:
    videos = [Video("a", "1.mp4"), Video("a", "2.mp4"), Video("b", "3.mp4", split="val"), Video("a", "4.mp4")]
    with pytest.raises(UserError) as error:
        Catalogue(videos, "four")
    said = str(error.value)
    assert said.startswith("3 problem(s) in four:")
    assert "two videos named 'a': 1.mp4 and 2.mp4" in said
    assert "two videos named 'a': 1.mp4 and 4.mp4" in said
    assert "'b': split 'val' is neither 'train' nor 'test'" in said


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9))))
def test_merged_spans_hold_the_same_frames_once(starts: list[tuple[int, int]]) -> None:
    spans = [(start, start + length) for start, length in starts]
    merged = merge_spans(spans)
    frames = [frame for start, end in merged for frame in range(start, end)]
    assert frames == sorted({frame for start, end in spans for frame in range(start, end)})
    assert merge_spans(merged) == merged


MEASURE = """
import json, resource, sys, time
from pathlib import Path
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import open_training_catalogue
start = time.process_time()
root, checked = Path(sys.argv[1]), sys.argv[2] == "checked"
catalogue = open_training_catalogue(CatalogueConfig(kind="csv", root=root, check_files=checked))
if sys.platform == "linux":  # ru_maxrss counts what the process was before exec: the whole test runner
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    megabytes = int(status["VmHWM"].split()[0]) / 1024
else:
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
print(json.dumps({"videos": len(catalogue), "seconds": time.process_time() - start, "megabytes": megabytes}))
"""


def measure(root: Path, num_videos: int, checked: bool) -> dict[str, float]:
    """Open a list of `num_videos` lines in a fresh process: videos to train on, CPU seconds, peak resident megabytes.

    CPU seconds, because a wall clock on a shared machine measures the neighbours too.
    """
    with open(root / "videos.csv", "w") as file:
        file.write("path,label,split,class_name,group\n")
        for i in range(num_videos):
            split, kind = ("test" if i % 10 == 0 else "train"), ("Fighting" if i % 2 else "Normal")
            file.write(f"videos/part{i // 1000:04d}/video_{i:07d}_x264.mp4,{i % 2},{split},{kind},camera{i % 5000}\n")
    command = [sys.executable, "-c", MEASURE, str(root), "checked" if checked else "unchecked"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_twenty_thousand_files_are_found_without_a_stat_each(tmp_path: Path) -> None:
    for part in range(20):
        folder = tmp_path / "videos" / f"part{part:04d}"
        folder.mkdir(parents=True)
        for i in range(part * 1000, part * 1000 + 1000):
            (folder / f"video_{i:07d}_x264.mp4").touch()
    measured = measure(tmp_path, 20_000, checked=True)
    assert measured["videos"] == 18_000
    # A fiftieth of the million below, with room for the start of the process (measured: 0.2 s, 45 MB).
    assert measured["seconds"] < 1.5
    assert measured["megabytes"] < 200


@pytest.mark.slow
def test_a_million_entries_open_in_seconds_and_under_a_gigabyte(tmp_path: Path) -> None:
    measured = measure(tmp_path, 1_000_000, checked=False)
    print(measured)
    assert measured["videos"] == 900_000
    assert measured["seconds"] < 10
    assert measured["megabytes"] < 1024
